"""Settings of what the postings flow gathers: consumption, times of orders, scrap."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from canonical.mapping import PlantMapping
from canonical.mapping.problems import refused
from dataflows.processors.posting.activities import ActivityPolicy
from dataflows.processors.posting.consumption import ConsumptionPolicy
from dataflows.processors.posting.gathering import GatheringPolicy, PlantTime
from dataflows.processors.posting.scrap_watch import ScrapPolicy
from dataflows.processors.posting.timeline import Doing
from dataflows.section import Section

Percent = Annotated[float, Field(ge=0.1, le=100)]
Wait = Annotated[float, Field(ge=0, le=86_400)]
Limit = Annotated[int, Field(ge=1)]


class GatheringSection(Section):
    """What is gathered before it is posted, and its bounds."""

    consumption_window_s: Wait = Field(
        default=300.0, description="Consumption of an order is gathered so long into one goods issue."
    )
    consumption_settle_s: Wait = Field(
        default=10.0, description="After an operation is complete, what was consumed for it may come so much later."
    )
    consumption_line_max: int = Field(
        default=1_000_000_000, ge=1, le=10**12, description="Whole units of a line that make its goods issue at once."
    )
    consumption_lines_max: Limit = Field(default=200, description="Lines of a goods issue.")
    consumption_events_max: int = Field(default=5_000, ge=1, le=10_000, description="Events of a goods issue.")
    consumption_documents_max: Limit = Field(
        default=50_000, description="Goods issues gathered at a time; one more makes the oldest at once."
    )
    backflushed: Literal["count", "exception"] = Field(
        default="count",
        description="Consumption of a component that the ERP issues itself: left out and counted, or an exception.",
    )
    activities: bool = Field(
        default=False,
        description="Starts and stops become setup, machine and labour time, for plants whose events carry none.",
    )
    activities_reorder_s: Wait = Field(
        default=10.0, description="Starts and stops are waited for so long, to be put in order."
    )
    activities_interval_max_s: float = Field(
        default=43_200.0,
        gt=0,
        le=31 * 86_400,
        description="An order that is never stopped ends so long after its start.",
    )
    setup_reasons: tuple[str, ...] = Field(
        default=("SETUP",), description="Starts and stops for one of these reasons begin setup."
    )
    labour: tuple[Literal["setup", "run"], ...] = Field(default=("setup", "run"), description="While somebody works.")
    marks_max: Limit = Field(default=1_000, description="Starts and stops of a work centre that wait to be in order.")
    begun_max: Limit = Field(default=200, description="Orders and operations begun at a work centre.")
    work_centers_max: Limit = Field(default=50_000, description="Work centres whose times are gathered.")
    scrap_limit_percent: Percent | None = Field(
        default=None, description="A lot with a larger share of scrap is held; none: nothing is watched."
    )
    scrap_hysteresis_percent: float = Field(
        default=2.0, ge=0, le=100, description="The share has to fall so far below the limit before it is news again."
    )
    scrap_window_s: float = Field(
        default=3_600.0, gt=0, le=31 * 86_400, description="The share is of what was confirmed so long."
    )
    scrap_from: int = Field(default=20, ge=0, le=10**12, description="Whole units before a share is judged.")
    scrap_rows_max: Limit = Field(default=1_000, description="Confirmations of a lot looked at.")
    scrap_lots_max: Limit = Field(default=100_000, description="Lots watched.")
    scrap_keep_days: int = Field(
        default=30, ge=1, le=366, description="A lot is forgotten so long after its last confirmation."
    )
    final_wait_s: Wait = Field(
        default=3_600.0,
        description="An operation is told to be done when nothing has come for it for so long; 0: with its completion.",
    )
    finals_max: Limit = Field(default=50_000, description="Operations that wait for that; one more ends the oldest.")
    retry_s: float = Field(
        default=60.0, gt=0, le=86_400, description="What `postings.waiting_max` leaves no room for is tried again."
    )

    @model_validator(mode="after")
    def _ending(self) -> Self:
        limit = self.scrap_limit_percent
        if limit is not None and _thousandths(self.scrap_hysteresis_percent) >= _thousandths(limit):
            raise refused("a breach could never end", "scrap_hysteresis_percent has to be below scrap_limit_percent")
        return self

    def policy(self, plants: Iterable[PlantMapping]) -> GatheringPolicy:
        """Return what the processors are told; a plant's zone and shifts are those of its mapping."""
        return GatheringPolicy(
            ConsumptionPolicy(
                window_us=_us(self.consumption_window_s),
                settle_us=_us(self.consumption_settle_s),
                line_quantity_max=1_000 * self.consumption_line_max,
                lines_max=self.consumption_lines_max,
                events_max=self.consumption_events_max,
                documents_max=self.consumption_documents_max,
            ),
            self._activities() if self.activities else None,
            self._scrap(self.scrap_limit_percent) if self.scrap_limit_percent is not None else None,
            {plant.plant: PlantTime(plant.time_zone, plant.shifts) for plant in plants if plant.plant},
            _us(self.retry_s),
            _us(self.final_wait_s),
            self.finals_max,
        )

    def _activities(self) -> ActivityPolicy:
        return ActivityPolicy(
            reorder_us=_us(self.activities_reorder_s),
            interval_max_us=_us(self.activities_interval_max_s),
            setup_reasons=frozenset(self.setup_reasons),
            labour=frozenset(map(Doing, self.labour)),
            marks_max=self.marks_max,
            begun_max=self.begun_max,
            work_centers_max=self.work_centers_max,
        )

    def _scrap(self, limit_percent: float) -> ScrapPolicy:
        return ScrapPolicy(
            limit=_thousandths(limit_percent),
            hysteresis=_thousandths(self.scrap_hysteresis_percent),
            window_us=_us(self.scrap_window_s),
            quantity_min=1_000 * self.scrap_from,
            rows_max=self.scrap_rows_max,
            lots_max=self.scrap_lots_max,
            keep_us=self.scrap_keep_days * 86_400_000_000,
        )


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


def _thousandths(percent: float) -> int:
    return round(10 * percent)
