"""Where the time of an event goes: processor time of each stage on workload W, in one process."""

from __future__ import annotations

import time
from functools import partial
from itertools import count

from benchmarks.workload import MAPPING, Workload
from canonical.mapping import load
from canonical.records import RawRecords
from dataflows.confirmation_stages import Account, Confirm, Count, Decode, Order
from dataflows.items import Commit, Shard, Work
from dataflows.stage import Processor

BATCH_BYTES = 8 << 20
BATCHES_PER_COMMIT = 20
READ_US = 1_770_000_000_000_000


def measure(workload: Workload, batches: int = 40) -> dict[str, float]:
    """Return nanoseconds of processor time an event for framing, each stage, and encoding the state."""
    shard = Shard("w", load(MAPPING))
    build = {"decode": Decode, "sequence": Order, "counter": Count, "aggregate": Confirm}
    stages: dict[str, Processor] = {name: make(shard, {}) for name, make in build.items()}
    stages["ledger"] = partial(Account, flow="bench")(shard, {})
    spent = dict.fromkeys(("framing", *stages, "state"), 0)
    events = 0
    for number, data in zip(count(1), _batches(workload, batches), strict=False):
        began = time.process_time_ns()
        raw = RawRecords.from_lines(data, number * BATCH_BYTES)
        spent["framing"] += time.process_time_ns() - began
        events += len(raw)
        works = [Work(READ_US, raw)]
        for name, stage in stages.items():
            began = time.process_time_ns()
            works = [out for work in works for out in stage.work(work)]
            spent[name] += time.process_time_ns() - began
        if number % BATCHES_PER_COMMIT == 0:
            began = time.process_time_ns()
            commit = Commit(READ_US, "")
            for stage in stages.values():
                stage.commit(commit)
            spent["state"] += time.process_time_ns() - began
    return {name: ns / events for name, ns in spent.items()}


def _batches(workload: Workload, limit: int) -> list[bytes]:
    out: list[bytes] = []
    for chunk in sorted(workload.chunks.iterdir()):
        data = chunk.read_bytes()
        while data and len(out) < limit:
            end = data.rfind(b"\n", 0, BATCH_BYTES) + 1
            out.append(data[:end])
            data = data[end:]
    return out
