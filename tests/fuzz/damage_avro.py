"""Avro records written with the places of their numbers, and mutations that attack these."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from canonical.writer_schema import WriterSchema
from tests.fuzz.damage_bytes import CRUMBS

WHOLE = (
    0, 1, -1, 2, -2, 3, 63, 64, 127, 128, 300, 9_999, 10_000, 10_001, 2**31 - 1, 2**31, -(2**31), 2**53, 2**62,
    2**63 - 1, -(2**63), 1_772_539_200_000, 1_772_539_200_000_000,
)  # fmt: skip
TEXTS = (
    "",
    "M-1",
    "4711",
    "CYCLE",
    "b{ä😀",
    "x" * 257,
    "1.5",
    "2026-03-03T11:00:00Z",
    "\0",
    "e\u0301",
    "\ufffe",
    "7",
    "\u2028",
)
FLOATS = (0.0, -0.0, 1.5, 0.0005, 1e308, 5e-324, float("nan"), float("inf"), float("-inf"), -1.0, 999_999.999, 1e7)
OVERLONG = (
    b"\x80\x00",
    b"\x80" * 9 + b"\x00",
    b"\x80" * 9 + b"\x01",
    b"\xff" * 9 + b"\x01",
    b"\xff" * 10,
    b"\x80" * 12,
    b"\x80",
)


@dataclass
class Written:
    """The bytes of a datum and where its varints are."""

    data: bytearray = field(default_factory=bytearray)
    numbers: list[tuple[int, int]] = field(default_factory=list)
    wildness: float = 0.33
    """Share of values and branches that are anything."""

    def whole(self, number: int) -> None:
        start = len(self.data)
        self.data += varint(number)
        self.numbers.append((start, len(self.data)))


def varint(number: int) -> bytes:
    """Return a zig-zag varint."""
    left = (number << 1) ^ (number >> 63)
    left &= 2**64 - 1
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def write(rng: Random, schema: WriterSchema, node: Any, out: Written, name: str = "", depth: int = 0) -> Written:
    """Write a random datum; what is not wild takes the first branch, and sound values."""
    kind, attributes = schema.resolved(node)
    sound = rng.random() >= out.wildness
    if kind == "record":
        for each in attributes["fields"]:
            write(rng, schema, each["type"], out, each["name"], depth + 1)
    elif kind == "union":
        branches = attributes["types"]
        chosen = rng.randrange(len(branches)) if depth <= 5 and not sound else 0
        out.whole(chosen)
        write(rng, schema, branches[chosen], out, name, depth + 1)
    elif kind in {"array", "map"}:
        for _ in range(rng.choice((0, 0, 1, 2))):
            _block(rng, schema, kind, attributes, out, depth)
        out.whole(0)
    elif kind in {"int", "long", "enum"}:
        out.whole(_whole(rng, kind, attributes, name) if sound else rng.choice(WHOLE))
    elif kind == "boolean":
        out.data.append(rng.choice((0, 1, 1, 0, 2, 255)))
    elif kind in {"float", "double"}:
        number = rng.choice((1.0, 2.5, 12.0)) if sound else rng.choice(FLOATS)
        out.data += (
            struct.pack("<d", number) if kind == "double" else struct.pack("<f", number if abs(number) < 1e38 else 1.0)
        )
    elif kind == "fixed":
        out.data += rng.choice((b"ABC", b"\xff\xfe\xfd", b"a\0b"))[: attributes["size"]].ljust(attributes["size"], b"z")
    elif kind in {"string", "bytes"}:
        text = _bytes(rng, attributes, name, sound=sound)
        out.whole(len(text))
        out.data += text
    return out


def _block(rng: Random, schema: WriterSchema, kind: str, attributes: Any, out: Written, depth: int) -> None:
    count = rng.choice((1, 1, 2, 3))
    inner = Written(wildness=out.wildness)
    for _ in range(count):
        if kind == "map":
            inner.whole(1)
            inner.data += b"k"
        write(rng, schema, attributes["values" if kind == "map" else "items"], inner, "", depth + 1)
    if rng.random() < 0.3:
        out.whole(-count)
        out.whole(len(inner.data))
    else:
        out.whole(count)
    out.numbers += [(a + len(out.data), b + len(out.data)) for a, b in inner.numbers]
    out.data += inner.data


def _whole(rng: Random, kind: str, attributes: Any, name: str) -> int:
    if kind == "enum":
        return rng.randrange(min(3, len(attributes["symbols"])))
    if name in {"at", "stored", "boot"}:
        scale = {"millis": 10**3, "micros": 10**6, "nanos": 10**9}[
            attributes.get("logicalType", "-micros").rpartition("-")[2]
        ]
        return (1_772_539_200 + rng.randrange(80_000)) * scale
    return rng.randrange(2_000)


def _bytes(rng: Random, attributes: Any, name: str, *, sound: bool) -> bytes:
    if attributes.get("logicalType") == "decimal":
        size = rng.choice((1, 2, 3)) if sound else rng.choice((0, 8, 40, 1_000, 5_000))
        return rng.randbytes(size) if rng.random() < 0.8 else b"\x00" * size
    if sound:
        return {"at": b"2026-03-03T11:00:00Z", "n": b"%d" % rng.randrange(2_000)}.get(name, b"M-%d" % rng.randrange(4))
    text = rng.choice(TEXTS).encode()
    return text if rng.random() < 0.9 else rng.choice(CRUMBS)


def damage(rng: Random, value: bytes, donors: Sequence[bytes]) -> bytes:
    """Put a number of another size, sign or length in the place of some bytes, most of which are numbers."""
    at = rng.randrange(5, len(value)) if len(value) > 6 else 0
    size = rng.choice((0, 1, 1, 1, 2))
    match rng.randrange(6):
        case 0 | 1 | 2:
            attack = varint(rng.choice(WHOLE))
        case 3:
            attack = rng.choice(OVERLONG)
        case 4:
            attack = varint(rng.randrange(-8, 80))
        case _:
            frames = (
                b"\0\0\0\0\1",
                b"\0\0\1\x11\x70",
                b"\0\0\0\0\2",
                b"\xc3\x01",
                b"\0",
                b"\1\0\0\0\1",
                rng.choice(donors)[:10],
            )
            return rng.choice(frames) + value[5:]
    return value[:at] + attack + value[at + size :]


def attacked(rng: Random, written: Written) -> bytes:
    """Return the datum with one of its numbers replaced."""
    if not written.numbers:
        return bytes(written.data)
    start, end = rng.choice(written.numbers)
    number = rng.choice(OVERLONG) if rng.random() < 0.25 else varint(rng.choice(WHOLE))
    return bytes(written.data[:start] + number + written.data[end:])
