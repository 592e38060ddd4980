"""Receipts as messages: JSON, and a CloudEvents 1.0 envelope in Kafka's binary mode; the key is that of the posting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa

from canonical.contracts import Receipt
from canonical.envelope import instant
from canonical.json_tables import table
from canonical.messages import Message
from canonical.posting_wire import RECORDED, order_key
from canonical.records import Headers


def encode_receipt(receipt: Receipt) -> Message:
    """Return the message of a receipt; what the ERP says of a posting at one instant is one event."""
    key = order_key(receipt.plant, receipt.order)
    at = instant(receipt.answered_us) or b""
    headers = (
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_type", b"plantsync.receipt.v1"),
        ("ce_source", b"/plantsync/delivery/" + receipt.erp.encode()),
        ("ce_id", f"{receipt.posting_id}/{receipt.status.value}/{receipt.answered_us}".encode()),
        ("ce_partitionkey", key),
        ("ce_subject", receipt.order.encode()),
        ("ce_time", at),
        (RECORDED, at),
        ("ce_correlationid", receipt.correlation_id.encode()),
    )
    return key, receipt.model_dump_json().encode(), headers


def decode_receipts(values: Sequence[bytes]) -> pa.Table:
    """Return RECEIPT[n] in the Arrow schema of the contract. Raises: WireError."""
    return table(Receipt, values)


def recorded_us(headers: Headers, otherwise_us: int) -> int:
    """Return when a record was written, as its envelope says; the other instant where it says nothing that reads."""
    for name, value in headers:
        if name == RECORDED:
            try:
                return round(datetime.fromisoformat(value.decode()).timestamp() * 1e6)
            except (ValueError, OverflowError):
                break
    return otherwise_us
