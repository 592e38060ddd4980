"""What happens to an order apart from confirmations: time of resources, start and end."""

from __future__ import annotations

from datetime import date

from dataflows.erp_simulator import validation as check
from dataflows.erp_simulator.document import Document, DocumentKind
from dataflows.erp_simulator.erp import Erp
from dataflows.erp_simulator.master_data import MasterData, OrderStatus
from dataflows.erp_simulator.posting import Activity, Confirmation
from dataflows.erp_simulator.refusal import Code, Refused


def post_activity(erp: Erp, asked: Activity, now_us: int) -> Document:
    """Book time of a resource; a negative one takes back.

    Raises: Refused.
    """
    order = erp.register.order(asked.order)
    check.order_open(order, erp.book, now_us)
    step = Confirmation(order.order, asked.operation, asked.posting_date, plant=asked.plant)
    operation = check.operation(order, asked.operation, erp.register, step, now_us)
    if not asked.quantity:
        raise Refused(Code.QUANTITY_NOT_POSITIVE)
    check.period_open(erp.book.data, asked.posting_date)
    document = Document(
        number=f"A{len(erp.book.documents) + 1:09d}",
        kind=DocumentKind.ACTIVITY,
        posting_date=asked.posting_date.isoformat(),
        accepted_us=now_us,
        order=order.order,
        operation=operation.operation,
        work_center=asked.resource or operation.work_center,
        plant=order.plant,
        external_id=asked.external_id,
        details={"part": asked.part, "quantity": check.in_unit(asked.quantity, asked.unit, "HUR", None)},
    )
    erp.book.record("document", document)
    return document


def set_status(erp: Erp, number: str, status: OrderStatus, day: date, external_id: str, now_us: int) -> Document:
    """Book that an order was started or ended, and give it the status.

    Raises: Refused.
    """
    order = erp.register.order(number)
    check.order_open(order, erp.book, now_us)
    document = Document(
        number=f"S{len(erp.book.documents) + 1:09d}",
        kind=DocumentKind.ORDER_STATUS,
        posting_date=day.isoformat(),
        accepted_us=now_us,
        order=order.order,
        plant=order.plant,
        external_id=external_id,
        details={"status": status.value},
    )
    with erp.book.unit():
        erp.book.record("document", document)
        if status is not order.status:
            change = MasterData(orders=(order.model_copy(update={"status": status}),))
            erp.book.record("master data", change.model_dump(mode="json", exclude_defaults=True))
    return document
