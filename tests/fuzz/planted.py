"""A target that breaks every promise on demand, so that a test can see the fuzzer notice."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from tests.fuzz.outcome import Tally
from tests.fuzz.targets import Target


class PlantedTarget:
    """Misbehaves when a message holds a certain word."""

    weight = 0.0
    batch_messages = 64

    def __init__(self, word: bytes) -> None:
        self.word = word

    def batch(self, rng: Random, count: int) -> list[bytes]:
        values = [rng.randbytes(rng.randrange(40)) for _ in range(count)]
        at = rng.randrange(count)
        values[at] = values[at] + self.word + values[at]
        return values

    def check(self, values: Sequence[bytes], rng: Random) -> Tally:  # noqa: ARG002 - as all targets
        word = next((word for word in (b"ABORT", b"HANG", b"EAT") if any(word in value for value in values)), None)
        match word:
            case b"ABORT":
                os.abort()
            case b"HANG":
                time.sleep(3600)
            case b"EAT":
                assert bytearray(300 << 20)
        return Counter({"events": len(values)})


def targets() -> Mapping[str, Target]:
    return {f"planted-{word.decode().lower()}": PlantedTarget(word) for word in (b"ABORT", b"HANG", b"EAT")}
