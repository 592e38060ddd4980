"""A sample of each contract between the plants and the ERPs, with a value in every field."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

ID = UUID("48a555e2-a0db-5165-b345-7737bac29e0a")
REFERENCE = {
    "changed_us": 1_760_000_000_000_000, "valid_from_us": 1_750_000_000_000_000,
    "valid_to_us": 1_770_000_000_000_000, "deleted": True,
}  # fmt: skip

ERP_SAMPLES: dict[str, dict[str, Any]] = {
    "posting": {
        "posting_id": ID, "kind": "goods-issue", "erp": "s4", "lane": "critical", "plant": "A", "erp_plant": "1010",
        "order": "100042", "number": 3, "operation": "0010", "work_center": "PRESS", "material": "M-1", "lot": "L-9",
        "reason": "0003", "unit": "KGM", "shift": "late", "posting_date": date(2025, 10, 9),
        "document_date": date(2025, 10, 8), "good": 10**15, "scrap": 125, "rework": 1, "setup_us": 10,
        "machine_us": 20, "labour_us": 30, "start_us": 1_760_000_000_000_001, "end_us": 1_760_000_000_000_002,
        "final": True,
        "movements": [
            {
                "movement_type": "261", "material": "M-2", "lot": "L-8", "quantity": 1_500, "unit": "KGM",
                "storage_location": "RM01", "stock_type": "quality", "to_storage_location": "FG01",
                "to_stock_type": "blocked", "reservation": "0000004711", "reservation_item": "0010",
            },
        ],
        "reverses": str(ID), "causes": [str(ID), "e-1"], "correlation_id": "c-1",
    },
    "receipt": {
        "posting_id": ID, "status": "movement-failed", "kind": "confirmation", "erp": "s4", "lane": "bulk",
        "plant": "A", "order": "100042", "document": "0000000042/00000001", "reverses": "0000000041/00000001",
        "code": "M7/021", "message": "Bestand fehlt für M-1", "attempts": 2, "found": True,
        "occurred_us": 1_760_000_000_000_001, "enqueued_us": 1_760_000_000_000_002,
        "first_sent_us": 1_760_000_000_000_003, "sent_us": 1_760_000_000_000_004,
        "committed_us": 1_760_000_000_000_005, "answered_us": 1_760_000_000_000_006, "correlation_id": "c-1",
    },
    "component_usage": {
        "erp": "s4", "plant": "A", "order": "100042", "item": "0010", "reservation": "0000004711", "operation": "0020",
        "material": "M-2", "unit": "KGM", "planned": 1_500, "actual": 1_250, "difference": -250,
        "changed_us": 1_760_000_000_000_001,
    },
    "business_exception": {
        "exception_id": ID, "code": "LOT_NOT_VALID", "resolution": "released", "owner": "plant-supervisor",
        "severity": "line-stop", "erp": "s4", "plant": "A", "order": "100042", "operation": "0010",
        "work_center": "PRESS", "material": "M-1", "lot": "L-9", "item": "0010", "posting_id": str(ID),
        "document": "5000000042/2025",
        "message": "lot L-9 may not be used", "remedy": "ask quality", "waiting": 7,
        "opened_us": 1_760_000_000_000_001, "changed_us": 1_760_000_000_000_002,
        "resolved_us": 1_760_000_000_000_003, "actor": "m.weber", "reason": "geprüft",
    },
    "unposted": {
        "cause": str(ID), "kind": "confirmation", "state": "discarded", "plant": "A", "order": "100042",
        "operation": "0010", "work_center": "PRESS", "material": "M-1", "lot": "L-9", "unit": "KGM", "good": 10**15,
        "scrap": 125, "rework": 1, "causes": [str(ID)], "why": "gehört zu 100041", "actor": "m.weber",
        "document_date": date(2025, 10, 9), "at_us": 1_760_000_000_000_001,
    },
    "command": {
        "command_id": ID, "kind": "stock-status", "plant": "A", "order": "100042", "operation": "0010",
        "material": "M-1", "lot": "L-9", "stock_type": "blocked", "reason": "12 % scrap, 10 % allowed",
        "occurred_us": 1_760_000_000_000_001, "correlation_id": "c-1",
    },
    "action": {
        "action_id": ID, "kind": "reprocess", "exception_id": str(ID), "posting_id": str(ID), "actor": "m.weber",
        "reason": "Los geprüft", "at_us": 1_760_000_000_000_001,
    },
    "order_reference": {
        **REFERENCE, "erp": "s4", "plant": "A", "order": "100042", "status": "technically-complete",
        "material": "M-1", "quantity": 500_000, "unit": "KGM", "over_delivery": 100,
        "operations": [
            {
                "operation": "0010", "work_center": "PRESS", "quantity": 500_000, "confirmed_by": "0020",
                "setup_us": 600_000_000, "run_us": 1_250_000, "counting_sources": ["scale", "press-1"],
            },
        ],
        "components": [
            {
                "item": "0010", "reservation": "0000004711", "material": "M-2", "operation": "0010",
                "quantity": 1_500, "unit": "KGM", "backflush": True, "storage_location": "RM01",
            },
        ],
        "storage_location": "FG01",
        "counting_sources": ["press-1"],
    },
    "work_center_reference": {**REFERENCE, "plant": "A", "work_center": "PRESS"},
    "material_reference": {
        **REFERENCE, "material": "M-1", "base_unit": "KGM",
        "units": [{"unit": "H87", "numerator": 3, "denominator": 2}], "lot_managed": True, "inspected": True,
        "family": "housings",
    },
    "lot_reference": {**REFERENCE, "material": "M-1", "lot": "L-9", "status": "restricted"},
    "reason_reference": {**REFERENCE, "plant": "A", "reason": "R03 Grat", "erp_reason": "0003"},
    "step_reference": {
        **REFERENCE, "plant": "A", "work_center": "PRESS", "material": "M-1", "operations": ["0010", "0020"],
        "erp_work_center": "WC-A110",
    },
    "bin_reference": {
        **REFERENCE, "plant": "A", "bin": "B-01-02", "storage_location": "RM01", "stock_type": "blocked",
    },
    "route_reference": {**REFERENCE, "plant": "A", "erp": "s4", "erp_plant": "1010"},
    "period_reference": {
        **REFERENCE, "erp": "s4", "first": date(2025, 10, 1), "last": date(2025, 10, 31), "open": True,
    },
}  # fmt: skip
