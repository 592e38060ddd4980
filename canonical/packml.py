"""States of machines as PackML names them, and what each means as an event (M22, A18).

Source: ANSI/ISA-TR88.00.02, OPC 30050 (states and their numbers).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from canonical.contracts.event import EventType


class PackMLState(StrEnum):
    """The states, in the order of their numbers from 0."""

    UNDEFINED = "Undefined"
    CLEARING = "Clearing"
    STOPPED = "Stopped"
    STARTING = "Starting"
    IDLE = "Idle"
    SUSPENDED = "Suspended"
    EXECUTE = "Execute"
    STOPPING = "Stopping"
    ABORTING = "Aborting"
    ABORTED = "Aborted"
    HOLDING = "Holding"
    HELD = "Held"
    UNHOLDING = "Unholding"
    SUSPENDING = "Suspending"
    UNSUSPENDING = "Unsuspending"
    RESETTING = "Resetting"
    COMPLETING = "Completing"
    COMPLETE = "Complete"


_MEANING: Final = {
    EventType.RESUME: "Execute",
    # Stopped by itself or its operator: the machine's own fault.
    EventType.DOWNTIME: "Clearing Stopped Stopping Aborting Aborted Holding Held",
    # Ready, and nothing to do: starved, blocked, or without a job.
    EventType.PAUSE: "Idle Suspended Suspending Resetting Completing Complete",
    # On its way to Execute: what was goes on until then.
    EventType.STATE: "Undefined Starting Unholding Unsuspending",
}

PACKML_TYPES: Final[Mapping[PackMLState, EventType]] = MappingProxyType(
    {PackMLState(name): kind for kind, names in _MEANING.items() for name in names.split()}
)
"""The type of an event that tells a state. A machine's Complete ends its job, not the order: that is for [types]."""
