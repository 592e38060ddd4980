"""The contracts of plantsync, each defined once as a pydantic model.

Arrow and Avro schemas are derived from these models (``canonical.schemas``); nothing else
in the project states a field of a contract a second time.
"""

from canonical.contracts.confirmation import CloseReason, Confirmation, ConfirmationKind
from canonical.contracts.dead_letter import DeadLetter, Header
from canonical.contracts.event import Event, EventType, EventV1, upcast
from canonical.contracts.fault import Fault, FaultCode
from canonical.contracts.ledger import Fate, Gap, LedgerEntry, LedgerRange
from canonical.contracts.trail import TrailAction, TrailEntry, trail_hash

__all__ = [
    "CloseReason",
    "Confirmation",
    "ConfirmationKind",
    "DeadLetter",
    "Event",
    "EventType",
    "EventV1",
    "Fate",
    "Fault",
    "FaultCode",
    "Gap",
    "Header",
    "LedgerEntry",
    "LedgerRange",
    "TrailAction",
    "TrailEntry",
    "trail_hash",
    "upcast",
]
