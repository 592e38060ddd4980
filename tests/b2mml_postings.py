"""Postings of every kind, as tests of B2MML write them."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from canonical.contracts.posting import Movement, Posting, PostingKind
from canonical.contracts.reference import StockType


def posting(kind: PostingKind, **more: object) -> Posting:
    """Return a posting of this kind."""
    fixed = {
        "posting_id": UUID("0c9b7a1e-0000-5000-8000-000000000001"), "kind": kind, "erp": "S4", "plant": "W",
        "erp_plant": "1010", "order": "4711", "number": 0, "operation": "0010", "posting_date": date(2026, 3, 3),
        "document_date": date(2026, 3, 2), "start_us": 1_772_530_200_000_001, "end_us": 1_772_530_260_000_000,
    }  # fmt: skip
    return Posting.model_validate(fixed | more)


def movement(movement_type: str, **more: object) -> Movement:
    """Return a line of a document that moves goods."""
    fixed = {
        "movement_type": movement_type, "material": "M & <1>", "lot": "L-1", "quantity": 410, "unit": "KGM",
        "storage_location": "0001",
    }  # fmt: skip
    return Movement.model_validate(fixed | more)


CONFIRMATION = posting(
    PostingKind.CONFIRMATION, good=1_500, scrap=2, rework=3, reason="TOOL", setup_us=1, machine_us=12_345_678,
    labour_us=10**9, material="M-9", lot="L-9", final=True, work_center="WC1", shift="F",
    correlation_id="c", unit="KGM",
)  # fmt: skip
POSTINGS = (
    CONFIRMATION,
    posting(PostingKind.CONFIRMATION, material="M-9", work_center="WC1"),
    posting(PostingKind.GOODS_ISSUE, movements=(movement("261", reservation="9", reservation_item="1"),) * 2),
    posting(PostingKind.GOODS_RECEIPT, movements=(movement("101", stock_type=StockType.QUALITY),)),
    posting(
        PostingKind.STOCK_TRANSFER,
        movements=(movement("321", stock_type=StockType.QUALITY, to_storage_location="0002"),),
    ),
    posting(PostingKind.REVERSAL, reverses="0c9b7a1e-0000-5000-8000-000000000002", good=5),
    posting(PostingKind.REVERSAL, reverses="0c9b7a1e-0000-5000-8000-000000000003", movements=(movement("262"),)),
)
