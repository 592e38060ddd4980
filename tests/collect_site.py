"""A site whose plant is collected: its settings, and the flows that run as processes and may be killed."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from canonical.contracts import DeadLetter
from sinks.commit_log import CommitLogUnavailable
from sinks.dead_letters import parse
from sinks.sqlite import SqliteStreams
from tests.command import started
from tests.forked import Forked

DEADLINE_S = 60


class CollectSite:
    """Args: mapping: the plant's file, which names ``collected = ["line"]``; collector: TOML of ``[collect.line]``."""

    def __init__(self, folder: Path, mapping: str, collector: str, more: str = "") -> None:
        self.folder = folder
        self.flows: dict[str, Forked] = {}
        (folder / "plant.toml").write_text(mapping)
        (folder / "plantsync.toml").write_text(
            f'plants = ["plant.toml"]\n{more}\n[pace]\ncommit_interval_s = 0.1\noutage_wait_max_s = 0.2\n'
            f"[collect.line]\n{collector}\n"
        )

    def start(self, *flows: str) -> None:
        for flow in flows:
            self.flows[flow] = started(self.folder, "run", flow, "--quiet")

    def kill(self, flow: str) -> None:
        self.flows[flow].kill()
        assert self.flows.pop(flow).wait() == -signal.SIGKILL

    def stop(self, flow: str) -> None:
        self.flows[flow].terminate()
        assert self.flows.pop(flow).wait(30) == 0

    def close(self) -> None:
        for flow in self.flows.values():
            flow.kill()
            flow.wait()

    def spooled(self) -> list[bytes]:
        return [stored.value for stored in self._read("spool.db", "collected:line")]

    def confirmed(self) -> list[dict]:
        return [json.loads(stored.value) for stored in self._read("plantsync.db", "confirmations")]

    def faults(self) -> int:
        return len(self._read("plantsync.db", "dead-letters"))

    def letters(self) -> list[DeadLetter]:
        return [parse(stored) for stored in self._read("plantsync.db", "dead-letters")]

    def refused(self) -> list[bytes]:
        return [stored.value for stored in self._read("spool.db", "refused:line")]

    def good(self) -> int:
        return sum(each["good"] for each in self.confirmed()) // 1000

    def _read(self, name: str, stream: str) -> list:
        try:
            with closing(SqliteStreams(self.folder / "state" / name)) as streams:
                return streams.read(stream, 0, 1_000_000)
        except CommitLogUnavailable:
            return []  # the flow has not made it yet


def until(found: Callable[[], object], expected: object) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while found() != expected:
        assert time.monotonic() < deadline, f"{found()} is not {expected}"
        time.sleep(0.05)
