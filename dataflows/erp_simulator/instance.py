"""One simulated ERP: what happens to a request before and after its dialect has worked on it.

In this order: maintenance, rate limit, who asks, faults, the dialect, faults that follow the commit.
No network and no clock in here: instants come with the request, and how an answer fails to arrive
is part of the outcome.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

from dataflows.erp_simulator.access import Access
from dataflows.erp_simulator.book import Book
from dataflows.erp_simulator.chance import share
from dataflows.erp_simulator.clock import Clock
from dataflows.erp_simulator.erp import Erp, Late
from dataflows.erp_simulator.exchange import Answer, Call, Dialect, Trouble
from dataflows.erp_simulator.faults import AFTER_COMMIT, WRITES_ONLY, Fault, Schedule
from dataflows.erp_simulator.oracle_staged import RESOURCE as STAGED
from dataflows.erp_simulator.refusal import Refused
from dataflows.erp_simulator.throttle import Bucket

_ORDER: Final = re.compile(
    rb'\\?"(?:OrderID|ManufacturingOrder|WorkOrderNumber|ProductionOrderNumber)\\?"\s*:\s*\\?"([^"\\]{1,40})'
)
_BOUNDARY: Final = re.compile(rb"boundary=([^;\s]+)")
_PATH_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Traits:
    """What sets a protocol apart at the door."""

    token_path: str
    basic: bool
    impossible: frozenset[Fault]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ends: an answer after ``delay_s``, or none: silence for ``hang_s``, then a reset."""

    answer: Answer | None
    delay_s: float = 0.0
    hang_s: float = 0.0


class Instance:
    """One ERP behind its base path."""

    def __init__(
        self,
        name: str,
        kind: str,
        traits: Traits,
        *,
        clock: Clock,
        book: Book,
        erp: Erp,
        access: Access,
        schedule: Schedule,
        bucket: Bucket,
        dialect: Dialect,
        seed: int,
        wake: Callable[[int], None],
        again: Callable[[int, int], object] | None = None,
    ) -> None:
        """Put the parts together; ``wake`` does what is due, ``again`` queues a failed message once more."""
        self.name, self.kind = name, kind
        self.clock, self.book, self.erp, self.access = clock, book, erp, access
        self.schedule, self.bucket = schedule, bucket
        self.again = again
        self._traits, self._dialect, self._seed, self._wake = traits, dialect, seed, wake

    def wake(self) -> None:
        """Do what is due by now."""
        self._wake(self.clock.now_us())

    def handle(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes, target: str
    ) -> Outcome:
        """Work on one request; ``target`` is path and query as they were sent."""
        now_us = self.clock.now_us()
        self._wake(now_us)
        if (remaining_s := self.schedule.profile.maintenance_s(now_us)) > 0:
            return Outcome(self._unavailable("System is in maintenance", remaining_s))
        call = Call(method, path, query, headers, body, now_us)
        if method == "POST" and path == self._traits.token_path:
            granted = self.access.grant(headers, body, now_us)
            return Outcome(Answer.of(granted) if granted else Answer.of({"error": "invalid_client"}, 401))
        if (wait_s := self._throttled()) > 0:
            self._violated(f"{method} {path}", now_us, wait_s)
            return Outcome(self._too_many(wait_s))
        if not self.access.known(headers, now_us, basic=self._traits.basic):
            scheme = 'Basic realm="ERP"' if self._traits.basic else "Bearer"
            return Outcome(replace(self._dialect.failure(401, "Logon failed"), headers={"WWW-Authenticate": scheme}))
        return self._troubled(call, f"{method} {target}")

    def _troubled(self, call: Call, target: str) -> Outcome:
        """Work on a request that was let in, with the fault that it draws."""
        profile = self.schedule.profile
        subject = _subject(call, target)
        met = self.book.fault_counts[subject]
        drawn = self.schedule.draw(subject, met, target, call.body.decode("latin-1"), self._possible(call))
        fault = drawn.fault if drawn else None
        if fault is Fault.ORDER_LOCKED and not self._lock_order(call):
            fault = None
        if drawn is not None and fault is not None:
            self.book.record(
                "fault",
                {
                    "subject": subject,
                    "fault": fault.value,
                    "planned": drawn.planned,
                    "at_us": call.now_us,
                    "request": target[:_PATH_CHARACTERS],
                },
            )
        dice = share(self._seed, self.name, "how", subject, met)
        if (spoiled := self._spoiled(fault)) is not None:
            return spoiled
        said = self._dialect.answer(replace(call, trouble=self._trouble(fault, dice)))
        if fault is Fault.ERROR_AFTER:
            return Outcome(self._dialect.failure(500, "Internal server error"))
        if fault in AFTER_COMMIT:
            return Outcome(None, hang_s=profile.hang_s if fault is Fault.TIMEOUT_AFTER else 0.0)
        return Outcome(said, delay_s=profile.slow_s if fault is Fault.SLOW else 0.0)

    def _spoiled(self, fault: Fault | None) -> Outcome | None:
        """Return how a request ends that the dialect never sees; None where it shall see it."""
        profile = self.schedule.profile
        match fault:
            case Fault.SERVER_ERROR:
                return Outcome(self._dialect.failure(500, "Internal server error"))
            case Fault.BAD_GATEWAY:
                return Outcome(Answer(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html"))
            case Fault.UNAVAILABLE:
                return Outcome(self._unavailable("Service unavailable", profile.retry_after_s))
            case Fault.THROTTLED:
                return Outcome(self._too_many(profile.retry_after_s))
            case Fault.RESET_BEFORE:
                return Outcome(None)
            case Fault.TIMEOUT_BEFORE:
                return Outcome(None, hang_s=profile.hang_s)
            case Fault.TOKEN_EXPIRED:
                self.access.expire_tokens()
                return Outcome(
                    replace(self._dialect.failure(401, "Token expired"), headers={"WWW-Authenticate": "Bearer"})
                )
            case _:
                return None

    def _trouble(self, fault: Fault | None, dice: float) -> Trouble:
        """Return what the dialect meets while it works; a session that expires is gone at once."""
        profile = self.schedule.profile
        match fault:
            case Fault.SESSION_EXPIRED:
                self.access.expire_sessions()
            case Fault.MOVEMENT_FAILS:
                after_us, repair_us = (
                    int(s * 1e6) for s in (profile.movement_fails_after_s, profile.movement_repaired_after_s)
                )
                return Trouble(late=Late(after_us, repair_us))
            case Fault.PARTIAL:
                return Trouble(partial=dice)
            case Fault.MESSAGE_FAILS:
                return Trouble(failing_attempts=1 + int(dice * 3))
            case _:
                pass
        return Trouble()

    def _possible(self, call: Call) -> frozenset[Fault]:
        impossible = self._traits.impossible
        if call.method == "GET":
            impossible |= WRITES_ONLY
        if self.kind == "sap" and not call.path.endswith("/$batch"):
            impossible |= {Fault.PARTIAL}
        if self.kind == "oracle":
            impossible |= {Fault.PARTIAL if call.path.endswith(f"/{STAGED}") else Fault.MESSAGE_FAILS}
        if "bearer" not in call.headers.get("authorization", "").lower():
            impossible |= {Fault.TOKEN_EXPIRED}
        return frozenset(Fault) - impossible

    def _lock_order(self, call: Call) -> bool:
        """Lock the first order that the request names; return whether there is one that is not locked yet."""
        found = _ORDER.search(call.body)
        try:
            order = self.erp.register.order(found[1].decode("latin-1") if found else "")
        except Refused:
            return False
        if self.book.locks.get(order.order, ("", 0))[1] > call.now_us:
            return False
        profile = self.schedule.profile
        until_us = call.now_us + int(profile.lock_s * 1e6)
        self.book.record("lock", {"order": order.order, "user": profile.lock_user, "until_us": until_us})
        return True

    def _throttled(self) -> float:
        limit = self.bucket.limit
        return self.bucket.take(self.clock.now_us() if limit.by_erp_clock else self.clock.wall_us())

    def _violated(self, request: str, now_us: int, wait_s: float) -> None:
        self.book.record(
            "violation",
            {
                "at_us": now_us,
                "wall_us": self.clock.wall_us(),
                "request": request[:_PATH_CHARACTERS],
                "wait_s": round(wait_s, 3),
            },
        )

    def _too_many(self, wait_s: float) -> Answer:
        said = self._dialect.failure(429, "Too many requests")
        return replace(said, headers={**said.headers, "Retry-After": str(max(1, math.ceil(wait_s)))})

    def _unavailable(self, text: str, wait_s: float) -> Answer:
        return Answer(503, text.encode(), "text/plain", {"Retry-After": str(max(1, math.ceil(wait_s)))})


def _subject(call: Call, target: str) -> str:
    """Return what a request is about: its id, or what it says without boundaries, which are new each time."""
    body = call.body
    if number := call.headers.get("requestid"):
        body = number.encode()
    elif call.headers.get("content-type", "").startswith("multipart/"):
        marks = _BOUNDARY.findall(call.headers["content-type"].encode("latin-1") + b"\n" + body)
        for mark in sorted(set(marks), key=len, reverse=True):
            body = body.replace(mark.strip(b'"'), b"")
    return blake2b(target.encode() + b"\n" + body, digest_size=12).hexdigest()
