"""Alerts told to a webhook: each begin and each end at least once, with a key by which the receiver knows a repetition.

A thread of its own posts them one after the other, so the flow never waits. What was taken is remembered in the store
after the answer, so a process killed in between tells it again under the same ``Idempotency-Key``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread
from typing import Final

import duckdb
import orjson
import requests

from dataflows.sources.shard_source import Clock
from sinks.analytics.store import Store
from sinks.analytics.store_errors import StoreError
from sinks.slo.notices import Notice, told, untold

LOGGER: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Webhook:
    """Tells what there is to tell while the block runs; ``news`` says that there may be something.

    ``keep_us``: older news are not told any more. ``wait_after``: seconds to wait after so many failures in a row.
    """

    store: Store
    url: str
    headers: Mapping[str, str]
    timeout_s: float
    keep_us: int
    clock: Clock
    wait_after: Callable[[int], float]
    _news: Event = field(default_factory=Event)
    _ended: Event = field(default_factory=Event)

    def news(self) -> None:
        """Look whether there is something to tell, soon."""
        self._news.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Tell from a thread while the block runs; what is under way at its end is awaited."""
        thread = Thread(target=self._run, name="webhook", daemon=True)
        self._news.set()
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._news.set()
            thread.join()

    def _run(self) -> None:
        failures = 0
        while True:
            self._news.wait()
            self._news.clear()
            if self._ended.is_set():
                return
            while not self._told_all():
                failures += 1
                if self._ended.wait(self.wait_after(failures)):
                    return
            failures = 0

    def _told_all(self) -> bool:
        """Tell what there is; return whether nothing is left."""
        found: list[Notice] = []

        def read(db: duckdb.DuckDBPyConnection) -> bool:
            found.extend(untold(db, self.clock() - self.keep_us))
            return False

        try:
            self.store.transact("reading of alerts", read)
            for notice in found:
                if self._ended.is_set() or not self._post(notice):
                    return False
                self.store.transact("note of an alert", partial(told, notice=notice, at_us=self.clock()))
        except StoreError as error:
            LOGGER.warning("alerts are told later: %s", error)
            return False
        return True

    def _post(self, notice: Notice) -> bool:
        body = orjson.dumps({"event": notice.word, **notice.says})
        headers = {"Content-Type": "application/json", "Idempotency-Key": notice.key, **self.headers}
        try:
            answer = requests.post(
                self.url, body, headers=headers, timeout=self.timeout_s, allow_redirects=False, stream=True
            )
            answer.close()
        except requests.RequestException as error:
            LOGGER.warning("the webhook of alerts cannot be reached (%s); it is tried again", type(error).__name__)
            return False
        taken = 200 <= answer.status_code < 300  # a redirect is not followed, so nobody has taken it
        if not taken:
            LOGGER.warning("the webhook of alerts answered %d; it is tried again", answer.status_code)
        return taken
