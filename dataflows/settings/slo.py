"""Settings of objectives (``[[slo]]``) and of who is told when one is missed (``[alerts]``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, model_validator

from canonical.contracts import Lane, PostingKind
from canonical.mapping.problems import refused
from dataflows.section import ENVIRONMENT, Interval, Section, beside
from sinks.analytics.delivery_times import HOPS, WITHIN_S
from sinks.slo.objective import Objective


def _secret(value: object, info: ValidationInfo) -> object:
    """Return a secret from where it lies: as text, ``{ env = "NAME" }`` or ``{ file = "place" }``."""
    match value:
        case {"env": str(name), **rest} if not rest:
            assert info.context is not None
            environment: Mapping[str, str] = info.context[ENVIRONMENT]
            if name not in environment:
                raise refused(f"the environment variable {name} is not set", "set it where plantsync runs")
            return environment[name]
        case {"file": str(place), **rest} if not rest:
            try:
                return beside(Path(place), info).read_text("utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is not UTF-8"
                raise refused(f"{place}: {reason}", "the file holds the value and nothing else") from error
    return value


Secret = Annotated[SecretStr, BeforeValidator(_secret)]


class AlertsSection(Section):
    """How often objectives are judged, and where alerts are sent."""

    every_s: Interval = Field(default=30.0, description="Time between two evaluations of the objectives.")
    webhook: Secret | None = Field(
        default=None, description='URL to which each begin and end of an alert is posted; `{ env = "NAME" }`, too.'
    )
    token: Secret | None = Field(default=None, description="Bearer token of the webhook, where it wants one.")
    timeout_s: float = Field(default=10.0, gt=0, le=60, description="Wait for the webhook's answer.")
    retry_max_s: Interval = Field(default=300.0, description="Longest wait between two tries of the webhook.")
    keep_s: Interval = Field(default=86_400.0, description="What the webhook has not taken by then is not tried again.")

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.webhook is not None and not self.webhook.get_secret_value().startswith(("http://", "https://")):
            raise refused("webhook is no URL", "it begins with https:// or http://")
        return self


class SloSection(Section):
    """An objective for how long postings take, kept for each plant and ERP by itself."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Its name; each has its own.")
    kinds: tuple[PostingKind, ...] = Field(default=(), description="Kinds of postings it is about; none: all.")
    lanes: tuple[Lane, ...] = Field(default=(), description="Lanes it is about; none: all.")
    plants: tuple[str, ...] = Field(default=(), description="Plants it is about; none: all.")
    hop: str = Field(default="occurred-committed", description="Instants between which time is taken.")
    within_s: int = Field(default=60, description="A posting that takes longer is late.")
    percent: float = Field(default=99.0, ge=50, le=99.99, description="So many percent are to be in time.")
    window_days: int = Field(default=30, ge=1, le=90, description="Days over which that holds.")
    late_min: int = Field(default=3, ge=1, description="Fewer late postings than this tell nobody.")

    @model_validator(mode="after")
    def _counted(self) -> Self:
        if self.hop not in HOPS:
            raise refused(f"hop {self.hop!r} is not known", f"one of {', '.join(HOPS)}")
        if self.within_s not in WITHIN_S:
            raise refused(f"{self.within_s} s are not counted", f"one of {', '.join(map(str, WITHIN_S))}")
        return self

    def objective(self) -> Objective:
        """Return the objective."""
        return Objective(
            name=self.name,
            kinds=self.kinds,
            lanes=self.lanes,
            plants=self.plants,
            hop=self.hop,
            within_s=self.within_s,
            budget_ppm=round((100 - self.percent) * 10_000),
            window_days=self.window_days,
            late_min=self.late_min,
        )


def _shipped(name: str, kind: PostingKind, hop: str, within_s: int, percent: float) -> SloSection:
    return SloSection.model_construct(name=name, kinds=(kind,), hop=hop, within_s=within_s, percent=percent)


SHIPPED: Final = (
    _shipped("confirmation", PostingKind.CONFIRMATION, "occurred-committed", 300, 99.0),
    _shipped("goods-issue", PostingKind.GOODS_ISSUE, "enqueued-committed", 60, 99.0),
    _shipped("goods-receipt", PostingKind.GOODS_RECEIPT, "enqueued-committed", 60, 99.0),
    _shipped("quality-release", PostingKind.GOODS_RECEIPT, "occurred-committed", 86_400, 95.0),
    _shipped("inventory-movement", PostingKind.STOCK_TRANSFER, "occurred-committed", 300, 99.0),
    _shipped("reversal", PostingKind.REVERSAL, "enqueued-committed", 300, 95.0),
)
"""Objectives where the settings name none; a receipt's time before its queue is mostly that of the quality decision."""
