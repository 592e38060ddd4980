"""What postings of each day amount to, kept as rows come (A14)."""

from __future__ import annotations

from typing import Final

from sinks.analytics.rollups import Rollup, instant_column, key_column, sum_column

SIGNED: Final = "CASE WHEN len(movements) > 0 THEN 0 WHEN kind = 'reversal' THEN -{0} ELSE {0} END"
"""Only confirmations report quantities; what takes one back, takes back what it reported."""


BOOKING: Final = Rollup(
    "booking",
    "What is posted, or to be, by the day it is posted to; sums of table posting.",
    "posting",
    keys=(
        key_column("erp", "Name of the ERP instance."),
        key_column("plant", "Canonical key of the plant."),
        key_column("posting_date", "Day it is posted to.", sql_type="DATE"),
        key_column("kind", "What document it becomes."),
        key_column("unit", "UN/ECE Recommendation 20 code of the quantities."),
    ),
    sums=(
        sum_column("postings", "Number of postings.", "1"),
        sum_column("good", "Yield confirmed, less what was taken back, in thousandths.", SIGNED.format("good")),
        sum_column("scrap", "Scrap confirmed, less what was taken back, in thousandths.", SIGNED.format("scrap")),
        sum_column("rework", "Rework confirmed, less what was taken back, in thousandths.", SIGNED.format("rework")),
    ),
    first=instant_column("first_end_us", "end_us", "Earliest last event of them"),
    last=instant_column("last_end_us", "end_us", "Latest last event of them"),
    counted="postings",
)
