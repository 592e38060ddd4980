"""What a reading of a counter adds to the one before it, and which readings cannot be believed.

Law: the delta of a reading is, by the first of these that applies:

1. first of its session: 0, or the reading itself, by policy;
2. not below the reading before it: the difference;
3. below it, and ``rollover`` is set, and the way round through ``rollover`` is at most
   ``jump_max`` units (at most a tenth of ``rollover`` where no ``jump_max`` is set): that way round;
4. below it otherwise: the counter was reset, and the delta is the reading, made since the reset.

A reading is *absurd* if its delta exceeds ``jump_max`` or the reading itself is ``rollover`` or more. An absurd
reading below ``rollover`` is remembered, and a later one that goes on from it, higher by at most ``jump_max``, is
accepted with the difference between the two: the counter does stand there. What lies between the last accepted
reading and the remembered one is then counted nowhere but named in the fault, for a person to post. A reading
repeated exactly does not confirm itself, as a stuck sensor repeats its wild value.

State: none. Readings and deltas are thousandths.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from canonical.columns import IntColumn
from canonical.policy import CounterPolicy

UNIT: Final = 1_000
"""Thousandths in a unit: policies speak of whole units, columns of thousandths."""
NONE: Final = -1
"""No reading, as in ``COUNTER_COLUMNS``."""


class Deltas:
    """The deltas of one policy."""

    __slots__ = ("_jump_max", "_modulus", "_policy", "_wrap_max")

    def __init__(self, policy: CounterPolicy) -> None:
        self._policy = policy
        self._modulus = None if policy.rollover is None else policy.rollover * UNIT
        self._jump_max = None if policy.jump_max is None else policy.jump_max * UNIT
        self._wrap_max = self._jump_max if self._jump_max is not None else (self._modulus or 0) // 10

    def of(self, before: IntColumn, readings: IntColumn) -> tuple[IntColumn, NDArray[np.bool_]]:
        """Return the delta of each reading against the one before it (NONE: it is the first), and which are absurd."""
        delta = readings - before
        back = delta < 0
        if back.any():
            lower = readings
            if self._modulus is not None:
                wrapped = delta + self._modulus
                lower = np.where((wrapped > 0) & (wrapped <= self._wrap_max), wrapped, readings)
            delta = np.where(back, lower, delta)
        fresh = before < 0
        if fresh.any():
            delta = np.where(fresh, 0 if self._policy.first_reading == "baseline" else readings, delta)
        absurd = np.zeros(len(delta), np.bool_) if self._jump_max is None else delta > self._jump_max
        if self._modulus is not None:
            absurd |= readings >= self._modulus
        return delta, absurd

    def one(self, before: IntColumn, reading: int) -> int | None:
        """Return the delta of one reading against the one before it, a column of one, or None if it is absurd."""
        delta, absurd = self.of(before, np.array([reading], np.int64))
        return None if absurd[0] else int(delta[0])

    def going_on(self, rejected: int, reading: int) -> int | None:
        """Return the delta of an absurd reading against the one that is remembered, or None if it is absurd still."""
        goes_on = rejected >= 0 and self._jump_max is not None and 0 < reading - rejected <= self._jump_max
        return reading - rejected if goes_on and self.within(reading) else None

    def within(self, reading: int) -> bool:
        """Return whether the counter can show this at all."""
        return self._modulus is None or reading < self._modulus

    def problem(self, name: str, before: int, reading: int) -> str:
        """Say what is wrong with an absurd reading of a counter and what becomes of it."""
        if not self.within(reading):
            return (
                f"{name} reads {_units(reading)}, but the counter wraps at {self._policy.rollover}. Correct rollover."
            )
        after = f"after {_units(before)}" if before >= 0 else "first in its session"
        return (
            f"{name} reads {_units(reading)} {after}: more than jump_max = {self._policy.jump_max} in one step. "
            "Nothing is counted. Should later readings go on from it, they count; post what lies between by hand."
        )


def _units(thousandths: int) -> str:
    whole, rest = divmod(thousandths, UNIT)
    return f"{whole}.{rest:03d}".rstrip("0") if rest else str(whole)
