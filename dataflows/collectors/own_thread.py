"""A collector in a thread of its own, so that a peer that lets it wait holds up no other (law 6).

Law: records, positions and parts of the state are handed over as the collector gave them, together and in order. It is
called by one thread only, also to be told what is durable; it may wait as long as its own time-outs let it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Final

from canonical.records import NO_RECORDS, RawRecords
from dataflows.collectors.collector import Collector

WAIT_S: Final = 0.005
"""So long a poll waits for an answer that is quick."""
END_WAIT_S: Final = 1.0
"""So long the end waits for a call under way; what it would bring was told to nobody."""


@dataclass(slots=True)
class _Polled:
    """One poll: what it brought, and where the collector stood then."""

    records: RawRecords = NO_RECORDS
    position: str = ""
    state: Mapping[str, bytes] = field(default_factory=dict)
    at_end: bool = False
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)


class OwnThread:
    """Reads another collector; a ``Collector``."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._polled: _Polled | None = None
        self._position, self._at_end = "", False
        self._state: dict[str, bytes] = {}

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on from a committed position."""
        self._collector.seek(position, state)
        self._position = self._collector.position()
        self._thread.start()

    def poll(self) -> RawRecords:
        """Return what the last question brought; none while it is being asked. Raises: as the collector does."""
        if self._polled is None:
            self._polled = polled = _Polled()
            self._jobs.put(lambda: self._ask(polled))
        if not self._polled.done.wait(WAIT_S):
            return NO_RECORDS
        polled, self._polled = self._polled, None
        if polled.error is not None:
            raise polled.error
        self._position, self._at_end = polled.position, polled.at_end
        self._state |= polled.state
        return polled.records

    def position(self) -> str:
        """Return where the collector stood when it had given what was handed over last."""
        return self._position

    def state(self) -> Mapping[str, bytes]:
        """Return the parts of its state that changed since the last call."""
        state, self._state = self._state, {}
        return state

    def at_end(self) -> bool:
        """Return whether nothing more was there at the last poll that was answered."""
        return self._at_end

    def behind(self) -> int:
        """Return 0: it is not asked."""
        return 0

    def committed(self, position: str) -> None:
        """Tell the collector, after what it is doing."""
        self._jobs.put(lambda: self._collector.committed(position))

    def close(self) -> None:
        """Close the collector, as soon as it has done what it is doing."""
        if self._thread.ident is None:
            self._collector.close()
            return
        self._jobs.put(None)
        self._thread.join(END_WAIT_S)

    def _ask(self, polled: _Polled) -> None:
        collector = self._collector
        try:
            polled.records = collector.poll()
            polled.position, polled.state, polled.at_end = collector.position(), collector.state(), collector.at_end()
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            polled.error = error
        polled.done.set()

    def _run(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                job()
        finally:
            self._collector.close()
