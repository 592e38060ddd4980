"""What a commit to the analytics store costs, by what is committed: many rows at once, and few, as is usual.

Processor time of all threads, medians. A million confirmations and what belongs to them are stored before, so that
tables that are merged into have rows. 10,000 postings are of two days, as after an outage; 100 are of half an hour.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import duckdb

from benchmarks.facts import GROWING, Scale, growing
from sinks.analytics.store import Store, StoreConfig

BEFORE = 1_000_000
SIZES = {10_000: 3, 100: 15}
"""Rows of a commit, and how many of them are measured."""


def measure(folder: Path) -> dict[str, float]:
    """Return ms of processor time of a commit, by table and number of rows."""
    scale, found = Scale(BEFORE), {}
    store = Store(
        StoreConfig(path=folder / "commits.duckdb", published=folder / "commits-published.duckdb"),
        "f",
        scale.calendars(),
    )
    with duckdb.connect() as made:
        for name in GROWING:
            store.restore(name)
            store.commit(name, "0", {name: growing(made, scale, name, 0, BEFORE)})
        done = dict.fromkeys(GROWING, BEFORE)
        for size, turns in SIZES.items():
            for name, (_, every) in GROWING.items():
                spent = []
                for _ in range(turns):
                    first = done[name]
                    rows = growing(made, scale, name, first, first + max(size * every, 60 * scale.work_centres))
                    done[name] = first + max(size * every, 60 * scale.work_centres)
                    rows, began_s = rows.slice(0, size), time.process_time()
                    store.commit(name, str(done[name]), {name: rows})
                    spent.append(time.process_time() - began_s)
                found[f"{name}, {size:,}"] = median(spent) * 1e3
                store.publish()
    store.close()
    return found
