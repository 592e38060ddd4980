"""Traffic of any number of sources whose disorder is that of arrival, and what must come out.

Law: of 1,000 sources and of 100,000 come equally many events, with as many confirmations, as many of them overtaken
and as many repeated; only whose they are differs.

A source sends in bursts, as a machine does that ends a cycle. Of all records a tenth is overtaken by up to ``REACH``
records of the whole stream, which are half a second of it at 10,000 a second: so a record waits for one of its
burst that is on another way, not for what its source will send in an hour, as in workload W of so many sources.
The truth is added up from what is sent, before anything is disturbed. Kept in the user's cache, as W.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.workload import CACHE, Workload, canon

EVENTS: Final = 8_000_000
OVERTAKEN, REACH = 0.1, 5_000
AGAIN, AGAIN_WITHIN = 0.05, 2_000
"""The last three are in records of the whole stream; as many are repeated, within as many, as in W."""
BURST, APART = 4, 100
"""So many records of a source come about so many records of the stream apart."""
ORDER: Final = 40
"""Events of an order; each source is at another place of its first one."""
_CHUNK: Final = 100_000
_PER_MS: Final = 10
_BEGAN: Final = datetime(2026, 1, 5, 6, tzinfo=UTC)

_Ints = NDArray[np.int64]


def overtaken(sources: int) -> Workload:
    """Return ``EVENTS`` events of so many sources, made once; each of these has at least ``ORDER`` events."""
    each, rest = divmod(EVENTS, sources)
    assert each % ORDER == 0, "then every number of sources has as many confirmations"
    assert not rest
    folder = CACHE / f"overtaken-{EVENTS}-{sources}"
    about = folder / "about.json"
    if not about.exists():
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "chunks").mkdir(parents=True)
        about.write_text(json.dumps(_make(Workload(folder, 0, 0, ""), sources, each)))
    return Workload(folder, **json.loads(about.read_text()))


def _make(made: Workload, sources: int, each: int) -> dict[str, int | str]:
    """Write the chunks, and return what is to be known of them."""
    rng = np.random.default_rng(42)
    number = np.tile(np.arange(each), sources)
    source = np.repeat(np.arange(sources), each)
    turn = (number // BURST + np.repeat(rng.random(sources), each)) * BURST * sources
    sent = turn.astype(np.int64) + number % BURST * APART
    ms = sent // _PER_MS
    run = (number + np.repeat(rng.integers(1, ORDER, sources), each)) // ORDER
    figures = {
        "good_qty": rng.integers(1, 6, EVENTS),
        "scrap_qty": np.where(rng.random(EVENTS) < 0.03, rng.integers(1, 4, EVENTS), 0),
        "runtime_ms": rng.integers(800, 60_000, EVENTS),
        "energy_wh": rng.integers(5, 900, EVENTS),
    }
    came = sent + np.where(rng.random(EVENTS) < OVERTAKEN, rng.integers(1, REACH + 1, EVENTS), 0)
    again = rng.choice(EVENTS, round(EVENTS * AGAIN), replace=False)
    places = np.concatenate((came, came[again] + rng.integers(1, AGAIN_WITHIN + 1, len(again))))
    arrival = np.concatenate((np.arange(EVENTS), again))[np.argsort(places, kind="stable")]
    for at, begin in enumerate(range(0, len(arrival), _CHUNK)):
        rows = arrival[begin : begin + _CHUNK]
        chunk = made.chunks / f"c{at:03d}.ndjson"
        chunk.write_text("".join(_lines(source[rows], number[rows], ms[rows], run[rows], figures, rows)))
        os.utime(chunk, (1_767_600_000 + at, 1_767_600_000 + at))
    rows_n, digest = canon(_truth(source, ms, run, figures))
    return {"messages": len(arrival), "rows": rows_n, "digest": digest}


def _lines(
    source: _Ints, number: _Ints, ms: _Ints, run: _Ints, figures: dict[str, _Ints], rows: _Ints
) -> Iterator[str]:
    columns = (source, number, ms, run, *(figures[name][rows] for name in figures))
    for s, q, t, r, good, scrap, runtime, energy in zip(*(column.tolist() for column in columns), strict=True):
        reason = '"tool_wear"' if scrap else "null"
        yield (
            f'{{"plant":"P1","source":"{_source(s)}","seq":{q},"event_time":"{_time(t)}","order":"{_order(s, r)}",'
            f'"operation":"0010","work_center":"{_work_center(s)}","good_qty":{good},"scrap_qty":{scrap},'
            f'"scrap_reason":{reason},"runtime_ms":{runtime},"energy_wh":{energy},"lot":"L{r}"}}\n'
        )


def _truth(source: _Ints, ms: _Ints, run: _Ints, figures: dict[str, _Ints]) -> Iterator[dict[str, object]]:
    """Yield what must be confirmed: every order of a source but its last, which may go on."""
    begins = np.flatnonzero((np.diff(source, prepend=-1) != 0) | (np.diff(run, prepend=-1) != 0))
    ends = np.append(begins[1:], len(source))
    sums = {name: np.add.reduceat(column, begins).tolist() for name, column in figures.items()}
    over = (source[np.minimum(ends, len(source) - 1)] == source[begins]) & (ends < len(source))
    for at in np.flatnonzero(over).tolist():
        begin, end = int(begins[at]), int(ends[at])
        s, r = int(source[begin]), int(run[begin])
        yield {
            "plant": "P1",
            "source": _source(s),
            "order": _order(s, r),
            "operation": "0010",
            "work_center": _work_center(s),
            "lot": f"L{r}",
            **{name: column[at] for name, column in sums.items()},
            "events": end - begin,
            "first_time": _time(int(ms[begin])),
            "last_time": _time(int(ms[end - 1])),
        }


def _source(s: int) -> str:
    return f"P1-M{s:06d}"


def _order(s: int, run: int) -> str:
    return f"{s:06d}{run:06d}"


def _work_center(s: int) -> str:
    return f"WC-{s // 50:04d}"


def _time(ms: int) -> str:
    second, rest = divmod(ms, 1_000)
    return f"{_second(second)}.{rest:03d}Z"


@cache
def _second(second: int) -> str:
    return f"{_BEGAN + timedelta(seconds=second):%Y-%m-%dT%H:%M:%S}"
