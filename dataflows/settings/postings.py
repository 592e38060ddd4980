"""Settings of the ``postings`` flow: its rules and bounds, and where reference data come from."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from canonical.b2mml import Terms
from canonical.contracts import ExceptionCode
from canonical.mapping.problems import refused
from dataflows.processors.posting.policy import LANES, PostingPolicy, Sort
from dataflows.section import Place, Section

Hours = Annotated[float, Field(gt=0, le=365 * 86_400)]
System = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A name that a folder may have, and a part of the state."""
LaneName = Literal["critical", "standard", "bulk", "analytics-only"]


class PostingsSection(Section):
    """What the postings flow decides by, and its bounds."""

    release_timeout_s: Hours = Field(
        default=14_400.0, description="A confirmation waits so long for its order's release, then it is an exception."
    )
    quality_timeout_s: Hours = Field(
        default=86_400.0, description="A receipt waits so long for its lot's release, then it goes to quality stock."
    )
    patience_s: float = Field(
        default=60.0, ge=0, le=86_400, description="Anything else may be amiss so long before it is an exception."
    )
    closed_period: Literal["shift", "exception"] = Field(
        default="shift", description="A day of a closed period becomes the first day of the next open one, or waits."
    )
    operation_from: Literal["confirmation", "table"] = Field(
        default="confirmation", description="Whose operation counts, where the confirmation names one."
    )
    unchecked: tuple[ExceptionCode, ...] = Field(
        default=(), description="Codes of checks that are left out, such as `YIELD_ABOVE_PREDECESSOR`."
    )
    lanes: dict[Sort, LaneName] = Field(
        default={}, description="Lane of each sort of posting; `analytics-only`: it is not made."
    )
    owners: dict[str, tuple[str, ...]] = Field(
        default={}, description="Systems that may tell of a kind of record or event; of others, any may."
    )
    waiting_max: int = Field(default=200_000, ge=1, description="Confirmations and drafts that wait.")
    orders_max: int = Field(default=200_000, ge=1, description="Orders with postings; closed ones make room.")
    lots_max: int = Field(default=200_000, ge=1, description="Lots of which the quality system has said something.")
    references_max: int = Field(default=1_000_000, ge=1, description="Reference records.")
    exceptions_max: int = Field(default=20_000, ge=1, description="Exceptions open at a time.")
    remembered_max: int = Field(default=100_000, ge=1, description="Postings remembered, to be taken back.")
    actions_max: int = Field(default=10_000, ge=1, description="Actions of people remembered, to do each once.")
    commands_max: int = Field(default=10_000, ge=1, description="Own commands remembered, to know their echoes.")

    def policy(self) -> PostingPolicy:
        """Return what the processor is told."""
        return PostingPolicy(
            release_timeout_us=round(self.release_timeout_s * 1e6),
            quality_timeout_us=round(self.quality_timeout_s * 1e6),
            patience_us=round(self.patience_s * 1e6),
            unchecked=frozenset(self.unchecked),
            operation_from=self.operation_from,
            closed_period=self.closed_period,
            lanes={**LANES, **self.lanes},
            owners=self.owners,
            waiting_max=self.waiting_max,
            orders_max=self.orders_max,
            lots_max=self.lots_max,
            references_max=self.references_max,
            exceptions_max=self.exceptions_max,
            remembered_max=self.remembered_max,
            actions_max=self.actions_max,
            commands_max=self.commands_max,
        )


class ReferenceSection(Section):
    """Where reference data come from: folders, topics, or both; NDJSON, or B2MML where a system writes that."""

    folder: Place | None = Field(default=None, description="Folder below which each system drops its files.")
    systems: tuple[System, ...] = Field(default=(), description="Names of those folders: the systems that drop there.")
    topics: dict[System, tuple[str, ...]] = Field(
        default={}, description="Topics of each system, where `log.kind` is kafka."
    )

    b2mml: dict[System, Terms] = Field(
        default={},
        description="Of systems that write B2MML instead of NDJSON: ERP, plant, zone, units, words.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        strangers = self.b2mml.keys() - {*self.systems, *self.topics}
        if strangers:
            raise refused(f"b2mml names {', '.join(sorted(strangers))}", "name it in systems or topics, too")
        if bool(self.systems) != (self.folder is not None):
            raise refused("folder and systems need each other", 'such as folder = "reference", systems = ["erp"]')
        return self
