"""Mutations of JSON by token: types swapped, keys doubled, numbers at their limits, nesting, escapes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+0-9.eE]+|[{}\[\]:,]|[A-Za-z]+|\s+|.', re.DOTALL)

NUMBERS = (
    b"1e308", b"1e309", b"-1e308", b"-0", b"-0.0", b"0", b"-1", b"1.5", b"0.001", b"0.0005", b"0.0015", b"1e-30",
    b"5e-324", b"9007199254740991", b"9007199254740992", b"9007199254740993", b"9223372036854775807",
    b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616", b"1" * 400, b"0." + b"3" * 400,
    b"1e400000", b"1E+2", b"1.0", b"01", b"1.", b".5", b"+1", b"--1", b"1e", b"0x10", b"1_000", b"NaN", b"-NaN",
    b"Infinity", b"-Infinity", b"nan", b"inf", b"1.2.3", b"999999.999", b"1000000", b"1000000.001", b"255", b"256",
    b"1772539200000000", b"1772539200000", b"4102444800000000", b"123456789012345678", b"0.1", b"0.30000000000000004",
    b"100000000000000000000000",
)  # fmt: skip
TEXTS = (
    b'""', b'" "', b'"0"', b'"7"', b'"1.5"', b'"-1"', b'"NaN"', b'"1e5"', b'" 12 "', b'"1,5"', b'"0x1F"',
    b'"\\u0661"', b'"1_0"', b'"\\u0000"', b'"a\\u0000b"', b'"\\\\u0000"', b'"\\ud800"', b'"\\udc00"',
    b'"\\ud83d\\ude00"', b'"\\ud840\\udc00"', b'"\\udbff\\udfff"', b'"\\ude00\\ud83d"', b'"\\ud800\\u0041"',
    b'"\\ud83d\\\\ude00"', b'"\\uD83D\\uDE00x"', b'"\\u00"', b'"\\x41"', b'"\\/"', b'"\\b\\f\\n\\r\\t"', b'"\\"',
    b'"\t"', b'"\n"', b'"}"', b'"{"', b'"}{"', b'"\\"}{\\""', b'":{"', b'"\xf0\x9f\x98\x80"', b'"e\xcc\x81"',
    b'"\xc3\xa9"', b'"\xe2\x80\xae"', b'"\xef\xbf\xbe"', b'"\xef\xbb\xbfM"', b'"\xc2\x85"', b'"\xff"',
    b'"\xed\xa0\x80"', b'"' + b"x" * 256 + b'"', b'"' + b"x" * 257 + b'"', b'"' + b"\xf0\x9f\x98\x80" * 256 + b'"',
    b'"' + b"\\ud83d\\ude00" * 200 + b'"', b'"' + b"x" * 3000 + b'"', b'"2026-03-03T11:00:00Z"',
    b'"2026-03-03T11:00:00"', b'"2026-03-29T02:30:00"', b'"2025-10-26T02:30:00"', b'"2026-03-03T11:00:00.1234567Z"',
    b'"2026-03-03T24:00:00Z"', b'"2026-03-03T11:00:60Z"', b'"2026-03-03T11:00:00.Z"', b'"2026-03-03T11:00:00+25:00"',
    b'"2026-03-03T11:00:00-00:00"', b'"0000-01-01T00:00:00Z"', b'"0001-01-01T00:00:00"', b'"9999-12-31T23:59:59"',
    b'"10000-01-01T00:00:00Z"', b'"2026-03-03 11"', b'"2026-03-03"', b'"2026-W10-2"', b'"20260303T110000Z"',
    b'"2026-03-03T11:00:00\\u005a"', b'"1677-09-21T00:12:43Z"', b'"2262-04-11T23:47:17Z"',
    b'"2026-03-03T11:00:00Z\\n"', b'"\\u0662026-03-03T11:00:00Z"', b'"CYCLE"', b'"SCRAP"', b'"ORDER_END"', b'"PCE"',
    b'"KGM"', b'"4711"', b'"lot.hold"',
)  # fmt: skip
OTHERS = (
    b"null", b"true", b"false", b"{}", b"[]", b"[[]]", b"[{}]", b'{"":{}}', b"{,}", b"[,]", b"[1,]", b'{"a":1,}',
    b"nul", b"True", b"undefined", b"/**/1", b"//x\n1", b"[1,2,3]", b'[null,{"a":[true]}]', b'{"no":1}',
    b'{"no":"5"}', b'{"id":"M-1"}',
)  # fmt: skip
VALUES = NUMBERS + TEXTS + OTHERS
DEPTHS = (1, 2, 3, 4, 5, 8, 15, 16, 17, 64, 600)
DEEP = 50_000
STRUCTURE = (b"{", b"}", b"[", b"]", b":", b",")


def damage(rng: Random, value: bytes, donors: Sequence[bytes]) -> bytes:
    """Change one token, member or pair of tokens of a JSON text, or of what is left of one."""
    tokens = TOKEN.findall(value)
    if len(tokens) < 2:
        return rng.choice(VALUES)
    rng.choice(WAYS)(rng, tokens, donors)
    return b"".join(tokens)


def _replace(rng: Random, tokens: list[bytes], _donors: Sequence[bytes]) -> None:
    tokens[_scalar(rng, tokens)] = rng.choice(VALUES)


def _retype(rng: Random, tokens: list[bytes], _donors: Sequence[bytes]) -> None:
    at = _scalar(rng, tokens)
    token = tokens[at]
    tokens[at] = token[1:-1] if token[:1] == b'"' else b'"' + token + b'"'


def _wrap(rng: Random, tokens: list[bytes], _donors: Sequence[bytes]) -> None:
    at = _scalar(rng, tokens)
    depth = DEEP if rng.random() < 0.002 else rng.choice(DEPTHS)
    before, after = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"[", b""), (b"", b"]"), (b'{"no":', b"}")))
    tokens[at] = before * depth + tokens[at] + after * depth


def _double_member(rng: Random, tokens: list[bytes], _donors: Sequence[bytes]) -> None:
    """Give a key that is there a second value, before or behind."""
    at = _key(rng, tokens)
    if at is not None:
        member = [tokens[at], b":", rng.choice(VALUES), b","]
        if rng.random() < 0.5:
            tokens[at:at] = member
        else:
            tokens[-1:] = [b",", *member[:-1], tokens[-1]]


def _rename(rng: Random, tokens: list[bytes], _donors: Sequence[bytes]) -> None:
    at, other = _key(rng, tokens), _key(rng, tokens)
    if at is not None and other is not None:
        tokens[at] = rng.choice((tokens[other], b'""', tokens[at].upper(), _escaped(rng, tokens[at]), b'"unknown"'))


def _delete(rng: Random, tokens: list[bytes], _donors: Sequence[bytes]) -> None:
    at = rng.randrange(len(tokens))
    del tokens[at : at + rng.choice((1, 1, 2, 4))]


def _swap(rng: Random, tokens: list[bytes], _donors: Sequence[bytes]) -> None:
    a, b = rng.randrange(len(tokens)), rng.randrange(len(tokens))
    tokens[a], tokens[b] = tokens[b], tokens[a]


def _put_in(rng: Random, tokens: list[bytes], _donors: Sequence[bytes]) -> None:
    blanks = (b" ", b"\n", b"\r", b"\t", b"\x0b", b"\xc2\xa0", b"\0", b"  ")
    tokens.insert(rng.randint(0, len(tokens)), rng.choice(STRUCTURE + blanks + VALUES))


def _escape(rng: Random, tokens: list[bytes], _donors: Sequence[bytes]) -> None:
    at = _scalar(rng, tokens)
    if tokens[at][:1] == b'"':
        tokens[at] = _escaped(rng, tokens[at])


def _from_other(rng: Random, tokens: list[bytes], donors: Sequence[bytes]) -> None:
    theirs = TOKEN.findall(rng.choice(donors)[:4000])
    if theirs:
        a, c = rng.randrange(len(tokens)), rng.randrange(len(theirs))
        tokens[a : a + rng.choice((0, 1, 4))] = theirs[c : c + rng.choice((1, 2, 4, 12))]


WAYS = (
    _replace, _replace, _replace, _replace, _replace, _retype, _wrap, _double_member, _double_member, _rename,
    _delete, _swap, _put_in, _escape, _from_other,
)  # fmt: skip


def _scalar(rng: Random, tokens: list[bytes]) -> int:
    """Return a place, of a value rather than of a key or of structure."""
    for _ in range(6):
        at = rng.randrange(len(tokens))
        if tokens[at] not in STRUCTURE and not tokens[at].isspace() and tokens[at - 1 : at] != [b","]:
            break
    return at


def _key(rng: Random, tokens: list[bytes]) -> int | None:
    for _ in range(8):
        at = rng.randrange(len(tokens))
        if tokens[at] == b":" and at:
            return at - 1
    return None


def _escaped(rng: Random, token: bytes) -> bytes:
    if len(token) < 3:
        return token
    at = rng.randrange(1, len(token) - 1)
    return token[:at] + b"\\u%04x" % token[at] + token[at + 1 :]
