"""Streams of the commit log by name: what the flow ``confirmations`` and its operators write and others read."""

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
