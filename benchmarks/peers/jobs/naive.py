"""Job J as a plain loop: orjson, a dict of sources, one pass. What a good script would do.

    naive.py INPUT_FOLDER OUTPUT_FILE

Does: drop duplicates, put the events of each source in order, sum each run of one order and operation.
Does not: check anything, know types, units or time, survive a crash, bound its memory.
"""

from __future__ import annotations

import sys
from pathlib import Path

from orjson import dumps, loads


class Source:
    """The number that continues the sequence, the events above it, and the open run."""

    __slots__ = ("held", "next", "run")

    def __init__(self) -> None:
        self.next = 0
        self.held: dict[int, dict] = {}
        self.run: dict | None = None


def main(inputs: str, outputs: str) -> None:
    sources: dict[str, Source] = {}
    with Path(outputs).open("wb") as out:
        for path in sorted(Path(inputs).glob("*.ndjson")):
            with path.open("rb") as lines:
                for line in lines:
                    event = loads(line)
                    source = sources.get(event["source"])
                    if source is None:
                        source = sources[event["source"]] = Source()
                    seq = event["seq"]
                    if seq < source.next or seq in source.held:
                        continue
                    if seq != source.next:
                        source.held[seq] = event
                        continue
                    while event is not None:
                        source.next += 1
                        run = source.run
                        if run is None or run["order"] != event["order"] or run["operation"] != event["operation"]:
                            if run is not None:
                                out.write(dumps(run) + b"\n")
                            source.run = begun(event)
                        else:
                            run["good_qty"] += event["good_qty"]
                            run["scrap_qty"] += event["scrap_qty"]
                            run["runtime_ms"] += event["runtime_ms"]
                            run["energy_wh"] += event["energy_wh"]
                            run["events"] += 1
                            run["last_time"] = event["event_time"]
                        event = source.held.pop(source.next, None)


def begun(event: dict) -> dict:
    """Return the run that this event begins."""
    return {
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


if __name__ == "__main__":
    main(*sys.argv[1:])
