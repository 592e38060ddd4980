"""The laws a schedule is held to, and what is said when one is broken."""

from __future__ import annotations

from enum import StrEnum


class Law(StrEnum):
    """DESIGN laws 1 to 5 and 7, and two that every program should keep."""

    CONSERVATION = "conservation"  # every record read has one fate, and the ledger says so at each commit
    ORDER = "order"  # in order of number; a hole is declared, once, and only where nothing has arrived
    ONCE = "once"  # nothing twice, and a commit whole or not at all
    INDIFFERENCE = "indifference"  # the same outcome as without faults, where the clock decides nothing
    TILING = "tiling"  # confirmations cover each accounted number once, and their sums are exact
    BOUNDS = "bounds"  # no more is held than the plant's limit
    PROGRESS = "progress"  # in the end everything is read and committed
    SOUNDNESS = "soundness"  # no defect shows itself, and no error that no fault explains


class BrokenLaw(Exception):
    """A law does not hold.

    Args: law: which; expected, found: one line each, naming shard, source, number.
    """

    def __init__(self, law: Law, expected: str, found: str) -> None:
        super().__init__(law, expected, found)
        self.law, self.expected, self.found = law, expected, found

    def __str__(self) -> str:
        return f"broken law: {self.law}\n  expected: {self.expected}\n  found:    {self.found}"


def hold(law: Law, holds: bool, expected: str, found: object) -> None:  # noqa: FBT001 - the law's own truth
    """Go on if the law holds. Raises: BrokenLaw."""
    if not holds:
        raise BrokenLaw(law, expected, str(found))
