"""Mutations that know nothing of a format: bytes flipped, put in, taken out, repeated, spliced and cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

Damage = Callable[[Random, bytes, Sequence[bytes]], bytes]
"""Returns a record made of this one and of others, the donors."""

CRUMBS = (
    b"\0", b"\xff", b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\x80", b"\xc0\x80", b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80", b"\xe2\x80\xa8", b"\xe2\x80", b"\xc2\x85", b"\xc2\xa0", b"\xa0", b"\x81", b"\x1a",
    b"\x1b[31m", b"\x7f", b"\x0b", b"\x0c", b"\n", b"\r", b"\r\n", b"\n\r", b"\t", b" ", b"  ", b'"', b"'", b'""',
    b"\\", b"\\\\", b"\\u0000", b"\\ud800", b"{", b"}", b"}{", b"}\n{", b"[", b"]", b":", b",", b";", b"|", b"||",
    b"@", b"*", b"<", b"--multiline--", b"Obj\x01", b"\xc3\x01", b"0", b"-", b".", b"e9", b"1" * 40, b"\xcc\x81" * 40,
    b"\xf0\x9f\x92\xa9", b"\xe2\x80\xae", b"null", b"true", b"NaN",
)  # fmt: skip


def flip(rng: Random, value: bytes, _donors: Sequence[bytes]) -> bytes:
    if not value:
        return value
    spoilt = bytearray(value)
    for _ in range(rng.choice((1, 1, 2, 8))):
        spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def overwrite(rng: Random, value: bytes, _donors: Sequence[bytes]) -> bytes:
    at = rng.randint(0, len(value))
    crumb = rng.choice(CRUMBS)
    return value[:at] + crumb + value[at + len(crumb) :]


def insert(rng: Random, value: bytes, _donors: Sequence[bytes]) -> bytes:
    at = rng.choice((0, len(value), rng.randint(0, len(value))))
    crumb = rng.choice(CRUMBS) if rng.random() < 0.8 else rng.randbytes(rng.randint(1, 16))
    return value[:at] + crumb + value[at:]


def delete(rng: Random, value: bytes, _donors: Sequence[bytes]) -> bytes:
    a, b = span(rng, value)
    return value[:a] + value[b:]


def repeat(rng: Random, value: bytes, _donors: Sequence[bytes]) -> bytes:
    a, b = span(rng, value)
    return value[:b] + value[a:b] * rng.choice((1, 1, 2, 5, 40)) + value[b:]


def splice(rng: Random, value: bytes, donors: Sequence[bytes]) -> bytes:
    """Begin with one record and end with another."""
    other = rng.choice(donors)
    return value[: rng.randint(0, len(value))] + other[rng.randint(0, len(other)) :]


def graft(rng: Random, value: bytes, donors: Sequence[bytes]) -> bytes:
    other = rng.choice(donors)
    a, b = span(rng, value)
    c, d = span(rng, other)
    return value[:a] + other[c:d] + value[b:]


def cut(rng: Random, value: bytes, _donors: Sequence[bytes]) -> bytes:
    at = rng.randint(0, len(value))
    return value[:at] if rng.random() < 0.7 else value[at:]


def join(rng: Random, value: bytes, donors: Sequence[bytes]) -> bytes:
    return value + rng.choice((b"", b" ", b"\n", b"\r\n", b",", b"\0")) + rng.choice(donors)


def junk(rng: Random, _value: bytes, _donors: Sequence[bytes]) -> bytes:
    return rng.choice((b"", rng.choice(CRUMBS), rng.randbytes(rng.randint(0, 80)), rng.choice(CRUMBS) * 50))


def span(rng: Random, value: bytes) -> tuple[int, int]:
    """Return a piece of the value, more often a short one."""
    a = rng.randint(0, len(value))
    b = min(len(value), a + rng.choice((1, 1, 2, 4, 8, 32, len(value))))
    return a, b


DAMAGES: tuple[Damage, ...] = (flip, overwrite, insert, insert, delete, repeat, splice, graft, cut, join, junk)


def spoil(rng: Random, value: bytes, donors: Sequence[bytes], own: Damage, own_share: float = 0.75) -> bytes:
    """Return the value after one to four mutations, the format's own more often than others.

    Args: own: the mutation that knows the format of the record.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        damage = own if rng.random() < own_share else rng.choice(DAMAGES)
        value = damage(rng, value, donors)
    return value
