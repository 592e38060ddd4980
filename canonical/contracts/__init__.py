"""The contracts of plantsync, each defined once as a pydantic model.

Arrow and Avro schemas are derived from these models (``canonical.schemas``); nothing else
in the project states a field of a contract a second time.
"""

from canonical.contracts.business_exception import (
    OWNERS,
    SEVERITIES,
    BusinessException,
    ExceptionCode,
    Owner,
    Resolution,
    Severity,
)
from canonical.contracts.command import Action, ActionKind, Command, CommandKind
from canonical.contracts.confirmation import CloseReason, Confirmation, ConfirmationKind
from canonical.contracts.dead_letter import DeadLetter, Header
from canonical.contracts.event import Event, EventType, EventV1, EventV2, read_event, upcast
from canonical.contracts.fault import Fault, FaultCode, fault_code
from canonical.contracts.ledger import Fate, Gap, LedgerEntry, LedgerRange
from canonical.contracts.machine import MachineState, StateMark, TelemetryMinute
from canonical.contracts.posting import Lane, Movement, Posting, PostingKind, Receipt, ReceiptStatus
from canonical.contracts.reference import (
    REFERENCE,
    AnyReference,
    BinReference,
    LotReference,
    LotStatus,
    MaterialReference,
    OrderComponent,
    OrderOperation,
    OrderReference,
    OrderStatus,
    PeriodReference,
    ReasonReference,
    RouteReference,
    StepReference,
    StockType,
    UnitRatio,
    WorkCenterReference,
)
from canonical.contracts.trail import TrailAction, TrailEntry, trail_hash
from canonical.contracts.unposted import Unposted, UnpostedState
from canonical.contracts.usage import ComponentUsage

__all__ = [
    "OWNERS",
    "REFERENCE",
    "SEVERITIES",
    "Action",
    "ActionKind",
    "AnyReference",
    "BinReference",
    "BusinessException",
    "CloseReason",
    "Command",
    "CommandKind",
    "ComponentUsage",
    "Confirmation",
    "ConfirmationKind",
    "DeadLetter",
    "Event",
    "EventType",
    "EventV1",
    "EventV2",
    "ExceptionCode",
    "Fate",
    "Fault",
    "FaultCode",
    "Gap",
    "Header",
    "Lane",
    "LedgerEntry",
    "LedgerRange",
    "LotReference",
    "LotStatus",
    "MachineState",
    "MaterialReference",
    "Movement",
    "OrderComponent",
    "OrderOperation",
    "OrderReference",
    "OrderStatus",
    "Owner",
    "PeriodReference",
    "Posting",
    "PostingKind",
    "ReasonReference",
    "Receipt",
    "ReceiptStatus",
    "Resolution",
    "RouteReference",
    "Severity",
    "StateMark",
    "StepReference",
    "StockType",
    "TelemetryMinute",
    "TrailAction",
    "TrailEntry",
    "UnitRatio",
    "Unposted",
    "UnpostedState",
    "WorkCenterReference",
    "fault_code",
    "read_event",
    "trail_hash",
    "upcast",
]
