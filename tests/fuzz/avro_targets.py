"""Avro under fuzz: framed messages of two schemas, records that bring their schema, and containers."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

import fastavro
import numpy as np
from fastavro.schema import fingerprint, to_parsing_canonical_form

from canonical.columns import Vocabulary
from canonical.decoders import decode
from canonical.decoders.avro import SCHEMA_HEADER, read_container
from canonical.decoders.avro_container import Container
from canonical.mapping import PlantMapping
from canonical.records import RawRecords
from canonical.writer_schema import writer_schema
from tests.fuzz import containers, damage_avro, damage_json, seeds
from tests.fuzz.damage_bytes import spoil
from tests.fuzz.decode_target import DecodeTarget
from tests.fuzz.outcome import NOW_US, Outcome, Tally, outcome
from tests.fuzz.targets import Target
from tests.fuzz.violation import require

V1, V2 = ((seeds.HERE / "plants" / f"messages.{version}.avsc").read_text("utf-8") for version in ("v1", "v2"))
SPLIT = b"\xff\x00schema\x00\xff"
"""Between the schema and the body of a message that brings its schema."""


def single_prefix(text: str) -> bytes:
    """Return the frame of a single object of this schema."""
    canonical = to_parsing_canonical_form(fastavro.parse_schema(json.loads(text)))
    return b"\xc3\x01" + bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))


FRAMES = ((b"\0\0\0\0\1", V1), (b"\0\0\1\x11\x70", V2), (single_prefix(V1), V1), (single_prefix(V2), V2))


def message(rng: Random) -> bytes:
    """Return a framed datum, whole or with one of its numbers attacked."""
    prefix, text = rng.choice(FRAMES)
    schema = writer_schema(text)
    written = damage_avro.write(
        rng, schema, schema.root, damage_avro.Written(wildness=rng.choice((0.0, 0.02, 0.1, 0.5)))
    )
    return prefix + (bytes(written.data) if rng.random() < 0.6 else damage_avro.attacked(rng, written))


def reference(_mapping: PlantMapping, value: bytes, found: Outcome, row: int) -> None:
    """What is accepted is what fastavro reads, to its last byte."""
    here = found.of(row)
    if here is None or row in found.faults:
        return
    prefix, text = next((p, t) for p, t in FRAMES if value.startswith(p))
    bare = json.loads(
        text.replace('"string"', '"bytes"'), object_hook=lambda n: {k: v for k, v in n.items() if k != "logicalType"}
    )
    source = io.BytesIO(value[len(prefix) :])
    again = fastavro.schemaless_reader(source, bare)
    require(source.tell() == len(value) - len(prefix), "an event is a whole datum", value)
    at = int(found.rows.searchsorted(row))
    machine = again["machine"]  # type: ignore[call-overload, index]
    machine = machine.decode() if isinstance(machine, bytes) else str(machine)
    require(
        found.vocabulary.texts[found.columns["source"][at]] == machine,
        "the source is what fastavro reads",
        value,
        machine,
    )


class SchemaTarget:
    """Messages that bring their schema in a header, as records of a container do; the schema is mutated too."""

    weight = 0.25
    batch_messages = 60

    def __init__(self) -> None:
        self.mapping = seeds.own_plant("messages")

    def batch(self, rng: Random, count: int) -> list[bytes]:
        values = []
        for _ in range(count):
            text = rng.choice((V1, V2)).encode()
            if rng.random() < 0.5:
                text = damage_json.damage(rng, text, (V1.encode(), V2.encode(), *containers.HOSTILE))
            elif rng.random() < 0.3:
                text = rng.choice(containers.HOSTILE)
            body = message(rng)
            values.append(
                text + SPLIT + (body if rng.random() < 0.7 else spoil(rng, body, (body,), damage_avro.damage))
            )
        return values

    def check(self, values: Sequence[bytes], rng: Random) -> Tally:
        parts = [value.partition(SPLIT) for value in values]
        framed = [_reframed(text, body) for text, _, body in parts]
        headers = [((SCHEMA_HEADER, text),) if text else () for text, _, _ in parts]
        whole = outcome(self.mapping, framed, Vocabulary(), headers)
        for row in rng.sample(range(len(values)), min(8, len(values))):
            alone = outcome(self.mapping, [framed[row]], Vocabulary(), [headers[row]]).of(0)
            require(
                alone == whole.of(row),
                "a message with its schema is decoded as it is alone",
                values[row],
                whole.of(row),
                alone,
            )
        return whole.tally()


def _reframed(text: bytes, body: bytes) -> bytes:
    """Return the body in the frame of the schema that comes with it, where it is one."""
    try:
        return single_prefix(text.decode()) + body[5 if body[:1] == b"\0" else 10 :]
    except Exception:  # noqa: BLE001 - a spoilt schema; any frame will do
        return body


class ContainerTarget:
    """Object container files: each message is a file."""

    weight = 0.12
    batch_messages = 12

    def __init__(self) -> None:
        self.mapping = seeds.own_plant("messages")

    def batch(self, rng: Random, count: int) -> list[bytes]:
        return [containers.container(rng, (V1, V2)) for _ in range(count)]

    def check(self, values: Sequence[bytes], rng: Random) -> Tally:
        tally: Tally = Counter()
        for data in values:
            records = read_container(data, "fuzz")
            require(
                len(records) <= 1 + len(data) * containers.EXPANSION_MAX,
                "a container holds what its size can hold",
                len(records),
            )
            kept = sum(len(records.value(row)) for row in range(len(records)))
            require(
                kept <= containers.KEPT_BYTES_MAX + 12 * len(data),
                "what a container becomes is bounded",
                kept,
                len(data),
            )
            require((np.diff(records.offsets) > 0).all(), "offsets increase")
            _pieces(data, records, rng)
            done = decode(self.mapping, records, Vocabulary(), NOW_US)
            require(len(done.events) + len(done.faults) + done.skipped == len(records), "every datum is accounted for")
            _sample(self.mapping, records, rng)
            tally += Counter({"events": len(done.events), "skipped": done.skipped})
            tally += Counter(fault.code.value for fault in done.faults)
        return tally


def _pieces(data: bytes, records: RawRecords, rng: Random) -> None:
    """A container read in pieces holds the same records."""
    if len(records) > 2_000:
        return
    container, values = Container(io.BytesIO(data)), []
    container.skip(first := rng.choice((0, 0, 1, 3)))
    while len(piece := container.read(rng.choice((1, 7, 500)), rng.choice((1, 1_000, 1 << 20)))):
        require(piece.offsets[0] == first + len(values), "a piece goes on where the one before ended")
        values += [piece.value(row) for row in range(len(piece))]
    require(
        values == [records.value(row) for row in range(first, len(records))], "a container is read in pieces as whole"
    )


def _sample(mapping: PlantMapping, records: RawRecords, rng: Random) -> None:
    """A few data of a container are decoded as they are alone."""
    n = len(records)
    if not 0 < n <= 500 or records.headers is None:
        return
    values = [records.value(row) for row in range(n)]
    whole = outcome(mapping, values, Vocabulary(), records.headers)
    row = rng.randrange(n)
    alone = outcome(mapping, [values[row]], Vocabulary(), [records.headers[row]]).of(0)
    require(alone == whole.of(row), "a datum is decoded as it is alone", values[row], whole.of(row), alone)


def targets() -> Mapping[str, Target]:
    made = [message(Random(i)) for i in range(150)]
    foreign = (*seeds.fixtures("*/*.json*")[:10], b"Obj\x01" + b"\0" * 20)
    return {
        "avro-messages": DecodeTarget(
            seeds.own_plant("messages"),
            made,
            damage_avro.damage,
            2.0,
            donors=foreign,
            fresh=message,
            reference=reference,
        ),
        "avro-schemas": SchemaTarget(),
        "avro-containers": ContainerTarget(),
    }
