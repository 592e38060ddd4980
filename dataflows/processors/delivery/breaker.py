"""The circuit breaker: an ERP that does not answer is left alone, and tried with one call now and then (M42).

Law: between its opening and its closing at most one call is under way that began after it opened, and none begins
before ``probe_us`` have passed since the last failure.
"""

from __future__ import annotations

from dataclasses import dataclass

from dataflows.processors.delivery.policy import DeliveryPolicy, backoff_us


@dataclass(slots=True)
class Breaker:
    """Open since ``opened_us``, where that is set; ``due_us`` is when the ERP is tried next."""

    policy: DeliveryPolicy
    failures: int = 0
    probes: int = 0
    opened_us: int | None = None
    due_us: int = 0
    probing: bool = False

    @property
    def is_open(self) -> bool:
        """Return whether the ERP is left alone."""
        return self.opened_us is not None

    @property
    def tried(self) -> bool:
        """Return whether it is open by a call of this process, and not only by what an earlier one left."""
        return self.is_open and self.probes > 0

    def lets(self, now_us: int) -> bool:
        """Return whether a call may begin."""
        return not self.is_open or (not self.probing and now_us >= self.due_us)

    def failed(self, now_us: int, chance: float, *, at_once: bool, began_us: int) -> bool:
        """Note a call without an answer; return whether the breaker opened by it.

        Args: at_once: one of this kind is enough. began_us: when the call began.
        """
        if self.opened_us is not None:
            if began_us >= self.opened_us and self.probing:
                self.probing = False
                self.probes += 1
                self._wait(now_us, chance)
            return False
        self.failures += 1
        if self.failures < self.policy.breaker_failures and not at_once:
            return False
        self.opened_us, self.probes = now_us, 1
        self._wait(now_us, chance)
        return True

    def answered(self) -> bool:
        """Note a call that the ERP answered; return whether the breaker closed by it."""
        was_open = self.is_open
        self.failures = self.probes = self.due_us = 0
        self.opened_us, self.probing = None, False
        return was_open

    def _wait(self, now_us: int, chance: float) -> None:
        self.due_us = now_us + backoff_us(self.probes, self.policy.probe_us, self.policy.probe_max_us, chance)
