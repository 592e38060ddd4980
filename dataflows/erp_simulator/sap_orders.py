"""API_PRODUCTION_ORDER_2_SRV: production orders, to be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dataflows.erp_simulator import odata, sap_fields
from dataflows.erp_simulator.exchange import Answer, Call
from dataflows.erp_simulator.fields import Row
from dataflows.erp_simulator.master_data import Order, OrderStatus
from dataflows.erp_simulator.sap_service import Routes, SapService, Target

_OPERATIONS: Final = "to_ProductionOrderOperation"
_COMPONENTS: Final = "to_ProductionOrderComponent"


class ProductionOrders(SapService):
    """The service's entity set A_ProductionOrder_2 with operations and components."""

    NAME = "API_PRODUCTION_ORDER_2_SRV"

    def _table(self) -> Routes:
        return {("GET", "A_ProductionOrder_2"): self._read}

    def _read(self, call: Call, target: Target) -> Answer:
        expand = call.query.get("$expand", "")
        if not target.keys:
            wanted = odata.conditions(call)
            rows = (self._row(order, expand) for order in self._erp.book.data.orders)
            return odata.collection(call, (row for row in rows if odata.matches(row, wanted)))
        order = self._erp.register.order(target.key("ManufacturingOrder"))
        if target.navigation == _OPERATIONS:
            return odata.answer({"results": list(self._operations(order))})
        if target.navigation == _COMPONENTS:
            return odata.answer({"results": list(self._components(order))})
        return odata.answer(self._row(order, expand))

    def _row(self, order: Order, expand: str) -> Row:
        uri = f"A_ProductionOrder_2('{order.order}')"
        last = order.operations[-1].operation if order.operations else ""
        confirmed = self._erp.book.confirmed[order.order, last, "yield"]
        received = self._erp.book.received[order.order]
        return {
            "__metadata": {"uri": uri, "type": f"{self.NAME}.A_ProductionOrder_2Type"},
            "ManufacturingOrder": order.order,
            "ManufacturingOrderType": order.order_type,
            "OrderIsCreated": order.status is OrderStatus.CREATED,
            "OrderIsReleased": order.status is OrderStatus.RELEASED,
            "OrderIsPartiallyConfirmed": 0 < confirmed < order.planned_thousandths,
            "OrderIsConfirmed": 0 < order.planned_thousandths <= confirmed,
            "OrderIsDelivered": 0 < order.planned_thousandths <= received,
            "OrderIsLocked": order.status is OrderStatus.LOCKED,
            "OrderIsTechnicallyCompleted": order.status is OrderStatus.TECHNICALLY_COMPLETE,
            "OrderIsClosed": order.status is OrderStatus.CLOSED,
            "OrderIsDeleted": order.status is OrderStatus.DELETED,
            "Material": order.material,
            "ProductionPlant": order.plant,
            "TotalQuantity": odata.decimal(order.planned_thousandths),
            "MfgOrderConfirmedYieldQty": odata.decimal(confirmed),
            "ProductionUnit": sap_fields.unit(order.unit),
            _OPERATIONS: odata.children(
                list(self._operations(order)), expand=_OPERATIONS in expand, uri=f"{uri}/{_OPERATIONS}"
            ),
            _COMPONENTS: odata.children(
                list(self._components(order)), expand=_COMPONENTS in expand, uri=f"{uri}/{_COMPONENTS}"
            ),
        }

    def _operations(self, order: Order) -> Iterator[Row]:
        for operation in order.operations:
            confirmed = self._erp.book.confirmed[order.order, operation.operation, "yield"]
            yield {
                "ManufacturingOrder": order.order,
                "ManufacturingOrderSequence": "0",
                "ManufacturingOrderOperation": operation.operation,
                "OperationIsConfirmed": self._erp.book.finals[order.order, operation.operation] > 0,
                "WorkCenter": operation.work_center,
                "OperationControlProfile": "PP03" if operation.receipt else "PP01",
                "OpPlannedTotalQuantity": odata.decimal(operation.planned_thousandths),
                "OpTotalConfirmedYieldQty": odata.decimal(confirmed),
                "OperationUnit": sap_fields.unit(operation.unit),
            }

    def _components(self, order: Order) -> Iterator[Row]:
        for component in order.components:
            withdrawn = self._erp.book.withdrawn[order.order, component.material]
            yield {
                "ManufacturingOrder": order.order,
                "Reservation": component.reservation,
                "ReservationItem": str(component.item),
                "ManufacturingOrderOperation": component.operation,
                "Material": component.material,
                "RequiredQuantity": odata.decimal(component.required_thousandths),
                "WithdrawnQuantity": odata.decimal(withdrawn),
                "BaseUnit": sap_fields.unit(component.unit),
                "StorageLocation": component.storage_location,
                "GoodsMovementType": component.movement_type,
                "MatlCompIsMarkedForBackflush": component.backflush,
            }
