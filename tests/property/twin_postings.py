"""The naive twin of the desk: keeps all it was told and, after each word, posts what can be posted, from scratch.

No state but lists: what is in force, what an order has made, who stands before whom is found by looking through them
all, every time. It knows the rules of M10-M13 and M19 and nothing of queues, causes, waking or parts.
"""

from __future__ import annotations

from datetime import timedelta

from canonical.contracts import Confirmation, Event
from canonical.units import QuantityError, convert_thousandths


class Twin:
    """Takes the same words as the desk; ``documents`` are tuples of what was posted, in order."""

    def __init__(self, quality_timeout_us):
        self.quality_timeout_us = quality_timeout_us
        self.records, self.words = [], []
        self.waiting = []  # (arrived_us, what), in the order of arrival; receipts behind
        self.documents = []
        self.in_quality = []
        self.ruled_out = 0
        self.not_counted = []

    def tell(self, record, now_us):
        match record:
            case Confirmation():
                self.waiting.append((now_us, record))
            case Event():
                self.words.append(record)
            case _:
                self.records.append(record)
        self.wake(now_us)

    def wake(self, now_us):
        while self._posted_one(now_us):
            pass

    def _posted_one(self, now_us):
        for transfer in self.in_quality:
            if self._released(transfer["material"], transfer["lot"]):
                self.in_quality.remove(transfer)
                self._write({**transfer, "kind": "stock-transfer", "stock": "quality>unrestricted"})
                return True
        blocked = set()
        for place, (arrived_us, what) in enumerate(self.waiting):
            line = self._line(what)
            if line in blocked:
                continue
            found = self._receipt(what, arrived_us, now_us) if isinstance(what, dict) else self._confirmed(what, now_us)
            if found is None:
                blocked.add(line)
                continue
            del self.waiting[place]
            self.ruled_out += not found
            for document in found:
                self._write(document)
                self._follow(document, now_us)
            return True
        return False

    def _line(self, what):
        if isinstance(what, dict):
            return what["plant"], what["order"], "receipt", what["lot"]
        return what.plant, what.order, *(("op", what.operation) if what.operation else ("wc", what.work_center))

    # -- what is in force ----------------------------------------------------------------------

    def _find(self, kind, at_us, **key):
        newest = {}
        for record in self.records:
            if record.kind == kind and all(getattr(record, name) == value for name, value in key.items()):
                known = newest.get((record.valid_from_us,))
                if known is None or record.changed_us > known.changed_us:
                    newest[record.valid_from_us,] = record
        held = [
            r
            for r in newest.values()
            if not r.deleted and r.valid_from_us <= at_us and (r.valid_to_us is None or at_us < r.valid_to_us)
        ]
        return max(held, key=lambda r: r.valid_from_us, default=None)

    def _day(self, erp, day, now_us):
        firsts = sorted({r.first for r in self.records if r.kind == "period" and r.erp == erp})
        periods = [self._find("period", now_us, erp=erp, first=first) for first in firsts]
        for ahead in range(400):
            each = day + timedelta(days=ahead)
            holding = [p for p in periods if p and p.first <= each <= p.last]
            if not holding:
                return None
            if any(p.open for p in holding):
                return each
        return None

    def _released(self, material, lot):
        words = [
            w for w in self.words if w.lot == lot and w.material in {"", material} and w.type in {"hold", "release"}
        ]
        good = max((w.occurred_us for w in words if w.type == "release" and w.quality != "reject"), default=None)
        bad = max((w.occurred_us for w in words if w.type == "hold" or w.quality == "reject"), default=None)
        return bool(lot) and good is not None and (bad is None or good > bad)

    # -- the rules -----------------------------------------------------------------------------

    def _made(self, plant, order, operation):
        documents = [d for d in self.documents if d["kind"] == "confirmation"]
        return sum(
            d["good"] for d in documents if (d["plant"], d["order"], d["operation"]) == (plant, order, operation)
        )

    def _confirmed(self, c, now_us):  # noqa: C901, PLR0911, PLR0912 - one rule after the other, as a person reads them
        """Return the documents of a confirmation, none by rule, or None where it has to wait."""
        at = c.last_occurred_us
        if not (c.good or c.scrap or c.rework or c.final or c.setup_us or c.machine_us or c.labour_us):
            return []
        route = self._find("route", at, plant=c.plant)
        order = route and self._find("order", now_us, erp=route.erp, plant=c.plant, order=c.order)
        if not order or order.status != "released":
            return None
        if c.operation:
            names, center = (c.operation,), c.work_center
        else:
            table = self._find("step", at, plant=c.plant, work_center=c.work_center, material=c.material)
            table = table or self._find("step", at, plant=c.plant, work_center=c.work_center, material="")
            if table is None:
                return None
            names, center = table.operations, table.erp_work_center
        if not names:
            return []
        known = {o.operation: o for o in order.operations}
        if any(name not in known for name in names):
            return None
        own = [name for name in names if known[name].confirmed_by not in known]
        if not own:
            return []
        if c.good or c.scrap or c.rework:
            last = known[own[-1]].counting_sources or order.counting_sources
            if last and c.source not in last:
                self.not_counted.append(str(c.posting_id))
                return []
            counted = [known[name].counting_sources or order.counting_sources for name in own]
            own = [name for name, sources in zip(own, counted, strict=True) if not sources or c.source in sources]
        material = self._find("material", at, material=order.material)
        if c.material not in {"", order.material} or material is None:
            return None
        if material.lot_managed:
            lot = self._find("lot", now_us, material=order.material, lot=c.lot)
            if not c.lot or lot is None or lot.status == "not-valid":
                return None
        try:
            made = [convert_thousandths(q, c.unit, order.unit) for q in (c.good, c.scrap, c.rework)]
        except QuantityError:
            return None
        reason = ""
        if c.scrap and c.reason:
            word = self._find("reason", at, plant=c.plant, reason=c.reason)
            if word is None:
                return None
            reason = word.erp_reason
        day = self._day(route.erp, c.posting_date, now_us)
        if day is None:
            return None
        documents, now_made = [], {}
        for name in own:
            last = name == own[-1]
            good = made[0] if last else sum(made)
            work_center = center or known[name].work_center or c.work_center
            if self._find("work_center", at, plant=c.plant, work_center=work_center) is None:
                return None
            total = now_made[name] = self._made(c.plant, c.order, name) + good
            before = [o.operation for o in order.operations if o.confirmed_by not in known]
            before = before[: before.index(name)]
            limit = (order.quantity + order.quantity * order.over_delivery // 1000) if order.quantity else None
            if good and before and total > now_made.get(before[-1], self._made(c.plant, c.order, before[-1])):
                return None
            if good and limit is not None and total > limit:
                return None
            documents.append(
                {
                    "kind": "confirmation",
                    "erp": route.erp,
                    "erp_plant": route.erp_plant,
                    "plant": c.plant,
                    "order": c.order,
                    "operation": name,
                    "work_center": work_center,
                    "material": order.material,
                    "lot": c.lot,
                    "unit": order.unit,
                    "reason": reason if last else "",
                    "good": good,
                    "scrap": made[1] if last else 0,
                    "rework": made[2] if last else 0,
                    "day": day,
                    "own_day": c.posting_date,
                    "end_us": at,
                    "cause": str(c.posting_id),
                    "stock": "",
                    "final_step": name == order.operations[-1].operation,
                }
            )
        return documents

    def _follow(self, document, now_us):
        if document["kind"] == "confirmation" and document["final_step"] and document["good"]:
            receipt = {**document, "kind": "goods-receipt", "scrap": 0, "rework": 0, "reason": ""}
            self.waiting.append((now_us, receipt))
        elif document["kind"] == "goods-receipt" and document["stock"] == "quality":
            self.in_quality.append(document)

    def _receipt(self, receipt, arrived_us, now_us):
        order = self._find("order", now_us, erp=receipt["erp"], plant=receipt["plant"], order=receipt["order"])
        material = self._find("material", receipt["end_us"], material=receipt["material"])
        day = self._day(receipt["erp"], receipt["own_day"], now_us)
        if order is None or order.status != "released" or day is None:
            return None
        stock = "unrestricted"
        if material.inspected and not self._released(receipt["material"], receipt["lot"]):
            if now_us - arrived_us < self.quality_timeout_us:
                return None
            stock = "quality"
        return [{**receipt, "day": day, "stock": stock}]

    def _write(self, document):
        self.documents.append(document)


def content(document):
    """Return what a document says, as ``said`` returns it of a posting."""
    names = ("kind", "erp", "erp_plant", "plant", "order", "operation", "work_center", "material", "lot", "unit")
    return (
        *(document[name] for name in names),
        *(document[name] for name in ("reason", "good", "scrap", "rework", "day", "cause", "stock")),
    )


def said(posting):
    """Return what a posting says but for its number: that tells when it came among others."""
    stock = ""
    if posting.movements:
        (movement,) = posting.movements
        stock = movement.stock_type.value
        if posting.kind == "stock-transfer":
            stock += f">{movement.to_stock_type.value}"
    names = ("erp", "erp_plant", "plant", "order", "operation", "work_center", "material", "lot", "unit", "reason")
    return (
        posting.kind.value,
        *(getattr(posting, name) for name in names),
        *(posting.good, posting.scrap, posting.rework, posting.posting_date),
        *posting.causes,
        stock,
    )
