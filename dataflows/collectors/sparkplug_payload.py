"""The payload of a Sparkplug B message: its protobuf, and the values of its metrics.

Source: Sparkplug 3.0, Payloads (sparkplug_b.proto): integers with a sign arrive in fields without one, and are what
their datatype says.
"""

from __future__ import annotations

import math
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

GOOD: Final = 192
_SIGNED_BITS: Final = {1: 8, 2: 16, 3: 32, 4: 64}
_UINT64, _UINT32, _STRING, _BYTES, _BOOL, _FLOAT, _DOUBLE, _MESSAGE = 4, 13, 9, 12, 8, 2, 1, 11
_VALUES: Final = (
    "int_value",
    "long_value",
    "float_value",
    "double_value",
    "boolean_value",
    "string_value",
    "bytes_value",
)


class PayloadUnreadable(Exception):
    """The bytes are no Sparkplug payload."""


def _add(
    message: Any, name: str, number: int, kind: int, *, many: bool = False, of: str = "", oneof: bool = False
) -> None:
    field = message.field.add(name=name, number=number, type=kind)
    field.label = FieldDescriptorProto.LABEL_REPEATED if many else FieldDescriptorProto.LABEL_OPTIONAL
    if of:
        field.type_name = f".plantsync.{of}"
    if oneof:
        field.oneof_index = 0


def _payload_class() -> Any:
    """Return the message class; of the fields that no source of events uses only the places are known."""
    file = FileDescriptorProto(name="sparkplug_b.proto", package="plantsync", syntax="proto2")
    value = file.message_type.add(name="PropertyValue")
    value.oneof_decl.add(name="value")
    _add(value, "type", 1, _UINT32)
    for number, (name, kind) in enumerate((("int_value", _UINT32), ("long_value", _UINT64)), 3):
        _add(value, name, number, kind, oneof=True)
    properties = file.message_type.add(name="PropertySet")
    _add(properties, "keys", 1, _STRING, many=True)
    _add(properties, "values", 2, _MESSAGE, many=True, of="PropertyValue")
    metric = file.message_type.add(name="Metric")
    metric.oneof_decl.add(name="value")
    for name, number, kind in (
        ("name", 1, _STRING), ("alias", 2, _UINT64), ("timestamp", 3, _UINT64), ("datatype", 4, _UINT32),
        ("is_historical", 5, _BOOL), ("is_transient", 6, _BOOL), ("is_null", 7, _BOOL),
    ):  # fmt: skip
        _add(metric, name, number, kind)
    _add(metric, "properties", 9, _MESSAGE, of="PropertySet")
    kinds = (_UINT32, _UINT64, _FLOAT, _DOUBLE, _BOOL, _STRING, _BYTES)
    for number, (name, kind) in enumerate(zip(_VALUES, kinds, strict=True), 10):
        _add(metric, name, number, kind, oneof=True)
    payload = file.message_type.add(name="Payload")
    _add(payload, "timestamp", 1, _UINT64)
    _add(payload, "metrics", 2, _MESSAGE, many=True, of="Metric")
    _add(payload, "seq", 3, _UINT64)
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("plantsync.Payload"))


_PAYLOAD: Final = _payload_class()


def blank() -> Any:
    """Return a payload that says nothing yet."""
    return _PAYLOAD()


def payload_of(data: bytes) -> Any:
    """Return the payload of a message. Raises: PayloadUnreadable."""
    try:
        return _PAYLOAD.FromString(data)
    except (DecodeError, UnicodeDecodeError, ValueError) as error:
        raise PayloadUnreadable(str(error)) from error


def rebirth() -> bytes:
    """Return the payload of a command that asks an edge node for its birth."""
    payload = _PAYLOAD()
    metric = payload.metrics.add(name="Node Control/Rebirth", datatype=11)
    metric.boolean_value = True
    data: bytes = payload.SerializeToString()
    return data


def value_of(metric: Any, datatype: int) -> Any:
    """Return the value of a metric as JSON has it; None where it is null, no number, or of a kind that has no value.

    Args: datatype: what the metric's birth says, where its own message does not.
    """
    held = metric.WhichOneof("value")
    if metric.is_null or held is None:
        return None
    value = getattr(metric, held)
    kind = metric.datatype or datatype
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if bits := _SIGNED_BITS.get(kind) if held in {"int_value", "long_value"} else None:
        value &= (1 << bits) - 1
        return value - (1 << bits) if value >> (bits - 1) else value
    return value


def is_good(metric: Any) -> bool:
    """Return whether the metric's quality is good; one that says nothing of it is."""
    for key, value in zip(metric.properties.keys, metric.properties.values, strict=False):
        if key.lower() == "quality":
            return bool(value.int_value == GOOD if value.HasField("int_value") else value.long_value == GOOD)
    return True
