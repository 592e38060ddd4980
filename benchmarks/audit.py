"""How long an audit takes: ranges worth 100 million events in a store, and what that says about more.

    python -m benchmarks.audit [--events N ...] [--sources N] [--per-confirmation N] [--no-history]

The ranges are made in DuckDB, not by a flow: each source confirms so many events at a time (workload W
has 222 a confirmation), passes two on one by one for each confirmation, has a gap after every fiftieth
confirmation, and half of those are filled late. The audit runs in a process of its own, with the limits it
has by default (2 threads, 1 GiB); its memory is the peak of that process. What is said of more events is a
straight line through the times measured, on a log-log scale.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import commit, machine
from canonical.identity import NAMESPACE
from sinks.analytics.store_schema import migrations
from sinks.audit.check import Scope, audit
from sinks.audit.ground import opened

HISTORY = Path(__file__).with_name("history.jsonl")
SIZES = (10_000_000, 30_000_000, 100_000_000)
FAR = 1_000_000_000
GAP_EVERY = 50

MADE = """
CREATE TEMP MACRO named(source, first_seq, kind) AS (
    SELECT CAST(d[1:12] || '5' || d[14:16] || '8' || d[18:32] AS UUID) FROM (SELECT sha1(
        from_hex(getvariable('namespace')) || encode(json_array('A', source, 's1', first_seq, kind, 0)::VARCHAR)
    ) AS d)
);
CREATE TEMP TABLE part AS
SELECT
    format('machine-{:05d}', s) AS source, n,
    n * (getvariable('per') + 4) AS first_seq, first_seq + getvariable('per') + 1 AS last_seq,
    n % getvariable('gap_every') = getvariable('gap_every') - 1 AS gap,
    n % (2 * getvariable('gap_every')) = getvariable('gap_every') - 1 AS filled,
    1700000000000000 + n * 600000000 AS at_us
FROM range(getvariable('sources')) AS a(s), range(getvariable('each')) AS b(n);

CREATE TEMP TABLE line AS
SELECT source, 'confirmed' AS fate, 'confirmation' AS kind, first_seq, last_seq, getvariable('per') AS events,
    n, at_us, named(source, first_seq, 'confirmation') AS posting_id FROM part
UNION ALL BY NAME
SELECT source, 'supplementary' AS fate, 'supplementary' AS kind, last_seq + 1 AS first_seq, last_seq + 1 AS last_seq,
    1 AS events, n, at_us, named(source, last_seq + 1, 'supplementary') AS posting_id FROM part WHERE filled
UNION ALL BY NAME
SELECT source, 'late' AS fate, last_seq + 1 AS first_seq, last_seq + 1 AS last_seq, 1 AS events, n, at_us
FROM part WHERE filled;

INSERT INTO store_hot_ledger_range BY NAME
SELECT 'shard' AS shard, 'A' AS plant, source, 's1' AS session, fate, first_seq, last_seq, events, posting_id,
    format('O-{:d}', n // 20) AS order_id, '0010' AS operation, 'H87' AS unit,
    CASE WHEN fate = 'late' THEN 0 ELSE events * 1000 END AS good, 0 AS scrap, 0 AS rework, 0 AS setup_us,
    CASE WHEN fate = 'late' THEN 0 ELSE events * 900000 END AS machine_us, 0 AS labour_us, 0 AS energy_mwh,
    at_us AS committed_us, 'stream:ranges' AS stream_shard, row_number() OVER () AS stream_offset
FROM line ORDER BY n;

INSERT INTO store_hot_confirmation BY NAME
SELECT posting_id, kind, 0 AS revision, 'A' AS plant, source, 's1' AS session, first_seq, last_seq,
    format('O-{:d}', n // 20) AS order_id, '0010' AS operation, 'WC' AS work_center, 'M' AS material, 'L' AS lot,
    '' AS reason, 'H87' AS unit, 'early' AS shift, DATE '2026-01-05' AS posting_date, events * 1000 AS good,
    0 AS scrap, 0 AS rework, 0 AS setup_us, events * 900000 AS machine_us, 0 AS labour_us, 0 AS energy_mwh, events,
    at_us AS first_occurred_us, at_us AS last_occurred_us, 0 AS first_offset, 0 AS last_offset, false AS final,
    'count' AS close_reason, 'stream:confirmations' AS stream_shard, row_number() OVER () AS stream_offset
FROM line WHERE kind IS NOT NULL ORDER BY n;

INSERT INTO store_hot_gap BY NAME
SELECT 'A' AS plant, source, 's1' AS session, last_seq + 1 AS first_seq, last_seq + 2 AS last_seq,
    at_us AS declared_us, 'stream:gaps' AS stream_shard, row_number() OVER () AS stream_offset FROM part WHERE gap;

INSERT INTO store_hot_event BY NAME
SELECT 'A' AS plant, source, 's1' AS session, first_seq + i AS seq, 'downtime' AS type, at_us AS occurred_us,
    '' AS order_id, '' AS operation, '' AS work_center, '' AS material, '' AS lot, '' AS reason, 'H87' AS unit,
    0 AS good, 0 AS scrap, 0 AS rework, 0 AS setup_us, 0 AS machine_us, 0 AS labour_us, '' AS correlation_id,
    0 AS energy_mwh, '' AS quality, 'stream:events' AS stream_shard, row_number() OVER () AS stream_offset
FROM part, (VALUES (7), (9)) AS t(i) ORDER BY n;

INSERT INTO ledger BY NAME
WITH t AS (
    SELECT source, max(last_seq) + 3 AS next_seq, count(*) AS n, count(*) FILTER (gap) AS gaps,
        count(*) FILTER (filled) AS late, max(at_us) AS committed_us FROM part GROUP BY source
)
SELECT 'shard' AS shard, 'A' AS plant, source, 's1' AS session, 0 AS start_seq, next_seq,
    next_seq - 2 * gaps + late AS read, next_seq - 2 * gaps AS released, late, 0 AS duplicates, 0 AS faults, 0 AS held,
    n * getvariable('per') + late AS accounted, 2 * (n - gaps) AS analytics_only, 2 * n AS operational, gaps,
    2 * gaps - late AS missing, 0 AS skipped, 0 AS open, 1000 * accounted AS good, 0 AS scrap, 0 AS rework,
    committed_us, 'stream:ledger' AS stream_shard, row_number() OVER () AS stream_offset
FROM t;
"""


def made(path: Path, events: int, sources: int, per_confirmation: int) -> None:
    """Write a store with the ranges of about so many events."""
    each = max(events // sources // (per_confirmation + 4), 1)
    with duckdb.connect(path) as db:
        for step in migrations():
            db.execute(step)
        db.execute("CREATE TABLE store_version AS SELECT ? AS version", [len(migrations())])
        sizes = {"sources": sources, "each": each, "per": per_confirmation, "gap_every": GAP_EVERY}
        for name, value in {**sizes, "namespace": NAMESPACE.hex}.items():
            db.execute(f"SET VARIABLE {name} = ?", [value])
        db.execute(MADE)


def measure(path: Path) -> dict[str, float]:
    """Audit a store in a process of its own; it must be clean."""
    command = [sys.executable, "-m", "benchmarks.audit", "--measure", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _measured(path: Path) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    with opened(path) as ground:
        found = audit(ground, Scope(), findings_max=3)
    assert found.clean, found.findings
    told = {
        "events": found.records,
        "ranges": found.ranges,
        "s": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu,
        "memory_mb": _peak_mb(),
    }
    sys.stdout.write(json.dumps(told))


def _peak_mb() -> float:
    """Return the most memory that this process held (proc(5)); getrusage would count the parent's before the fork."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def fitted(runs: list[dict[str, float]], events: int) -> tuple[float, float]:
    """Return the fixed seconds of the straight line through the times, and the seconds it gives for so many events."""
    mean_x, mean_y = (sum(run[name] for run in runs) / len(runs) for name in ("events", "s"))
    spread = sum((run["events"] - mean_x) ** 2 for run in runs)
    slope = sum((run["events"] - mean_x) * (run["s"] - mean_y) for run in runs) / spread
    return mean_y - slope * mean_x, mean_y + slope * (events - mean_x)


def main() -> None:
    """Measure, print, remember."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=list(SIZES), help="events whose ranges are audited")
    parser.add_argument("--sources", type=int, default=10_000, help="sources, a session each")
    parser.add_argument("--per-confirmation", type=int, default=200, help="events of each confirmation")
    parser.add_argument("--no-history", action="store_true", help="leave benchmarks/history.jsonl as it is")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        _measured(options.measure)
        return
    table = Table(title=f"Audit of a store, {options.sources:,} sources, {options.per_confirmation} events each time")
    for column in ("events", "ranges", "store MB", "s", "cpu s", "ranges/s", "memory MB"):
        table.add_column(column, justify="right")
    runs = []
    for events in sorted(options.events):
        with tempfile.TemporaryDirectory(prefix="plantsync-bench-") as folder:
            store = Path(folder) / "store.duckdb"
            made(store, events, options.sources, options.per_confirmation)
            run = measure(store) | {"store_mb": store.stat().st_size / 2**20}
        runs.append(run)
        told = (run["events"], run["ranges"], run["store_mb"], run["s"], run["cpu_s"], run["ranges"] / run["s"])
        table.add_row(*(f"{v:,.{d}f}" for v, d in zip((*told, run["memory_mb"]), (0, 0, 0, 2, 2, 0, 0), strict=True)))
    console = Console()
    console.print(table)
    if len(runs) > 1:
        fixed_s, far_s = fitted(runs, FAR)
        console.print(f"The straight line through the times: {fixed_s:.2f} s, and {far_s:,.1f} s for {FAR:,} events.")
    if not options.no_history:
        line = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": commit(),
            "machine": machine(),
            "audit": [{name: round(value, 3) for name, value in run.items()} for run in runs],
        }
        with HISTORY.open("a") as history:
            history.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
