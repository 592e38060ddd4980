"""Streams of the commit log by name: what the flows and people write and others read."""

from __future__ import annotations

from typing import Final

CONFIRMATIONS: Final = "confirmations"
EVENTS: Final = "events"
DEAD_LETTERS: Final = "dead-letters"
GAPS: Final = "gaps"
LEDGER: Final = "ledger"
RANGES: Final = "ranges"
TRAIL: Final = "trail"
"""The audit trail; it is kept for ever."""

ACTIONS: Final = "actions"
"""What people decide about exceptions and postings."""
EXCEPTIONS: Final = "exceptions"
RECEIPTS: Final = "receipts"
UNPOSTED: Final = "unposted"
"""What is not posted, or not yet, and why."""
COMMANDS: Final = "commands"
"""To the quality and the warehouse system."""
USAGE: Final = "usage"
"""What of each component of an order was planned and issued."""
STATES: Final = "states"
"""Marks from which sources are in a state."""
TELEMETRY: Final = "telemetry"
"""What no confirmation accounts for, by the minute."""

POSTINGS: Final = "postings-"
"""Streams whose names begin so are posting queues."""


def postings(erp: str) -> str:
    """Return the posting queue of an ERP instance."""
    return f"{POSTINGS}{erp}"
