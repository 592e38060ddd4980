"""Settings of what a collector leaves out of a signal: ``[[collect.<name>.signals]]``."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from dataflows.section import Interval, Section

Item = Annotated[str, Field(min_length=1, max_length=1_024)]
Width = Annotated[Decimal, Field(ge=0, le=10**12, allow_inf_nan=False)]


class Signal(Section):
    """Readings that are treated alike."""

    items: tuple[Item, ...] = Field(
        min_length=1,
        description="Which signals: a `dataItemId` (mtconnect), an item (shdr), a topic (mqtt); `*` is any text.",
    )


class DeadbandSignal(Signal):
    """A number that is told when it has moved."""

    rule: Literal["deadband"] = Field(
        description="What differs from the last told by no more than `width` is left out."
    )
    width: Width = Field(description="In the signal's own unit; 0 leaves out what repeats.")
    heartbeat_s: Interval = Field(default=60.0, description="A reading so long after the last told is told.")


class SwingingDoorSignal(Signal):
    """A number that is told where it bends."""

    rule: Literal["swinging-door"] = Field(
        description="What lies no further than `width` from the straight line between two that are told is left out."
    )
    width: Width = Field(description="In the signal's own unit.")
    heartbeat_s: Interval = Field(
        default=60.0, description="A reading so long after the last told is told, and none waits for longer to be."
    )


class DebounceSignal(Signal):
    """A state that is told when it stays."""

    rule: Literal["debounce"] = Field(description="A value that does not last for `settle_s` is left out.")
    settle_s: Interval = Field(description="A value is told after so long, with the time at which it began.")
    heartbeat_s: Interval = Field(default=60.0, description="A reading so long after the last told is told.")


class PulseSignal(Signal):
    """A message that is one piece."""

    rule: Literal["pulse"] = Field(description="What comes less than `gap_s` after one of the same value is left out.")
    gap_s: Interval = Field(description="Shorter than the shortest cycle, longer than the contact bounces.")


SignalRule = Annotated[DeadbandSignal | SwingingDoorSignal | DebounceSignal | PulseSignal, Field(discriminator="rule")]
SignalRules = Annotated[
    tuple[SignalRule, ...],
    Field(description="Readings that are left out, see [signals](#signals-what-a-noisy-one-says-too-often)."),
]
