"""Where a plant loses most, and what to do first: one analysis of the published store, in cells.

Open it where cells are known (VS Code, Spyder, PyCharm; Jupyter with jupytext), or run it as it is:

    python docs/notebooks/losses.py analytics.duckdb
"""

# %% The store, as it was last published
import sys

import duckdb

STORE = sys.argv[1] if len(sys.argv) > 1 else "analytics.duckdb"
db = duckdb.connect(":memory:")
db.execute("ATTACH ? AS analytics (READ_ONLY)", [STORE])
db.execute("USE analytics")


def show(title: str, relation: duckdb.DuckDBPyRelation) -> None:
    """Print a table below its title."""
    print(f"\n{title}")
    relation.show(max_width=160)


# %% How well were the shifts used? Parts are summed, and divided once: ratios must not be averaged.
show(
    "OEE by work centre, over all that is known",
    db.sql("""
    SELECT plant, work_center, round(sum(apt) / nullif(sum(pbt), 0), 3) AS availability,
        round(sum(pru_pq) / nullif(sum(apt), 0), 3) AS effectiveness,
        round(sum(pru_gq) / nullif(sum(pru_pq), 0), 3) AS quality, round(sum(pru_gq) / nullif(sum(pbt), 0), 3) AS oee
    FROM oee_by_shift
    WHERE shift <> ''
    GROUP BY ALL
    ORDER BY oee NULLS LAST, plant, work_center
    """),
)

# %% The same as hours: what each kind of loss costs, so that they can be compared.
# Planned time = good output at its planned pace + scrap and rework + slow running + setup + stops + not used.
losses = db.sql("""
    WITH parts AS (
        SELECT plant, work_center, sum(oee.pbt) AS pbt, sum(oee.apt) AS apt, sum(oee.pru_pq) AS paced,
            sum(oee.pru_gq) AS good, sum(times.asut) AS setup, sum(times.adet) + sum(times.adot) AS stops
        FROM oee_by_shift AS oee JOIN times_by_shift AS times USING (plant, work_center, posting_date, shift)
        WHERE shift <> ''
        GROUP BY ALL
    )
    UNPIVOT (
        SELECT plant, work_center, CAST(paced - good AS DOUBLE) / 3600 AS "scrap and rework",
            CAST(greatest(apt - paced, 0) AS DOUBLE) / 3600 AS "slow running", CAST(setup AS DOUBLE) / 3600 AS setup,
            CAST(stops AS DOUBLE) / 3600 AS stops,
            CAST(greatest(pbt - apt - setup - stops, 0) AS DOUBLE) / 3600 AS "not used"
        FROM parts
    ) ON COLUMNS(* EXCLUDE (plant, work_center)) INTO NAME loss VALUE hours
""")
show(
    "Hours lost, largest first",
    db.sql("""
    SELECT plant, work_center, loss, round(hours, 2) AS hours, bar(hours, 0, max(hours) OVER (), 30) AS size
    FROM losses WHERE hours > 0 ORDER BY losses.hours DESC, plant, work_center, loss
    """),
)

# %% Why did it stop?
show("Stops and setup by reason", db.sql("FROM stops_by_reason ORDER BY seconds DESC LIMIT 15"))

# %% Why was it scrapped? The first reasons that together make four fifths are where to begin.
show(
    "Scrap by reason, down to four fifths of a plant's",
    db.sql("""
    SELECT plant, unit, reason, scrap, share
    FROM scrap_by_reason
    QUALIFY sum(scrap) OVER (PARTITION BY plant, unit ORDER BY scrap DESC, reason) - scrap
        < 0.8 * sum(scrap) OVER (PARTITION BY plant, unit)
    ORDER BY plant, unit, scrap DESC
    """),
)

# %% Is what was made where it belongs? What is not in an ERP distorts every figure above there.
show(
    "Postings by what became of them",
    db.sql("""
    SELECT plant, erp, kind, status, count(*) AS postings
    FROM posting_outcome
    GROUP BY ALL
    ORDER BY ALL
    """),
)
