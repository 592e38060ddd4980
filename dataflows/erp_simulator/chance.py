"""Chance that is an argument: numbers that depend on a seed and on names, and on nothing else."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import orjson

_SPAN: Final = 1 << 64


def share(seed: int, *names: str | int) -> float:
    """Return a number in [0, 1), evenly spread over names, the same for the same arguments."""
    digest = blake2b(orjson.dumps([str(seed), *names]), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _SPAN


def token(seed: int, *names: str | int) -> str:
    """Return a text of 32 hexadecimal digits, the same for the same arguments."""
    return blake2b(orjson.dumps([str(seed), *names]), digest_size=16).hexdigest()
