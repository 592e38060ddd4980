"""A collector in a thread of its own: same records, positions and answers, and nobody waits for it (law 6)."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import numpy as np
import pytest

from canonical.records import NO_RECORDS, RawRecords
from dataflows.collectors.own_thread import OwnThread
from dataflows.sources.errors import SourceUnavailable


class Peer:
    """Gives one record a poll, numbered; may be held, and remembers who called it."""

    def __init__(self) -> None:
        self.at = 0
        self.free = threading.Event()
        self.free.set()
        self.told: list[str] = []
        self.threads: set[int] = set()
        self.closed = threading.Event()
        self.away = False

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:  # noqa: ARG002
        self.at = int(position or 0)

    def poll(self) -> RawRecords:
        self.threads.add(threading.get_ident())
        self.free.wait()
        if self.away:
            raise SourceUnavailable("away")
        self.at += 1
        return RawRecords.from_values([b"%d" % self.at], np.array([self.at]))

    def position(self) -> str:
        return str(self.at)

    def state(self) -> Mapping[str, bytes]:
        return {f"part{self.at}": b"x"}

    def at_end(self) -> bool:
        return self.at % 2 == 0

    def behind(self) -> int:
        return 0

    def committed(self, position: str) -> None:
        self.threads.add(threading.get_ident())
        self.told.append(position)

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed.set()


@pytest.fixture
def peer():
    return Peer()


@pytest.fixture
def reader(peer):
    threaded = OwnThread(peer)
    threaded.seek("4", {})
    yield threaded
    peer.free.set()
    threaded.close()


def polled(reader: OwnThread) -> RawRecords:
    deadline = time.monotonic() + 20
    while not len(records := reader.poll()):
        assert time.monotonic() < deadline
    return records


def test_records_position_and_state_come_together(reader):
    assert reader.position() == "4"
    for number in range(5, 9):
        raw = polled(reader)
        assert (raw.value(0), reader.position(), reader.at_end()) == (b"%d" % number, str(number), number % 2 == 0)
        assert reader.state() == {f"part{number}": b"x"}
        assert reader.state() == {}


def test_who_waits_for_the_peer_is_its_own_thread(reader, peer):
    peer.free.clear()
    began = time.monotonic()
    assert all(reader.poll() is NO_RECORDS for _ in range(5))
    assert time.monotonic() - began < 5
    assert reader.position() == "4", "what was not handed over was not read"
    peer.free.set()
    assert polled(reader).value(0) == b"5"


def test_an_error_is_raised_where_it_is_asked_for_and_the_position_stays(reader, peer):
    polled(reader)
    peer.away = True
    with pytest.raises(SourceUnavailable):
        polled(reader)
    assert reader.position() == "5"


def test_one_thread_calls_the_collector_to_the_end(reader, peer):
    polled(reader)
    reader.committed("5")
    reader.close()
    assert peer.closed.wait(20)
    assert peer.told == ["5"]
    assert len(peer.threads) == 1
    assert threading.get_ident() not in peer.threads
