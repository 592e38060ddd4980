"""What governs the delivery to one ERP: every bound and wait, as integers with their units."""

from __future__ import annotations

from dataclasses import dataclass

SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """How one ERP is treated.

    Args:
        rate_milli: calls a second on average, in thousandths; each call of the adapter is one.
        burst: calls that may follow each other at once after a pause.
        in_flight_max: calls under way at the same time.
        held_max: postings that are read and not settled; where there are as many, the queue is read no further.
        window_max: postings that may have been sent and have no answer yet, as far as a restart knows.
        order_window_max: of these, postings of one order.
        bulk_max: postings in one call, where the adapter can.
        lease_us: calls may begin so long after a commit; another process waits so long before its first call.
        settle_us: an ERP may still execute a call whose answer was lost, so long after it may have begun.
        backoff_us, backoff_max_us: wait before the first repetition, doubled with each, and its bound.
        attempts_max: failed calls of a posting after which a person must decide.
        locked_after_us: an order that is locked in the ERP so long becomes an exception.
        breaker_failures: failures in a row, of any postings, after which the ERP is left alone.
        probe_us, probe_max_us: wait before it is tried with one call, doubled with each failure, and its bound.
        movement_us, movement_max_us: wait before the first question for what follows a document, and its bound.
        movement_timeout_us: a second level that is open so long becomes an exception.
        in_turn: an order's next posting waits until the ERP has processed what it accepted, too; else only for the
            acceptance.
        documents_max: documents remembered, to know a posting that comes twice and what a reversal takes back.
    """

    rate_milli: int = 10_000
    burst: int = 10
    in_flight_max: int = 8
    held_max: int = 2_000
    window_max: int = 200
    order_window_max: int = 4
    bulk_max: int = 1
    lease_us: int = 5 * SECOND_US
    settle_us: int = 90 * SECOND_US
    backoff_us: int = SECOND_US
    backoff_max_us: int = 60 * SECOND_US
    attempts_max: int = 10
    locked_after_us: int = 600 * SECOND_US
    breaker_failures: int = 5
    probe_us: int = 5 * SECOND_US
    probe_max_us: int = 300 * SECOND_US
    movement_us: int = 5 * SECOND_US
    movement_max_us: int = 300 * SECOND_US
    movement_timeout_us: int = 3_600 * SECOND_US
    in_turn: bool = False
    documents_max: int = 50_000


def backoff_us(failures: int, first_us: int, most_us: int, chance: float) -> int:
    """Return the wait after this many failures in a row: doubled each time, bounded, half of it by chance."""
    whole = min(first_us << min(max(failures - 1, 0), 40), most_us)
    return whole // 2 + round(whole / 2 * chance)
