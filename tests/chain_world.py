"""A small plant from its ledger to the documents of an ERP, as rows that a test can damage before it audits them."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import pyarrow as pa

from canonical.contracts import (
    BusinessException,
    Confirmation,
    Event,
    LedgerEntry,
    LedgerRange,
    Posting,
    Receipt,
    Unposted,
)
from canonical.identity import document_name, event_id, posting_id
from canonical.json_tables import table
from sinks.audit.check import Audit, Scope, audit
from sinks.audit.erp_documents import SCHEMA
from sinks.audit.ground import opened

PLANT: Final = "P"
ERP: Final = "s4"
SHARD: Final = "stream:confirmations"
QUEUE: Final = "stream:postings-s4"
EVERYTHING: Final = Scope()
DAY: Final = "2026-01-05"
Row = dict[str, Any]


@dataclass
class World:
    """Rows by what they are; each in the order in which it was written. ``read`` and ``delivered`` are marks."""

    confirmation: list[Row] = field(default_factory=list)
    event: list[Row] = field(default_factory=list)
    posting: list[Row] = field(default_factory=list)
    unposted: list[Row] = field(default_factory=list)
    receipt: list[Row] = field(default_factory=list)
    business_exception: list[Row] = field(default_factory=list)
    document: list[Row] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    read: int = 0
    delivered: int = 0
    sealed: tuple[list[Row], list[Row]] = ((), ())  # type: ignore[assignment] # what the ledger says of it
    numbers: Counter[str] = field(default_factory=Counter)

    # -- making it -----------------------------------------------------------------------------

    def confirm(self, good: int = 0, scrap: int = 0, rework: int = 0, order: str = "a", **fields: Any) -> Row:
        place = len(self.confirmation)
        first = place * 10
        row = {
            "posting_id": str(posting_id(PLANT, "m1", "", first, "confirmation", 0)), "kind": "confirmation",
            "revision": 0, "plant": PLANT, "source": "m1", "session": "", "first_seq": first, "last_seq": first + 9,
            "order": order, "operation": "0010", "unit": "H87", "good": good, "scrap": scrap, "rework": rework,
            "machine_us": 7, "posting_date": DAY, "events": 10, "first_occurred_us": first * 1000,
            "last_occurred_us": first * 1000 + 9, "first_offset": first, "last_offset": first + 9,
            "close_reason": "count", "stream_offset": place + 1,
        } | fields  # fmt: skip
        self.confirmation.append(row)
        self.read = place + 1
        return row

    def consume(self, kind: str, quantity: int, **fields: Any) -> Row:
        row = {
            "plant": PLANT, "source": "scale", "session": "", "seq": len(self.event), "type": kind,
            "occurred_us": 5000 + len(self.event), "order": "a" if kind == "consume" else "", "material": "M-2",
            "lot": "L-2", "unit": "KGM", "quantity": quantity, "stream_offset": len(self.event) + 1,
        } | fields  # fmt: skip
        self.event.append(row)
        return row

    def post(self, kind: str, cause: str, causes: list[str], order: str = "a", operation: str = "0010",
             **fields: Any) -> Row:  # fmt: skip
        row = {
            "posting_id": document_name(PLANT, cause, kind, operation), "kind": kind, "erp": ERP, "plant": PLANT,
            "erp_plant": "1010", "order": order, "number": self.numbers[order], "operation": operation, "unit": "H87",
            "posting_date": DAY, "document_date": DAY, "good": 0, "scrap": 0, "rework": 0, "start_us": 1, "end_us": 2,
            "movements": [], "reverses": "", "causes": causes, "stream_offset": len(self.posting) + 1,
        } | fields  # fmt: skip
        self.numbers[order] += 1
        self.posting.append(row)
        return row

    def post_made(self, c: Row, operations: tuple[str, ...] = ("0010",), factor: int = 1, unit: str = "",
                  order: str = "", told_by: tuple[str, ...] = ()) -> list[Row]:  # fmt: skip
        """Post a confirmation to its operations, the last of which takes what became of it; in another unit."""
        total = c["good"] + c["scrap"] + c["rework"]
        name, causes, order = c["posting_id"], [c["posting_id"], *told_by], order or c["order"]
        made = [
            self.post("confirmation", name, causes, order, operation, good=total * factor, unit=unit or c["unit"])
            for operation in operations[:-1]
        ]
        shares = {share: c[share] * factor for share in ("good", "scrap", "rework")}
        own = shares | {"machine_us": c["machine_us"], "unit": unit or c["unit"]}
        return [*made, self.post("confirmation", name, causes, order, operations[-1], **own)]

    def move(self, kind: str, cause: str, causes: list[str], quantity: int, order: str = "a", operation: str = "0010",
             **fields: Any) -> Row:  # fmt: skip
        line = {"movement_type": "101", "material": "M-2", "lot": "L-2", "quantity": quantity, "unit": "KGM",
                "storage_location": "", "stock_type": "unrestricted", "to_storage_location": "",
                "to_stock_type": "unrestricted", "reservation": "", "reservation_item": ""}  # fmt: skip
        return self.post(kind, cause, causes, order, operation, movements=[line], **fields)

    def reverse(self, before: Row) -> Row:
        same = {name: before[name] for name in ("good", "scrap", "rework", "unit", "movements")}
        return self.post("reversal", before["posting_id"], before["causes"], before["order"], before["operation"],
                         reverses=before["posting_id"], **same)  # fmt: skip

    def answer(self, p: Row, status: str = "accepted", **fields: Any) -> Row:
        document = f"D{len(self.receipt)}/26" if status == "accepted" else ""
        row = {
            "document": document, "posting_id": p["posting_id"], "status": status, "kind": p["kind"], "erp": p["erp"],
            "lane": "standard", "plant": p["plant"], "order": p["order"], "reverses": "", "attempts": 1,
            "occurred_us": 1, "enqueued_us": 1, "first_sent_us": 1, "sent_us": 1,
            "answered_us": 9, "stream_offset": len(self.receipt) + 1,
        } | fields  # fmt: skip
        self.receipt.append(row)
        return row

    def accept(self, p: Row, **fields: Any) -> Row:
        """Let the ERP make the document of a posting, and say so."""
        receipt = self.answer(p, **fields)
        common = {
            "erp": ERP, "document": receipt["document"], "posting_id": p["posting_id"], "order_id": f"000{p['order']}",
            "operation": p["operation"].lstrip("0"), "reverses": receipt["reverses"],
        }  # fmt: skip
        if p["movements"]:
            for line in p["movements"]:
                self.document.append(common | {name: line[name] for name in ("material", "lot", "quantity")})
        else:
            self.document.append(common | {name: p[name] for name in ("good", "scrap", "rework")})
        return receipt

    def not_posted(self, c: Row, state: str) -> Row:
        same = {name: c[name] for name in ("plant", "order", "operation", "unit", "good", "scrap", "rework")}
        row = {"cause": c["posting_id"], "kind": "confirmation", "state": state, "causes": [c["posting_id"]],
               "at_us": 3, "stream_offset": len(self.unposted) + 1} | same  # fmt: skip
        self.unposted.append(row)
        return row

    def complain(self, p: Row, code: str = "ERP_REJECTED") -> Row:
        row = {
            "exception_id": document_name("", p["posting_id"], code), "code": code, "owner": "integration-support",
            "severity": "delay", "erp": ERP, "plant": PLANT, "order": p["order"], "posting_id": p["posting_id"],
            "message": "", "waiting": 1, "opened_us": 1, "changed_us": 1,
            "stream_offset": len(self.business_exception) + 1,
        }  # fmt: skip
        self.business_exception.append(row)
        return row

    def seal(self) -> World:
        """Have the ledger say what there is now: what is damaged later contradicts it, or what follows from it."""
        ranges = [
            {name: c[name] for name in LedgerRange.model_fields if name in c}
            | {"shard": "s", "fate": "confirmed", "committed_us": c["last_occurred_us"]}
            for c in self.confirmation
        ]
        count, used = 10 * len(self.confirmation), len(self.event)
        sums = {name: sum(c[name] for c in self.confirmation) for name in ("good", "scrap", "rework")}
        entries = [
            {"shard": "s", "plant": PLANT, "source": "m1", "start_seq": 0, "next_seq": count, "read": count,
             "released": count, "accounted": count} | sums,
            {"shard": "s", "plant": PLANT, "source": "scale", "start_seq": 0, "next_seq": used, "read": used,
             "released": used, "operational": used},
        ]  # fmt: skip
        self.sealed = ranges, entries
        self.delivered = len(self.posting)
        return self

    # -- auditing it ---------------------------------------------------------------------------

    def copy(self) -> World:
        return copy.deepcopy(self)

    def audited(self, scope: Scope = EVERYTHING, *, marks: bool = True) -> Audit:
        ranges, entries = self.sealed
        with opened(None) as ground:
            ground.documents(pa.Table.from_pylist([dict.fromkeys(SCHEMA.names) | row for row in self.document], SCHEMA))
            if marks:
                ground.settled({SHARD: self.read, QUEUE: self.delivered}, [(ERP, name) for name in self.held])
            for name, model, rows, shard in (
                ("ledger", LedgerEntry, entries, "l"),
                ("ledger_range", LedgerRange, ranges, "r"),
                ("confirmation", Confirmation, self.confirmation, SHARD),
                ("event", Event, self.event, "e"),
                ("posting", Posting, self.posting, QUEUE),
                ("unposted", Unposted, self.unposted, "u"),
                ("receipt", Receipt, self.receipt, "c"),
                ("business_exception", BusinessException, self.business_exception, "x"),
            ):
                ground.add(name, shard, _table(model, rows, () if name != "posting" else ("known_us", "enqueued_us")))
            return audit(ground, scope, findings_max=1000)


def _table(model: type[Any], rows: list[Row], unsaid: Sequence[str] = ()) -> pa.Table:
    """Return rows as the decoders do: through their contract, with what is absent at its default."""
    whole = [
        orjson.loads(model.model_construct(**row).model_dump_json(warnings=False))
        for row in ({name: row[name] for name in row if name in model.model_fields} for row in rows)
    ]
    made = table(model, [orjson.dumps(row) for row in whole])
    for name in unsaid:
        made = made.append_column(name, pa.nulls(len(rows), pa.int64()))
    offsets = [row.get("stream_offset", place) for place, row in enumerate(rows, 1)]
    return made.append_column("stream_offset", pa.array(offsets, pa.int64()))


def event_name(row: Row) -> str:
    return str(event_id(row["source"], row["session"], row["seq"]))


def whole_world() -> World:
    """Return one with everything in it, sound."""
    w = World()
    plain = w.confirm(9_000, 1_000)
    w.accept(*w.post_made(plain))
    w.accept(w.post("confirmation", f"final:{plain['posting_id']}", [plain["posting_id"]], final=True))
    several = w.confirm(5_000, 300, 7, operation="")
    first, last = w.post_made(several, ("0010", "0020"))
    name = several["posting_id"]
    received = w.move("goods-receipt", name, [name], 5_000, operation="0020", good=5_000)
    moved = w.move("stock-transfer", name, [name], 5_000, operation="0020", good=5_000)
    for p in (first, last, received, moved):
        w.accept(p)
    for state in ("waiting", "ruled-out", "discarded", "superseded", "refused"):
        w.not_posted(w.confirm(1_000, order="b"), state)
    for good in (3_000, 4_000, 5_000):
        w.accept(*w.post_made(w.confirm(good, 1_000, order="c"), factor=3, unit="KGM"))
    (taken,) = w.post_made(w.confirm(2_000, order="d"))
    document = w.accept(taken)["document"]
    w.accept(w.reverse(taken), reverses=document)
    (refused,) = w.post_made(w.confirm(2_000, order="e"))
    w.answer(refused, "rejected")
    w.complain(refused)
    (withdrawn,) = w.post_made(w.confirm(2_000, order="f"))
    w.answer(withdrawn, "withdrawn")
    used = [w.consume("consume", 400), w.consume("consume", 600)]
    names = sorted(map(event_name, used))
    w.accept(w.move("goods-issue", f"consumption/{names[0]}", names, 1_000, operation=""))
    carried = w.consume("move", 50)
    w.accept(w.move("stock-transfer", f"move/{event_name(carried)}", [event_name(carried)], 50, order="", operation=""))
    w.not_posted(w.confirm(1_000, order="b"), "not-counted")
    # A machine that knows no order: an event tells which one was at its work centre.
    start = w.consume("start", 0, order="k", work_center="W")
    w.accept(*w.post_made(w.confirm(700, order="", work_center="W"), order="k", told_by=(event_name(start),)))
    (pending,) = w.post_made(w.confirm(2_000, order="g"))
    w.held += [refused["posting_id"], pending["posting_id"]]
    read = w.read
    w.confirm(8_000, order="h")
    w.seal()
    w.read = read
    return w
