"""What is fuzzed: for each target how its messages are made and what must hold of them.

Law: ``Target.batch`` depends on its generator alone, so a run of a seed replays exactly; ``Target.check``
depends on the messages and its own generator alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from random import Random
from typing import Protocol

from tests.fuzz.outcome import Tally


class Target(Protocol):
    """One way in."""

    weight: float
    """Share of all messages; the shares are relative."""
    batch_messages: int

    def batch(self, rng: Random, count: int) -> list[bytes]:
        """Return mutated messages, sound ones among them."""
        ...

    def check(self, values: Sequence[bytes], rng: Random) -> Tally:
        """Put the messages through the product. Raises: Violation, or what the product should not have raised."""
        ...


@cache
def all_targets() -> Mapping[str, Target]:
    """Return the targets by name; made once, since their seeds take a second to make."""
    from tests.fuzz import (  # noqa: PLC0415
        avro_targets,
        flow_targets,
        json_targets,
        letter_target,
        parquet_targets,
        text_targets,
        xml_targets,
    )

    return {
        **json_targets.targets(),
        **avro_targets.targets(),
        **text_targets.targets(),
        **xml_targets.targets(),
        **parquet_targets.targets(),
        **flow_targets.targets(),
        **letter_target.targets(),
    }


def generator(seed: int, *of: object) -> Random:
    """Return the generator of one batch; a text seeds it the same in every process."""
    return Random(repr((seed, *of)))
