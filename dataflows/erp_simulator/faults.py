"""Faults an ERP has: which, how often, and when. All of them are drawn from a seed.

Law: the fault of a request depends on the seed, on what the request says (its *subject*) and on how
many faults that subject has met before, so that the order in which requests of different orders
arrive does not change it, and a restart does not either. After ``per_request_max`` faults a subject
is left alone: every posting gets through in the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from dataflows.erp_simulator.chance import share


class Fault(StrEnum):
    """What goes wrong; ``before`` and ``after`` are about the commit."""

    SLOW = "slow"
    SERVER_ERROR = "server_error"
    BAD_GATEWAY = "bad_gateway"
    UNAVAILABLE = "unavailable"
    THROTTLED = "throttled"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    TIMEOUT_BEFORE = "timeout_before"
    TIMEOUT_AFTER = "timeout_after"
    ERROR_AFTER = "error_after"
    SESSION_EXPIRED = "session_expired"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a fault's name
    ORDER_LOCKED = "order_locked"
    MOVEMENT_FAILS = "movement_fails"
    PARTIAL = "partial"
    MESSAGE_FAILS = "message_fails"


AFTER_COMMIT: Final = frozenset({Fault.RESET_AFTER, Fault.TIMEOUT_AFTER, Fault.ERROR_AFTER})
WRITES_ONLY: Final = AFTER_COMMIT | {
    Fault.ORDER_LOCKED,
    Fault.MOVEMENT_FAILS,
    Fault.PARTIAL,
    Fault.MESSAGE_FAILS,
    Fault.SESSION_EXPIRED,
}

Seconds = Annotated[float, Field(ge=0, le=86_400)]


class Window(BaseModel):
    """A maintenance window: nothing is answered but 503."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    begin: AwareDatetime
    end: AwareDatetime

    def remaining_s(self, now_us: int) -> float:
        """Return for how many seconds the window is still open; 0 outside it."""
        begin_us, end_us = self.begin.timestamp() * 1e6, self.end.timestamp() * 1e6
        return (end_us - now_us) / 1e6 if begin_us <= now_us < end_us else 0.0


class FaultProfile(BaseModel):
    """How an ERP misbehaves. ``rates`` are shares of the requests that a fault can happen to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rates: dict[Fault, Annotated[float, Field(ge=0, le=1)]] = {}
    per_request_max: Annotated[int, Field(ge=0, le=100)] = 3
    slow_s: Seconds = 1.0
    hang_s: Seconds = Field(default=60.0, description="For so long a time-out keeps the connection open, real time.")
    retry_after_s: Seconds = 2.0
    lock_s: Seconds = 10.0
    lock_user: str = "MUELLERH"
    movement_fails_after_s: Seconds = 60.0
    movement_repaired_after_s: Seconds = Field(
        default=0.0, description="Seconds after the failure; 0: never by itself."
    )
    maintenance: tuple[Window, ...] = ()
    daily_maintenance_utc: Annotated[str, Field(pattern=r"^(\d\d:\d\d)?$")] = ""
    daily_maintenance_s: Seconds = 900.0

    def maintenance_s(self, now_us: int) -> float:
        """Return for how many seconds maintenance goes on; 0 when there is none."""
        remaining = max((window.remaining_s(now_us) for window in self.maintenance), default=0.0)
        if self.daily_maintenance_utc:
            hour, minute = map(int, self.daily_maintenance_utc.split(":"))
            now = datetime.fromtimestamp(now_us / 1e6, UTC)
            into_s = ((now.hour - hour) * 3600 + (now.minute - minute) * 60 + now.second) % 86_400
            if into_s < self.daily_maintenance_s:
                remaining = max(remaining, self.daily_maintenance_s - into_s)
        return remaining


_ALL: Final = tuple(Fault)
PROFILES: Final[dict[str, FaultProfile]] = {
    "none": FaultProfile(),
    "mild": FaultProfile(
        rates={
            Fault.SLOW: 0.01,
            Fault.SERVER_ERROR: 0.005,
            Fault.ORDER_LOCKED: 0.005,
            Fault.TIMEOUT_AFTER: 0.002,
            Fault.SESSION_EXPIRED: 0.002,
        },
        slow_s=0.2,
    ),
    "hostile": FaultProfile(rates=dict.fromkeys(_ALL, 0.02), slow_s=0.2, movement_repaired_after_s=600),
}


class ProfileUnusable(Exception):
    """There is no such profile, and no such file."""

    retryable = False


def profile(name: str) -> FaultProfile:
    """Return a profile by name, or the one in a JSON file.

    Raises: ProfileUnusable.
    """
    if name in PROFILES:
        return PROFILES[name]
    try:
        return FaultProfile.model_validate_json(Path(name).read_bytes())
    except OSError as error:
        raise ProfileUnusable(
            f"{name} is no fault profile; name one of {', '.join(PROFILES)} or a JSON file"
        ) from error
    except ValidationError as error:
        raise ProfileUnusable(f"{name} is no fault profile: {error}") from error


class Plan(BaseModel):
    """Faults ordered for the next requests that fit."""

    model_config = ConfigDict(extra="forbid")

    fault: Fault
    count: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    skip: Annotated[int, Field(ge=0)] = Field(default=0, description="So many fitting requests pass first.")
    path: str = Field(default="", description="Part of the method and path, such as 'POST' or 'ProdnOrdConf2'.")
    body: str = Field(default="", description="Part of the body.")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A fault that happens to a request."""

    fault: Fault
    planned: bool


class Schedule:
    """The faults of one ERP: those planned come first, then chance."""

    def __init__(self, seed: int, name: str, faults: FaultProfile) -> None:
        """Draw for the ERP ``name``."""
        self.profile = faults
        self.plans: list[Plan] = []
        self._seed, self._name = seed, name

    def draw(self, subject: str, met: int, path: str, body: str, possible: frozenset[Fault]) -> Drawn | None:
        """Return the fault of a request whose subject has met ``met`` faults before."""
        for plan in self.plans:
            if plan.fault in possible and plan.count and plan.path in path and plan.body in body:
                if plan.skip:
                    plan.skip -= 1
                    continue
                plan.count -= 1
                self.plans = [p for p in self.plans if p.count]
                return Drawn(plan.fault, planned=True)
        if met >= self.profile.per_request_max:
            return None
        dice = share(self._seed, self._name, subject, met)
        for fault in _ALL:
            if fault in possible:
                rate = self.profile.rates.get(fault, 0.0)
                if dice < rate:
                    return Drawn(fault, planned=False)
                dice -= rate
        return None
