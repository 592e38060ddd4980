"""A small plant with its ERP, for tests of the postings flow: builders whose defaults pass every check."""

from __future__ import annotations

from datetime import UTC, date, datetime

from canonical.contracts import (
    Action,
    BinReference,
    Confirmation,
    Event,
    LotReference,
    MaterialReference,
    OrderOperation,
    OrderReference,
    PeriodReference,
    Posting,
    ReasonReference,
    RouteReference,
    StepReference,
    WorkCenterReference,
)
from canonical.identity import posting_id
from dataflows.processors.posting.desk import Desk
from dataflows.processors.posting.outcome import Outcome
from dataflows.processors.posting.policy import PostingPolicy

NOW_US = int(datetime(2026, 11, 14, 12, tzinfo=UTC).timestamp()) * 1_000_000
HOUR_US = 3_600_000_000
DAY = date(2026, 11, 14)


def order(name="4711", status="released", **fields):
    given = {
        "changed_us": 2,
        "erp": "north",
        "plant": "A",
        "order": name,
        "status": status,
        "material": "M",
        "quantity": 100_000,
        "over_delivery": 100,
        "operations": (
            OrderOperation(operation="0010", work_center="W1"),
            OrderOperation(operation="0020", work_center="W2"),
        ),
        "storage_location": "0001",
    }
    return OrderReference(**{**given, **fields})


def work_center(name, plant="A", **fields):
    return WorkCenterReference(**{"changed_us": 1, "plant": plant, "work_center": name, **fields})


def material(name="M", **fields):
    return MaterialReference(**{"changed_us": 1, "material": name, **fields})


def lot(name="L1", of="M", status="valid", **fields):
    return LotReference(**{"changed_us": 1, "material": of, "lot": name, "status": status, **fields})


def reason(name="R1", **fields):
    return ReasonReference(**{"changed_us": 1, "plant": "A", "reason": name, "erp_reason": "0001", **fields})


def step(work_center, operations, **fields):
    return StepReference(
        **{"changed_us": 1, "plant": "A", "work_center": work_center, "operations": operations, **fields}
    )


def bin_(name="B1", **fields):
    return BinReference(**{"changed_us": 1, "plant": "A", "bin": name, "storage_location": "0001", **fields})


def route(erp="north", **fields):
    return RouteReference(**{"changed_us": 1, "plant": "A", "erp": erp, "erp_plant": "1000", **fields})


def period(month=11, erp="north", *, open_=True, **fields):
    first = date(2026, month, 1)
    return PeriodReference(
        **{
            "changed_us": 1,
            "erp": erp,
            "first": first,
            "last": date(2026, month, 31 if month in {10, 12} else 30),
            "open": open_,
            **fields,
        }
    )


def references():
    """Return what makes every default below pass."""
    return [order(), work_center("W1"), work_center("W2"), material(), lot(), reason(), route(), period()]


def confirmation(seq=0, operation="0010", good=1_000, source="", **fields):
    source = source or f"machine-{operation}"
    given = {
        "plant": "A",
        "source": source,
        "first_seq": seq,
        "last_seq": seq,
        "order": "4711",
        "operation": operation,
        "work_center": {"0010": "W1", "0020": "W2"}.get(operation, ""),
        "material": "M",
        "lot": "L1",
        "posting_date": DAY,
        "good": good,
        "events": 1,
        "first_occurred_us": NOW_US - 10,
        "last_occurred_us": NOW_US - 5,
        "first_offset": seq,
        "last_offset": seq,
        "close_reason": "count",
        **fields,
    }
    kind, revision = given.get("kind", "confirmation"), given.get("revision", 0)
    name = posting_id(given["plant"], source, given.get("session", ""), seq, kind, revision)
    return Confirmation(posting_id=name, **given)


def word(type_="release", of="L1", material="M", at_us=NOW_US, **fields):
    """Return what the quality system says of a lot."""
    return Event(
        **{
            "plant": "C",
            "source": "quality",
            "type": type_,
            "occurred_us": at_us,
            "material": material,
            "lot": of,
            **fields,
        }
    )


def action(kind, number=0, **fields):
    given = {"actor": "anna", "reason": "seen", "at_us": NOW_US}
    return Action(action_id=posting_id("action", "", "", number, kind), kind=kind, **{**given, **fields})


class Plant:
    """A desk that is told things at an instant, and everything it has decided."""

    def __init__(self, policy=None, told=None):
        self.policy = policy or PostingPolicy()
        self.desk = Desk(self.policy)
        self.now_us = NOW_US
        self.postings, self.commands, self.exceptions, self.values, self.usages = [], [], [], [], []
        self.unposted = []
        self.parts = {}
        for record in references() if told is None else told:
            self.tell(record)

    def tell(self, *records):
        for record in records:
            match record:
                case Confirmation():
                    self.desk.confirmation(record, self.now_us)
                case Event():
                    self.desk.event(record, f"{record.type}-{record.seq}", self.now_us)
                case Action():
                    self.desk.action(record, self.now_us)
                case _:
                    self.desk.reference(record, "north", self.now_us)
        return self.take()

    def later(self, us):
        self.now_us += us
        self.desk.wake(self.now_us)
        return self.take()

    def take(self):
        outcome: Outcome = self.desk.take(self.now_us)
        postings = [Posting.model_validate_json(made.value) for made in outcome.postings]
        self.postings += postings
        self.values += [made.value for made in outcome.postings]
        self.commands += outcome.commands
        self.exceptions += outcome.exceptions
        self.usages += outcome.usages
        self.unposted += outcome.unposted
        return postings

    def commit(self):
        """Keep what changed, as the log does."""
        self.take()
        self.parts = {name: value for name, value in {**self.parts, **self.desk.encode()}.items() if value}

    def restart(self):
        """Go on from the last commit."""
        self.desk = Desk.decode(self.policy, self.parts, self.now_us)

    def open(self):
        """Return the open exceptions, the newest record of each."""
        newest = {each.exception_id: each for each in self.exceptions}
        return [each for each in newest.values() if each.resolution == "open"]

    def not_counted(self):
        """Return the causes of what is told not to be posted, since others count it."""
        return [each.cause for each in self.unposted if each.state == "not-counted"]

    def codes(self):
        return sorted(each.code.value for each in self.open())
