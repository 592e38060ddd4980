"""Job J in Bytewax as its documentation teaches: one item an event, state by key.

    bytewax_per_event.py INPUT_FOLDER OUTPUT_FILE steps|fused

steps: three stateful operators, each with one duty (drop duplicates, order, sum), which is how one would
write it. fused: all three in one operator, which is how one would make it faster.
Does not: survive a crash (recovery is off, which is faster), check anything, bound its memory.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import bytewax.operators as op
from bytewax.connectors.files import FileSink
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.run import cli_main
from orjson import dumps, loads

LINES_A_BATCH = 1000


class Lines(StatelessSourcePartition):
    """Lines of the files in the order of their names, a thousand at a time, as Bytewax's own FileSource reads."""

    def __init__(self, paths: list[Path]) -> None:
        self.lines = (line for path in paths for line in path.open())

    def next_batch(self) -> list[str]:
        batch = list(islice(self.lines, LINES_A_BATCH))
        if not batch:
            raise StopIteration
        return batch


class Folder(DynamicSource):
    """Bytewax's own DirSource reads files side by side, which is another order than that of arrival."""

    def __init__(self, folder: str) -> None:
        self.paths = sorted(Path(folder).glob("*.ndjson"))

    def build(self, _step: str, index: int, _count: int) -> Lines:
        return Lines([] if index else self.paths)


def unique(state, event):
    """Pass an event on once: state is the number below which all were seen, and those seen above it."""
    low, seen = state if state is not None else (0, set())
    seq = event["seq"]
    if seq < low or seq in seen:
        return (low, seen), []
    seen.add(seq)
    while low in seen:
        seen.discard(low)
        low += 1
    return (low, seen), [event]


def ordered(state, event):
    """Pass events on in order: state is the next number and the events above it."""
    following, held = state if state is not None else (0, {})
    if event["seq"] != following:
        held[event["seq"]] = event
        return (following, held), []
    out = []
    while event is not None:
        out.append(event)
        following += 1
        event = held.pop(following, None)
    return (following, held), out


def summed(run, event):
    """Pass a run on when the next begins: state is the open run."""
    if run is None or run["order"] != event["order"] or run["operation"] != event["operation"]:
        begun = {
            "plant": event["plant"],
            "source": event["source"],
            "order": event["order"],
            "operation": event["operation"],
            "work_center": event["work_center"],
            "lot": event["lot"],
            "good_qty": event["good_qty"],
            "scrap_qty": event["scrap_qty"],
            "runtime_ms": event["runtime_ms"],
            "energy_wh": event["energy_wh"],
            "events": 1,
            "first_time": event["event_time"],
            "last_time": event["event_time"],
        }
        return begun, [] if run is None else [run]
    run["good_qty"] += event["good_qty"]
    run["scrap_qty"] += event["scrap_qty"]
    run["runtime_ms"] += event["runtime_ms"]
    run["energy_wh"] += event["energy_wh"]
    run["events"] += 1
    run["last_time"] = event["event_time"]
    return run, []


def fused(state, event):
    """Do all three: state is the next number, the events above it, and the open run."""
    if state is None:
        state = [0, {}, None]
    following, held, run = state
    seq = event["seq"]
    if seq < following or seq in held:
        return state, []
    if seq != following:
        held[seq] = event
        return state, []
    out = []
    while event is not None:
        run, closed = summed(run, event)
        out += closed
        following += 1
        event = held.pop(following, None)
    state[0], state[2] = following, run
    return state, out


def dataflow(inputs: str, outputs: str, how: str) -> Dataflow:
    flow = Dataflow("job")
    events = op.map("decode", op.input("in", flow, Folder(inputs)), loads)
    stream = op.key_on("source", events, lambda event: event["source"])
    if how == "steps":
        stream = op.stateful_flat_map("unique", stream, unique)
        stream = op.stateful_flat_map("ordered", stream, ordered)
        stream = op.stateful_flat_map("summed", stream, summed)
    else:
        stream = op.stateful_flat_map("fused", stream, fused)
    encoded = op.map_value("encode", stream, lambda run: dumps(run).decode())
    op.output("out", encoded, FileSink(outputs))
    return flow


if __name__ == "__main__":
    cli_main(dataflow(*sys.argv[1:]))
