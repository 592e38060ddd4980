"""Job J in Pathway: grouped by source, one stateful reducer in Python, over files that are all there.

    pathway_stateful.py INPUT_FOLDER OUTPUT_FILE

The input is read as a static table: Pathway is faster so than in streaming mode, where it hands rows on in
small batches, and it ends when the input does. Does not: survive a crash (persistence is off, which is
faster), check anything, bound its memory.
"""

from __future__ import annotations

import sys

import pathway as pw

COLUMNS = (
    "seq", "plant", "source", "order", "operation", "work_center", "lot",
    "good_qty", "scrap_qty", "runtime_ms", "energy_wh", "event_time",
)  # fmt: skip
"""What the reducer is given of each event, in this order."""


class Event(pw.Schema):
    plant: str
    source: str
    seq: int
    event_time: str
    order: str
    operation: str
    work_center: str
    good_qty: int
    scrap_qty: int
    runtime_ms: int
    energy_wh: int
    lot: str


Confirmation = tuple[str, str, str, str, str, str, int, int, int, int, int, str, str]


@pw.reducers.stateful_many
def processed(state: pw.PyObjectWrapper | None, rows: list[tuple[list, int]]) -> pw.PyObjectWrapper:
    """Return the next number, the events above it, the open run, and the runs that are done."""
    following, held, run, done = state.value if state is not None else (0, {}, None, ())
    held, done = dict(held), list(done)  # The engine compares states: the old one must stay as it was.
    run = None if run is None else list(run)
    for values, _ in rows:
        event = values
        seq = event[0]
        if seq < following or seq in held:
            continue
        if seq != following:
            held[seq] = event
            continue
        while event is not None:
            if run is None or run[2] != event[3] or run[3] != event[4]:
                if run is not None:
                    done.append(tuple(run))
                run = [*event[1:11], 1, event[11], event[11]]
            else:
                run[6] += event[7]
                run[7] += event[8]
                run[8] += event[9]
                run[9] += event[10]
                run[10] += 1
                run[12] = event[11]
            following += 1
            event = held.pop(following, None)
    return pw.wrap_py_object((following, held, None if run is None else tuple(run), tuple(done)))


@pw.udf(deterministic=True)
def done_runs(state: pw.PyObjectWrapper) -> list[Confirmation]:
    return list(state.value[3])


def main(inputs: str, outputs: str) -> None:
    events = pw.io.jsonlines.read(inputs, schema=Event, mode="static")
    state = events.groupby(events.source).reduce(
        events.source, state=processed(*[events[column] for column in COLUMNS])
    )
    run = state.select(run=done_runs(state.state)).flatten(pw.this.run).run
    names = (*COLUMNS[1:11], "events", "first_time", "last_time")
    pw.io.jsonlines.write(run.table.select(**{name: run[place] for place, name in enumerate(names)}), outputs)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)


if __name__ == "__main__":
    main(*sys.argv[1:])
