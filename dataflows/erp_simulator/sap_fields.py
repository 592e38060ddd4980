"""Names of SAP's fields and values of its codes. Source: DOMAIN 3.7 (public CDS and type definitions)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dataflows.erp_simulator import movement_types as types
from dataflows.erp_simulator.refusal import Code, Refused


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


CONFIRMATION: Final = _names(
    """
    ConfirmationGroup ConfirmationCount OrderID Sequence OrderOperation OrderSuboperation OrderType
    OrderOperationInternalID ConfirmationText Language Material OrderPlannedTotalQty ProductionUnit
    FinalConfirmationType IsFinalConfirmation OpenReservationsIsCleared IsReversed IsReversal
    APIConfHasNoGoodsMovements OrderConfirmationRecordType ConfirmationEntryDate ConfirmationEntryTime
    EnteredByUser LastChangeDate LastChangedByUser ConfirmationExternalEntryDate ConfirmationExternalEntryTime
    EnteredByExternalUser ExternalSystemConfirmation Plant WorkCenterTypeCode WorkCenter CapacityCategoryCode
    CapacityRequirementSplit Personnel TimeRecording EmployeeWageType EmployeeWageGroup BreakDurationUnit
    BreakDurationUnitISOCode ConfirmedBreakDuration EmployeeSuitability NumberOfEmployees PostingDate
    ConfirmedExecutionStartDate ConfirmedExecutionStartTime ConfirmedSetupEndDate ConfirmedSetupEndTime
    ConfirmedProcessingStartDate ConfirmedProcessingStartTime ConfirmedProcessingEndDate
    ConfirmedProcessingEndTime ConfirmedTeardownStartDate ConfirmedTeardownStartTime ConfirmedExecutionEndDate
    ConfirmedExecutionEndTime ConfirmationUnit ConfirmationUnitISOCode ConfirmationUnitSAPCode
    ConfirmationYieldQuantity ConfirmationScrapQuantity ConfirmationReworkQuantity VarianceReasonCode
    BusinessProcessEntryUnit BusProcessEntrUnitISOCode BusinessProcessConfirmedQty
    NoFurtherBusinessProcQtyIsExpd to_ProdnOrdConfMatlDocItm
    """
) | {
    name.format(n)
    for n in range(1, 7)
    for name in (
        "OpWorkQuantityUnit{}",
        "WorkQuantityUnit{}ISOCode",
        "OpConfirmedWorkQuantity{}",
        "NoFurtherOpWorkQuantity{}IsExpd",
    )
}
CONFIRMATION_ITEM: Final = _names(
    """
    MaterialDocument MaterialDocumentItem MaterialDocumentYear OrderType OrderID OrderItem
    ManufacturingOrderCategory Material Plant Reservation ReservationItem StorageLocation ProductionSupplyArea
    Batch InventoryValuationType GoodsMovementType GoodsMovementRefDocType InventoryUsabilityCode
    InventorySpecialStockType SalesOrder SalesOrderItem WBSElementExternalID Supplier Customer
    ReservationIsFinallyIssued IsCompletelyDelivered ShelfLifeExpirationDate ManufactureDate StorageType
    StorageBin EWMWarehouse EWMStorageBin MaterialDocumentItemText EntryUnit EntryUnitISOCode EntryUnitSAPCode
    QuantityInEntryUnit to_ProdnOrderConfBatchCharc BatchCharacteristic
    """
)
MATERIAL_DOCUMENT: Final = _names(
    """
    MaterialDocumentYear MaterialDocument InventoryTransactionType DocumentDate PostingDate CreationDate
    CreationTime CreatedByUser MaterialDocumentHeaderText ReferenceDocument GoodsMovementCode
    to_MaterialDocumentItem
    """
)
MATERIAL_DOCUMENT_ITEM: Final = _names(
    """
    MaterialDocumentYear MaterialDocument MaterialDocumentItem Material Plant StorageLocation Batch
    GoodsMovementType InventoryStockType InventoryValuationType InventorySpecialStockType Supplier Customer
    SalesOrder SalesOrderItem SalesOrderScheduleLine PurchaseOrder PurchaseOrderItem WBSElement
    ManufacturingOrder ManufacturingOrderItem GoodsMovementRefDocType GoodsMovementReasonCode Delivery
    DeliveryItem AccountAssignmentCategory CostCenter ControllingArea CostObject ProfitabilitySegment
    ProfitCenter GLAccount FunctionalArea MaterialBaseUnit QuantityInBaseUnit EntryUnit QuantityInEntryUnit
    CompanyCodeCurrency FiscalYear FiscalYearPeriod IssgOrRcvgMaterial IssgOrRcvgBatch IssuingOrReceivingPlant
    IssuingOrReceivingStorageLoc IssuingOrReceivingStockType IssgOrRcvgSpclStockInd IssuingOrReceivingValType
    IsCompletelyDelivered MaterialDocumentItemText UnloadingPointName ShelfLifeExpirationDate ManufactureDate
    SerialNumbersAreCreatedAutomly Reservation ReservationItem ReservationIsFinallyIssued IsAutomaticallyCreated
    GoodsMovementIsCancelled ReversedMaterialDocumentYear ReversedMaterialDocument ReversedMaterialDocumentItem
    ReferenceDocumentFiscalYear InvtryMgmtRefDocumentItem InvtryMgmtReferenceDocument
    MaterialDocumentPostingType to_SerialNumbers
    """
)
USAGE_DECISION: Final = _names(
    """
    InspectionLot InspLotUsageDecisionLevel InspectionLotQualityScore InspLotUsageDecisionCatalog
    SelectedCodeSetPlant InspLotUsgeDcsnSelectedSet InspLotUsageDecisionCodeGroup InspectionLotUsageDecisionCode
    InspLotUsgeDcsnDynValuation InspLotUsageDecisionValuation InspLotUsgeDcsnFollowUpAction
    InspectionLotUsageDecidedBy InspectionLotUsageDecidedOn InspLotUsageDecisionTime ChangedDateTime
    """
)
INSPECTION_STOCK: Final = _names(
    """
    InspectionLot InspLotQtyPosted InspLotMatlDocItmQtyUnit UsageDecisionStockType StorageLocation
    InspLotBatchTransferredTo MaterialDocumentItemText
    """
)

STOCK_TYPES: Final[Mapping[str, str]] = {
    "": "",
    "01": types.UNRESTRICTED,
    "02": types.QUALITY,
    "03": types.BLOCKED,
    "07": types.BLOCKED,
}
USABILITY: Final[Mapping[str, str]] = {
    "": "",
    "F": types.UNRESTRICTED,
    "X": types.QUALITY,
    "2": types.QUALITY,
    "S": types.BLOCKED,
    "3": types.BLOCKED,
}
DECISION_MOVES: Final[Mapping[str, str]] = {"01": "321", "07": "350", "SCRAP": "553"}
"""UsageDecisionStockType, and the movement type that its posting has. The values are the simulator's own."""

_UNITS: Final[Mapping[str, str]] = {
    "H87": "PC",
    "KGM": "KG",
    "GRM": "G",
    "TNE": "TO",
    "LTR": "L",
    "MTR": "M",
    "HUR": "H",
    "MIN": "MIN",
}


def unit(code: str) -> str:
    """Return SAP's name of a Recommendation 20 code."""
    return _UNITS.get(code, code)


def stock_type(name: str) -> str:
    """Return InventoryStockType of a stock type."""
    return {types.UNRESTRICTED: "01", types.QUALITY: "02", types.BLOCKED: "07"}.get(name, "")


def only(body: Mapping[str, Any], names: frozenset[str]) -> None:
    """Refuse properties that the entity does not have."""
    for name in body:
        if name not in names and name != "__metadata":
            raise Refused(Code.FIELD_WRONG, field=str(name)[:60], reason="the entity has no such property")


def coded(body: Mapping[str, Any], name: str, codes: Mapping[str, str]) -> str:
    """Return what a coded field means."""
    value = body.get(name) or ""
    if not isinstance(value, str) or value not in codes:
        raise Refused(Code.FIELD_WRONG, field=name, reason=f"none of {', '.join(filter(None, codes))}")
    return codes[value]


def plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are no lists and no objects, to be shown again."""
    return {name: value for name, value in body.items() if not isinstance(value, (dict, list))}
