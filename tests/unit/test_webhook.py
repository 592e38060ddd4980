"""Alerts reach a webhook at least once, with the same key each time, and the flow does not wait for it (M39, M40)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dataflows.webhook import Webhook
from sinks.analytics.store import Store, StoreConfig
from sinks.slo.alert import evaluate
from sinks.slo.objective import Objective
from tests.slo_rows import posting, postings_table

NOON_US = 1_790_000_000_000_000
S = 1_000_000


class Receiver(ThreadingHTTPServer):
    """Keeps what it is told; answers with the next of ``answers``, then 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.answers: list[int] = []
        self.told: list[tuple[str, str, dict]] = []
        self.enough = threading.Event()


class Answering(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.told.append((self.headers["Idempotency-Key"], self.headers["Authorization"], body))
        status = self.server.answers.pop(0) if self.server.answers else 204
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        if status == 204:
            self.server.enough.set()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def webhook(store: Store, receiver: Receiver, now_us: int = NOON_US) -> Webhook:
    url = f"http://127.0.0.1:{receiver.server_port}/alerts"
    return Webhook(store, url, {"Authorization": "Bearer t"}, 5.0, 3_600 * S, lambda: now_us, lambda _: 0.01)


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    store = Store(StoreConfig(path=tmp_path / "store.duckdb", published=tmp_path / "analytics.duckdb"))
    store.restore("postings")
    rows = [posting(number, NOON_US - 600 * S) for number in range(3)]
    store.commit("postings", "2", {"posting": postings_table(rows, [0, 1, 2], [None] * 3)})
    objective = Objective(name="confirmations", window_days=90)  # over so many days a ticket takes 3 %
    store.transact("test", lambda db: evaluate(db, [objective], NOON_US))
    store.transact("test", lambda db: bool(db.execute("DELETE FROM slo_alert WHERE urgency = 'ticket'")))
    yield store
    store.close()


def test_what_was_not_taken_is_told_again_under_the_same_key(store, receiver):
    receiver.answers = [500, 302]
    with webhook(store, receiver).running():
        assert receiver.enough.wait(20)
    keys, tokens, (first, *others) = zip(*receiver.told, strict=True)
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert set(tokens) == {"Bearer t"}
    assert others == [first] * 2
    assert {name: first[name] for name in ("event", "objective", "erp", "plant", "orders", "severity", "ended")} == {
        "event": "begun", "objective": "confirmations", "erp": "s4", "plant": "A", "orders": ["WO-1"],
        "severity": "delay", "ended": None,
    }  # fmt: skip
    assert keys[0] == f"{first['alert_id']}/begun"
    receiver.told.clear()
    with webhook(store, receiver).running():
        pass
    store.transact("test", lambda db: evaluate(db, [], NOON_US + S))
    receiver.enough.clear()
    with webhook(store, receiver).running():
        assert receiver.enough.wait(20)
    assert [body["event"] for _, _, body in receiver.told] == ["ended"], "each once, where it was taken"


def test_what_is_old_is_not_told(store, receiver):
    late = webhook(store, receiver, NOON_US + 3_601 * S)
    with late.running():
        assert late._told_all()
    assert receiver.told == []
