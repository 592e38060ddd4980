"""Access to an ERP: whether a call may begin now, and what answers say about that (M24, M27, M42).

Law: a call begins only within the lease of a commit, with a token of the bucket, in a place in flight, not in a pause
that the ERP asked for, and, while the ERP is away, only one at a time. After a pause or an outage calls begin with one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Final

from dataflows.processors.delivery.breaker import Breaker
from dataflows.processors.delivery.bucket import Bucket
from dataflows.processors.delivery.policy import DeliveryPolicy, backoff_us
from dataflows.processors.delivery.reply import Call, Reply, ReplyKind

FAILED: Final = frozenset({ReplyKind.UNAVAILABLE, ReplyKind.IN_DOUBT, ReplyKind.UNAUTHORISED})
SILENT: Final = FAILED | {ReplyKind.CANNOT_TELL}
"""What says nothing about whether the ERP is there, or says that it is not."""


class Change(Enum):
    """What an answer changed about the ERP as a whole."""

    NOTHING = auto()
    AWAY = auto()
    BACK = auto()


class Access:
    """One ERP's tokens, places in flight, pauses and breaker; instants in UTC microseconds."""

    def __init__(self, policy: DeliveryPolicy, chance: Callable[[], float], now_us: int) -> None:
        self._policy, self._chance = policy, chance
        self.breaker = Breaker(policy)
        self._bucket = Bucket(policy.rate_milli, policy.burst, now_us)
        self._allowed = policy.in_flight_max
        self._throttled = 0
        self._paused_us = 0
        self.in_flight = 0
        self.lease_us = 0
        """Until then calls may begin, by the last durable commit."""
        self.hold_us = 0
        """Until then another process may still begin calls."""

    def hold(self, until_us: int, now_us: int) -> None:
        """Leave the ERP to the process before this one, which may also spend tokens until then."""
        self.hold_us = min(until_us, now_us + self._policy.lease_us)
        self._bucket.empty(max(now_us, self.hold_us))

    def lets(self, now_us: int) -> bool:
        """Return whether a call may begin."""
        if not max(self.hold_us, self._paused_us) <= now_us < self.lease_us:
            return False
        return self.free > 0 and self.breaker.lets(now_us) and self._bucket.has(now_us)

    @property
    def free(self) -> int:
        """Return how many more calls may be under way."""
        return self._allowed - self.in_flight

    def begin(self) -> None:
        """Begin a call that is let."""
        self._bucket.take()
        self.in_flight += 1
        self.breaker.probing = self.breaker.is_open

    def answered(self, call: Call, replies: Sequence[Reply], now_us: int) -> Change:
        """Take note of an answer."""
        self.in_flight -= 1
        kinds = {reply.kind for reply in replies}
        change = Change.NOTHING
        if kinds - SILENT:
            if self.breaker.answered():
                change = Change.BACK
                self._calm(now_us)
            elif ReplyKind.THROTTLED not in kinds:
                self._allowed = min(self._allowed * 2, self._policy.in_flight_max)
                self._throttled = 0
        elif kinds & FAILED:
            at_once = any(self._says_away(reply) for reply in replies)
            if self.breaker.failed(now_us, self._chance(), at_once=at_once, began_us=call.began_us):
                change = Change.AWAY
                self._calm(now_us)
        elif self.breaker.probing:
            self.breaker.probing = False
        for reply in replies:
            if reply.kind is ReplyKind.THROTTLED or reply.retry_after_us:
                self._pause(reply, now_us)
        return change

    def _says_away(self, reply: Reply) -> bool:
        """Return whether one such answer is enough: the ERP does not know us, or says that it is away for long."""
        away = reply.kind is ReplyKind.UNAVAILABLE and reply.retry_after_us > self._policy.probe_max_us
        return away or reply.kind is ReplyKind.UNAUTHORISED

    def _pause(self, reply: Reply, now_us: int) -> None:
        self._throttled += not reply.retry_after_us
        policy = self._policy
        wait_us = reply.retry_after_us or backoff_us(
            self._throttled, policy.backoff_us, policy.backoff_max_us, self._chance()
        )
        self._paused_us = max(self._paused_us, now_us + wait_us)
        self._calm(self._paused_us)

    def _calm(self, from_us: int) -> None:
        """Begin slowly again: with one call, and with no tokens saved up."""
        self._allowed = 1
        self._bucket.empty(from_us)
