"""Object container files, whole and spoilt: cut anywhere, counts and sizes that lie, codecs, schemas that explode."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Sequence
from random import Random

from canonical.writer_schema import writer_schema
from tests.fuzz import damage_avro, damage_json
from tests.fuzz.damage_avro import varint
from tests.fuzz.damage_bytes import DAMAGES

EXPANSION_MAX = 1_100
"""Data in a file per byte of it: one byte of deflate holds at most 1,032 bytes."""
KEPT_BYTES_MAX = 32 << 20

HOSTILE = (
    b'"null"', b'"long"', b'"string"', b"[]", b"{}", b'["null","long"]', b'{"type":"null"}',
    b'{"type":{"type":{"type":"long"}}}', b'{"type":"record","name":"R","fields":[]}',
    b'{"type":"record","name":"R","fields":[{"name":"machine","type":"R"}]}',
    b'{"type":"record","name":"R","fields":[{"name":"a","type":"R"},{"name":"b","type":"R"},{"name":"c","type":"R"}]}',
    b'{"type":"record","name":"R","fields":[{"name":"a","type":["null","R"]},{"name":"b","type":["null","R"]}]}',
    b'{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":"null"}}]}',
    b'{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":{"type":"fixed","name":"F","size":0}}}]}',
    b'{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"fixed","name":"F","size":4611686018427387904}}]}',
    b'{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"fixed","name":"F","size":-1}}]}',
    b'{"type":"record","name":"R","fields":[{"name":"machine","type":{"type":"enum","name":"E","symbols":[]}}]}',
    b'{"type":"record","name":"R","fields":[{"name":"n","type":[]}]}', b'{"type":"array","items":"null"}',
    b'{"type":"array","items":{"type":"array","items":"null"}}', b'{"type":"map","values":"null"}',
    b'{"type":"array","items":' * 300 + b'"long"' + b"}" * 300,
    b'{"type":"array","items":' * 6000 + b'"long"' + b"}" * 6000,
    b'{"type":"record","name":"R","fields":[{"name":"wh","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":-3}}]}',
    b'{"type":"record","name":"R","fields":[{"name":"wh","type":{"type":"bytes","logicalType":"decimal","precision":1,"scale":"x"}}]}',
    b'{"type":"record","name":"R","fields":[{"name":"n","type":"string"},{"name":"n","type":"long"}]}',
    b'{"type":"record","name":"R","fields":[{"name":"machine","type":"string","default":1}]}',
    b'{"type":"error","name":"R","fields":[{"name":"machine","type":"string"}]}',
    b'{"type":"record","name":"R","fields":[{"name":"machine","type":{"type":"record","name":"S","fields":[{"name":"x","type":"int"}]}}]}',
    b'{"type":"record","name":"R","fields":[{"name":"at","type":{"type":"long","logicalType":7}}]}', b"\xff{}", b"",
    b"nul", b"[" * 5000,
)  # fmt: skip
CODECS = ("null", "null", "deflate", "bzip2", "xz")


def container(rng: Random, texts: Sequence[str]) -> bytes:
    """Return a file, sound one time out of four."""
    text = rng.choice(texts).encode()
    way = rng.randrange(8)
    if way == 0:
        text = rng.choice(HOSTILE)
    elif way == 1:
        text = damage_json.damage(rng, text, [other.encode() for other in texts])
    codec = rng.choice(CODECS)
    blocks = [_block(rng, text) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
    sync = rng.randbytes(16)
    meta = {"avro.codec": codec.encode(), "avro.schema": text}
    if way == 2:
        meta |= rng.choice(({"avro.codec": b"snappy"}, {"avro.codec": b"\xff"}, {"avro.schema": b""}, {"x": b"\0" * 5}))
    data = _header(meta, sync)
    for stated, block in blocks:
        count = stated
        packed = _packed(codec, block)
        size = len(packed)
        if way == 3:
            count, size = rng.choice(
                ((rng.choice(damage_avro.WHOLE), size), (count, rng.choice(damage_avro.WHOLE)), (count, size - 1))
            )
        elif way == 4:
            packed = rng.choice(
                (_packed("deflate", b"\0" * 2_000_000), packed[: rng.randint(0, size)], rng.randbytes(size))
            )
            size = len(packed)
        data += varint(count) + varint(size) + packed + (sync if rng.random() < 0.95 else rng.randbytes(16))
    if way == 5:
        return data[: rng.randint(0, len(data))]
    if way == 6:
        for _ in range(rng.choice((1, 2, 3))):
            data = rng.choice(DAMAGES)(rng, data, (data, b"Obj\x01"))
    return data


def _block(rng: Random, text: bytes) -> tuple[int, bytes]:
    """Return some data of the schema; zeros where it is no schema."""
    count = rng.choice((0, 1, 2, 5, 40))
    try:
        schema = writer_schema(text.decode())
        bodies = [damage_avro.write(rng, schema, schema.root, damage_avro.Written()) for _ in range(count)]
    except Exception:  # noqa: BLE001 - a spoilt schema, which may fail in any way
        return count, bytes(count * 3)
    spoilt = rng.random() < 0.3
    return count, b"".join(damage_avro.attacked(rng, body) if spoilt else bytes(body.data) for body in bodies)


def _packed(codec: str, block: bytes) -> bytes:
    match codec:
        case "deflate":
            packer = zlib.compressobj(9, zlib.DEFLATED, -15)
            return packer.compress(block) + packer.flush()
        case "bzip2":
            return bz2.compress(block)
        case "xz":
            return lzma.compress(block, preset=0)
        case _:
            return block


def _header(meta: dict[str, bytes], sync: bytes) -> bytes:
    data = b"Obj\x01" + varint(len(meta))
    for name, value in meta.items():
        data += varint(len(name)) + name.encode() + varint(len(value)) + value
    return data + varint(0) + sync
