"""Whatever a contract allows survives the wire: JSON with its envelope, and Avro (M05, M07)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from io import BytesIO
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin
from uuid import UUID

import fastavro
import pyarrow as pa
import pytest
from annotated_types import Ge, Le, MaxLen, MinLen
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from canonical.contracts import Confirmation, Event, EventV1, EventV2, Gap, LedgerEntry, read_event, upcast
from canonical.identity import event_id, posting_id
from canonical.messages import Message
from canonical.schemas import CONTRACTS, arrow_schema, avro_schema, columns, default
from canonical.wire import (
    decode_confirmations,
    decode_events,
    decode_gaps,
    decode_ledger,
    encode_confirmations,
    encode_events,
    encode_gaps,
    encode_ledger,
)

RECORDED_US = 1_760_000_000_000_000
MODELS = [model for versions in CONTRACTS.values() for model in versions.values()]

Encode = Callable[[Mapping[str, list[Any]]], list[Message]]
WIRE: list[tuple[type[BaseModel], Encode, Callable[[list[bytes]], pa.Table]]] = [
    (Confirmation, lambda rows: encode_confirmations(rows, RECORDED_US), decode_confirmations),
    (Event, lambda rows: encode_events(rows, RECORDED_US), decode_events),
    (Gap, encode_gaps, decode_gaps),
]


def valid(annotation: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    """Values a field of this annotation may have, up to its bounds."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    bounds = {type(m): m for item in metadata for m in (item.metadata if isinstance(item, FieldInfo) else [item])}
    if origin is Annotated:
        return valid(arguments[0], list(arguments[1:]))
    if origin is Literal:
        return st.just(arguments[0])
    if NoneType in arguments:
        return st.none() | valid(next(a for a in arguments if a is not NoneType), [])
    if origin is tuple:
        return st.lists(valid(arguments[0], []), max_size=3).map(tuple)
    if annotation is str:
        longest = bounds[MaxLen].max_length if MaxLen in bounds else 40
        shortest = bounds[MinLen].min_length if MinLen in bounds else 0
        return st.text(min_size=shortest, max_size=min(longest, 12)) | st.just("x" * longest)
    if annotation is int:
        return st.integers(bounds[Ge].ge, bounds[Le].le)
    if issubclass(annotation, BaseModel):
        return rows_of(annotation)
    return st.from_type(annotation)


@st.composite
def rows_of(draw: st.DrawFn, model: type[BaseModel]) -> dict[str, Any]:
    row = {name: draw(valid(field.annotation, field.metadata)) for name, field in columns(model).items()}
    if "last_seq" in row:
        row["first_seq"], row["last_seq"] = sorted((row["first_seq"], row["last_seq"]))
    return row


@st.composite
def tables_of(draw: st.DrawFn, model: type[BaseModel]) -> list[dict[str, Any]]:
    """Rows that all lack the same optional fields."""
    optional = [name for name, field in columns(model).items() if not field.is_required()]
    absent = draw(st.sets(st.sampled_from(optional)))
    rows = draw(st.lists(rows_of(model), min_size=1, max_size=5))
    return [{name: value for name, value in row.items() if name not in absent} for row in rows]


def as_columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    def plain(name: str, value: Any) -> Any:
        return str(value) if name in {"posting_id", "posting_date"} else value

    return {name: [plain(name, row[name]) for row in rows] for name in rows[0]}


def expected(model: type[BaseModel], row: dict[str, Any]) -> dict[str, Any]:
    whole = {name: row[name] if name in row else default(field) for name, field in columns(model).items()}
    return {name: str(value) if name == "posting_id" else value for name, value in whole.items()}


@pytest.mark.parametrize(("model", "encode", "decode"), WIRE, ids=lambda v: getattr(v, "__name__", ""))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_decode_is_the_inverse_of_encode(model: Any, encode: Encode, decode: Any, data: st.DataObject) -> None:
    rows = data.draw(tables_of(model))
    messages = encode(as_columns(rows))
    table = decode([value for _, value, _ in messages])
    assert table.schema == arrow_schema(model)
    assert table.to_pylist() == [expected(model, row) for row in rows]


@pytest.mark.parametrize(("model", "encode"), [(m, e) for m, e, _ in WIRE], ids=lambda v: getattr(v, "__name__", ""))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_model_accepts_every_value(model: Any, encode: Encode, data: st.DataObject) -> None:
    rows = data.draw(tables_of(model))
    for row, (_, value, _) in zip(rows, encode(as_columns(rows)), strict=True):
        assert model.model_validate_json(value, strict=False) == model.model_validate(row)


@settings(max_examples=60, deadline=None)
@given(rows=tables_of(LedgerEntry), other=tables_of(LedgerEntry), shard=st.text(max_size=20))
def test_ledger_lines_come_back_in_order(rows: list[dict[str, Any]], other: list[dict[str, Any]], shard: str) -> None:
    rows, other = ([{**row, "plant": "A"} for row in part] for part in (rows, other))
    values = []
    for part in (rows, other):
        ((key, value, _),) = encode_ledger(shard, {k: v for k, v in as_columns(part).items() if k != "shard"})
        assert key == shard.encode()
        values.append(value)
        for line in value.splitlines():
            LedgerEntry.model_validate_json(line)
    assert decode_ledger(values).to_pylist() == [
        {**expected(LedgerEntry, row), "shard": shard} for row in (*rows, *other)
    ]


@pytest.mark.parametrize(("model", "encode"), [(m, e) for m, e, _ in WIRE], ids=lambda v: getattr(v, "__name__", ""))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_envelope_is_cloudevents(model: Any, encode: Encode, data: st.DataObject) -> None:
    rows = data.draw(tables_of(model))
    for row, (key, _, headers) in zip(rows, encode(as_columns(rows)), strict=True):
        sent = {name: value.decode() for name, value in headers}
        assert len(sent) == len(headers)
        assert {"ce_id", "ce_source", "ce_specversion", "ce_type", "content-type"} <= sent.keys()
        assert all(re.fullmatch(r"content-type|ce_[a-z0-9]+", name) for name in sent)
        assert all(sent[name] for name in sent if name != "ce_partitionkey")
        assert sent["ce_type"].startswith(f"plantsync.{model.__name__.lower()}.v")
        assert re.fullmatch(r"/plantsync/[\w.~%-]*/[\w.~%-]*", sent["ce_source"], re.ASCII)
        assert key.decode() == sent["ce_partitionkey"] == row["source"]
        seq = row.get("seq", row.get("first_seq"))
        assert (seq is None) == ("ce_sequence" not in sent)
        assert seq is None or (len(sent["ce_sequence"]) == 20 and int(sent["ce_sequence"]) == seq)
        for name in ("ce_time", "ce_recordedtime"):
            assert name not in sent or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", sent[name])


@settings(max_examples=60, deadline=None)
@given(rows=tables_of(Event))
def test_event_ids_are_identities(rows: list[dict[str, Any]]) -> None:
    for row, (_, value, headers) in zip(rows, encode_events(as_columns(rows), RECORDED_US), strict=True):
        seq = row.get("seq")
        wanted = event_id(row["source"], row.get("session", ""), value.decode() if seq is None else seq)
        assert dict(headers)["ce_id"].decode() == str(wanted)


@settings(max_examples=60, deadline=None)
@given(rows=tables_of(Gap))
def test_gap_ids_are_identities(rows: list[dict[str, Any]]) -> None:
    for row, (_, _, headers) in zip(rows, encode_gaps(as_columns(rows)), strict=True):
        wanted = posting_id(row["plant"], row["source"], row.get("session", ""), row["first_seq"], "gap")
        assert dict(headers)["ce_id"].decode() == str(wanted)


@settings(max_examples=30, deadline=None)
@given(rows=tables_of(Confirmation), one=st.integers(0, 2**50), other=st.integers(0, 2**50))
def test_keys_and_values_do_not_know_when(rows: list[dict[str, Any]], one: int, other: int) -> None:
    sent = [[message[:2] for message in encode_confirmations(as_columns(rows), us)] for us in (one, other)]
    assert sent[0] == sent[1]


def avro_round_trip(row: dict[str, Any], writer: dict[str, Any], reader: dict[str, Any]) -> dict[str, Any]:
    buffer = BytesIO()
    written, read = (fastavro.parse_schema(schema, named_schemas={}) for schema in (writer, reader))
    fastavro.schemaless_writer(buffer, written, row)
    buffer.seek(0)
    back = fastavro.schemaless_reader(buffer, written, read)
    assert not buffer.read()
    assert isinstance(back, dict)
    return back


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_avro_round_trip_is_the_identity(model: type[BaseModel], data: st.DataObject) -> None:
    value = model.model_validate(data.draw(rows_of(model)))
    schema = avro_schema(model)
    assert model.model_validate(avro_round_trip(value.model_dump(), schema, schema)) == value


@pytest.mark.parametrize("older", [EventV1, EventV2])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_an_older_version_read_as_the_newest_is_the_upcast(older: type[EventV1], data: st.DataObject) -> None:
    event = older.model_validate(data.draw(rows_of(older)))
    back = avro_round_trip(event.model_dump(), avro_schema(older), avro_schema(Event))
    assert Event.model_validate(back) == upcast(event)


@pytest.mark.parametrize("older", [EventV1, EventV2])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_json_of_an_older_version_decodes_as_the_upcast(older: type[EventV1], data: st.DataObject) -> None:
    event = older.model_validate(data.draw(rows_of(older)))
    value = event.model_dump_json().encode()
    (back,) = decode_events([value]).to_pylist()
    assert Event.model_validate(back) == upcast(event) == read_event(value)


UNKNOWN = st.dictionaries(
    st.from_regex(r"[a-z][a-z_]{0,20}", fullmatch=True).filter(
        lambda name: name not in Event.model_fields and not hasattr(Event, name)
    ),
    st.none() | st.integers() | st.text() | st.lists(st.integers(), max_size=3),
    max_size=4,
)


@pytest.mark.parametrize("older", [EventV1, EventV2])
@settings(max_examples=100, deadline=None)
@given(data=st.data(), unknown=UNKNOWN)
def test_the_upcast_keeps_what_no_version_knows(
    older: type[EventV1], data: st.DataObject, unknown: dict[str, Any]
) -> None:
    row = data.draw(rows_of(older))
    event = upcast(older.model_validate({**row, **unknown}))
    assert event.model_extra == unknown
    assert event.schema_version == 3
    assert upcast(event) is event
    assert {name: getattr(event, name) for name in row} == row


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_valid_value_fits_the_arrow_schema(model: type[BaseModel], data: st.DataObject) -> None:
    rows = [model.model_validate(row) for row in data.draw(st.lists(rows_of(model), max_size=3))]
    plain = [
        {name: str(value) if isinstance(value, UUID) else value for name, value in row.model_dump().items()}
        for row in rows
    ]
    table = pa.Table.from_pylist(plain, schema=arrow_schema(model))
    table.validate(full=True)
    assert table.num_rows == len(rows)
