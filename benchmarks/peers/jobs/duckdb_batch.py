"""Job J as one SQL query over all files at once, in DuckDB.

    duckdb_batch.py INPUT_FOLDER OUTPUT_FILE [THREADS]

Does: what the job asks, when everything has arrived. Does not: stream, so it has no order to keep and no
events to hold; nor can it say anything before the last event is there.
"""

from __future__ import annotations

import sys

import duckdb

QUERY = """
COPY (
    WITH event AS (
        SELECT * FROM read_json($inputs || '/*.ndjson', format = 'newline_delimited', columns = {
            plant: 'VARCHAR', source: 'VARCHAR', seq: 'BIGINT', event_time: 'VARCHAR', "order": 'VARCHAR',
            operation: 'VARCHAR', work_center: 'VARCHAR', good_qty: 'BIGINT', scrap_qty: 'BIGINT',
            runtime_ms: 'BIGINT', energy_wh: 'BIGINT', lot: 'VARCHAR'
        })
    ),
    once AS (
        SELECT source, seq, any_value(COLUMNS(* EXCLUDE (source, seq))) FROM event GROUP BY source, seq
    ),
    run AS (
        SELECT source, "order", operation, any_value(plant) AS plant, any_value(work_center) AS work_center,
            any_value(lot) AS lot, sum(good_qty)::BIGINT AS good_qty, sum(scrap_qty)::BIGINT AS scrap_qty,
            sum(runtime_ms)::BIGINT AS runtime_ms, sum(energy_wh)::BIGINT AS energy_wh, count(*) AS events,
            arg_min(event_time, seq) AS first_time, arg_max(event_time, seq) AS last_time, max(seq) AS last_seq
        FROM once GROUP BY source, "order", operation
    )
    -- The last run of each source is still open.
    SELECT * EXCLUDE (last_seq) FROM run
    QUALIFY last_seq < max(last_seq) OVER (PARTITION BY source)
) TO $outputs (FORMAT json)
"""


def main(inputs: str, outputs: str, threads: str = "") -> None:
    query = QUERY.replace("$inputs", _quoted(inputs)).replace("$outputs", _quoted(outputs))
    with duckdb.connect() as connection:
        if threads:
            connection.execute(f"SET threads = {int(threads)}")
        connection.execute(query)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


if __name__ == "__main__":
    main(*sys.argv[1:])
