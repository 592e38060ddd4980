"""Settings of the ``delivery`` flow: ``[erps.<name>]`` says how an ERP is treated, and its ``adapter`` where it is."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, model_validator

from canonical.mapping.problems import refused
from dataflows.processors.delivery.policy import DeliveryPolicy
from dataflows.residency import Regions
from dataflows.section import Interval, Section
from dataflows.settings.resolved import resolved
from sinks.erp.settings import ErpSettings

ASKED_AT: Final = {"oracle": "history_path", "d365": "messages_path"}
"""Settings without which an ERP seldom knows what became of a call: each posting in doubt needs a person then."""
PROCESSED_LATER: Final = frozenset({"d365"})
"""ERPs that process what they accept later, and as a whole: an order's next posting must not overtake it there."""
ANSWER_TIMEOUTS: Final = ("read_timeout_s", "acknowledgement_wait_s")
"""Keys of an adapter that say how long it waits for an answer."""


Adapter = Annotated[ErpSettings, BeforeValidator(resolved)]
ErpName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A name that a topic may have in its own."""


class ErpSection(Section):
    """How one ERP instance is treated; its ``adapter`` says what it is and how it is reached."""

    adapter: Adapter = Field(description="What the ERP is, and how it is reached.")
    residency: Regions | None = Field(
        default=None, description="Regions whose plants may post to it; needed where a mapping names its region."
    )
    rate_per_s: float = Field(default=10.0, ge=0.001, le=10_000, description="Calls a second it gets, on average.")
    burst: int = Field(default=10, ge=1, le=10_000, description="Calls that may follow each other at once.")
    in_flight_max: int = Field(default=8, ge=1, le=256, description="Calls under way at the same time.")
    held_max: int = Field(
        default=2_000, ge=1, le=100_000, description="Postings read and not settled; at this the queue waits."
    )
    window_max: int = Field(
        default=200, ge=1, le=10_000, description="Postings that may have been sent, as far as a restart knows."
    )
    order_window_max: int = Field(default=4, ge=1, le=1_000, description="Of these, postings of one order.")
    bulk_max: int = Field(default=1, ge=1, le=500, description="Postings in one call, where the ERP can.")
    lease_s: Interval = Field(
        default=5.0, description="Calls may begin so long after a commit; a process that takes over waits as long."
    )
    settle_s: Interval = Field(
        default=90.0, description="The ERP may still execute a call without an answer so long after it began."
    )
    backoff_s: Interval = Field(default=1.0, description="Wait before the first repetition; doubled with each.")
    backoff_max_s: Interval = Field(default=60.0, description="Longest wait between two repetitions.")
    attempts_max: int = Field(default=10, ge=1, le=1_000, description="Failures of a posting, then a person decides.")
    locked_after_s: Interval = Field(default=600.0, description="An order locked so long becomes an exception.")
    breaker_failures: int = Field(
        default=5, ge=1, le=1_000, description="Failures in a row, then the ERP is left alone."
    )
    probe_s: Interval = Field(default=5.0, description="Wait before it is tried again; doubled with each failure.")
    probe_max_s: Interval = Field(default=300.0, description="Longest wait between two tries.")
    movement_s: Interval = Field(default=5.0, description="Wait before it is asked what followed a document; doubled.")
    movement_max_s: Interval = Field(default=300.0, description="Longest wait between two such questions.")
    movement_timeout_s: Interval = Field(default=3_600.0, description="What is open so long becomes an exception.")
    documents_max: int = Field(default=50_000, ge=256, le=1_000_000, description="Documents remembered.")
    end_wait_s: float = Field(default=10.0, ge=0, le=600, description="Wait for calls under way when the flow ends.")

    @model_validator(mode="after")
    def _usable(self) -> ErpSection:
        if self.settle_s < self.lease_s:
            raise refused(
                "settle_s is shorter than lease_s", "an ERP is asked only when no call can be at work any more"
            )
        given_up_s = max(getattr(self.adapter, name, 0.0) for name in ANSWER_TIMEOUTS)
        if self.settle_s <= given_up_s:
            hint = f"a call is given up after {given_up_s:g} s, and the ERP may go on with it"
            raise refused("settle_s is not longer than the adapter waits for an answer", hint)
        if self.order_window_max > self.window_max:
            raise refused("order_window_max is above window_max", "an order's share of the window is a part of it")
        return self

    def policy(self, bulk_max: int) -> DeliveryPolicy:
        """Return the policy; ``bulk_max`` is what the adapter can."""
        times: dict[str, Any] = {
            f"{name.removesuffix('_s')}_us": round(value * 1e6)
            for name, value in self
            if name.endswith("_s") and name not in {"rate_per_s", "end_wait_s"}
        }
        counts: dict[str, Any] = {name: value for name, value in self if isinstance(value, int)}
        counts["bulk_max"] = min(self.bulk_max, bulk_max)
        if getattr(self.adapter, ASKED_AT.get(self.adapter.kind, "kind")) is None:
            counts |= {"window_max": min(self.window_max, self.in_flight_max), "order_window_max": 1}
        in_turn = self.adapter.kind in PROCESSED_LATER
        return DeliveryPolicy(**counts, **times, in_turn=in_turn, rate_milli=round(self.rate_per_s * 1000))
