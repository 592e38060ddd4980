"""Where the time of an event goes: processor time of each stage on workload W, in one process."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.workload import Form, Workload
from canonical.decoders.avro_container import Container
from canonical.mapping import load
from canonical.records import RawRecords
from dataflows.confirmation_stages import Account, Confirm, Count, Decode, Order
from dataflows.items import Commit, Shard, Work
from dataflows.observe import Observe
from dataflows.stage import Processor

BATCH_BYTES = 8 << 20
BATCH_ROWS = 50_000
BATCHES_PER_COMMIT = 20
READ_US = 1_770_000_000_000_000


def measure(workload: Workload, batches: int = 40, form: str = "json", mapping: Path | None = None) -> dict[str, float]:
    """Return nanoseconds of processor time an event for framing, each stage, and encoding the state.

    Framing is from bytes in memory to records; ``form`` is json or avro; ``mapping`` another than the form's.
    """
    landed = workload.form(form)
    shard = Shard("w", load(mapping or landed.mapping))
    build = {"decode": Decode, "sequence": Order, "counter": Count, "observe": Observe, "aggregate": Confirm}
    stages: dict[str, Processor] = {name: make(shard, {}) for name, make in build.items()}
    stages["ledger"] = partial(Account, flow="bench")(shard, {})
    spent = dict.fromkeys(("framing", *stages, "state"), 0)
    events = 0
    framed = (_containers if form == "avro" else _lines)(landed, spent)
    for number, raw in zip(range(1, batches + 1), framed, strict=False):
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


def _lines(landed: Form, spent: dict[str, int]) -> Iterator[RawRecords]:
    number = 0
    for chunk in sorted(landed.folder.iterdir()):
        data = chunk.read_bytes()
        while data:
            end = data.rfind(b"\n", 0, BATCH_BYTES) + 1
            batch, data = data[:end], data[end:]
            number += 1
            began = time.process_time_ns()
            raw = RawRecords.from_lines(batch, number * BATCH_BYTES)
            spent["framing"] += time.process_time_ns() - began
            yield raw


def _containers(landed: Form, spent: dict[str, int]) -> Iterator[RawRecords]:
    first = 0
    for chunk in sorted(landed.folder.iterdir()):
        container = Container(io.BytesIO(chunk.read_bytes()))
        while True:
            began = time.process_time_ns()
            raw = container.read(BATCH_ROWS, BATCH_BYTES)
            spent["framing"] += time.process_time_ns() - began
            if not len(raw):
                break
            yield replace(raw, offsets=raw.offsets + first)
        first += 1 << 40
