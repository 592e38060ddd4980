"""How long postings took, in the limits that objectives may name: what these are judged by (M37-M39).

Law: the sums equal those over all receipts that say accepted. Of each limit in ``WITHIN_S`` is known exactly how many
postings took no longer, so an objective that is changed is judged over its whole past at once.
"""

from __future__ import annotations

from typing import Final

from sinks.analytics.rollups import Rollup, instant_column, key_column, sum_column

SLOT_US: Final = 300_000_000
"""The shortest time over which an objective is judged."""
WITHIN_S: Final = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800),
    *(3_600, 7_200, 14_400, 28_800, 43_200, 86_400, 172_800, 604_800),
)
"""Times that an objective may name, in seconds."""
LONGER_S: Final = 1_000_000_000
"""Stands for longer than all of them."""

_COMMITTED: Final = "coalesce(committed_us, answered_us)"
HOPS: Final = {
    "occurred-committed": ("occurred_us", _COMMITTED),
    "enqueued-committed": ("enqueued_us", _COMMITTED),
    "occurred-enqueued": ("occurred_us", "enqueued_us"),
    "enqueued-sent": ("enqueued_us", "first_sent_us"),
    "sent-committed": ("first_sent_us", _COMMITTED),
}
"""From which instant of a receipt to which one a hop is."""

_EACH: Final = ", ".join(f"{{'hop': '{hop}', 'hop_us': {until} - {since}}}" for hop, (since, until) in HOPS.items())
_WITHIN: Final = " ".join(f"WHEN hop_us <= {limit_s}000000 THEN {limit_s}" for limit_s in WITHIN_S)

DELIVERY_TIME: Final = Rollup(
    "delivery_time",
    "How long postings took that an ERP accepted, per hop and five minutes of the answer; sums of table receipt.",
    "receipt",
    keys=(
        key_column(
            "slot_us",
            "Start of the five minutes (UTC) in which the answer came, in microseconds since 1970-01-01.",
            f"answered_us // {SLOT_US} * {SLOT_US}",
            "BIGINT",
        ),
        key_column("erp", "Name of the ERP instance."),
        key_column("plant", "Canonical key of the plant."),
        key_column("kind", "What document it became."),
        key_column("lane", "Queue it waited in."),
        key_column("hop", "From which instant to which one, such as occurred-committed."),
        key_column(
            "within_s",
            f"They took no longer than so many seconds, and longer than the next shorter time; {LONGER_S}: than all "
            "of them.",
            f"CASE {_WITHIN} ELSE {LONGER_S} END",
            "BIGINT",
        ),
    ),
    sums=(
        sum_column("postings", "Number of postings.", "1"),
        sum_column("took_us", "What they took together, in microseconds.", "hop_us"),
    ),
    first=instant_column("first_answered_us", "answered_us", "Instant of the first answer"),
    last=instant_column("last_answered_us", "answered_us", "Instant of the last answer"),
    counted="postings",
    where="status = 'accepted'",
    each=f"[{_EACH}]",
)
