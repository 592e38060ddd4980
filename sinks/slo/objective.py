"""An objective: so many percent of the postings of a kind take no longer than so long, over so many days.

Law: what is late may be no more than the rest of the percents, the budget. A budget that goes so fast that a part of it
is gone within a window is a breach, as long as it goes as fast in a twelfth of that window, too: so a breach ends soon
after its cause. 2 % of the budget in an hour or 5 % in six is for somebody at once (over 30 days that is 14.4 and 6
times the pace at which the budget lasts), 10 % in three days for somebody soon. Where the pace that this takes is above
all being late, all being late is enough. Counts are integers, and no rounding decides.

Source: Google, The Site Reliability Workbook, chapter 5, multiwindow, multi-burn-rate alerts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from canonical.contracts import Lane, PostingKind
from sinks.analytics.delivery_times import HOPS, SLOT_US, WITHIN_S

SECOND_US: Final = 1_000_000
DAY_S: Final = 86_400


class Urgency(StrEnum):
    """How soon somebody should look, most urgent first."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Rule:
    """A breach: ``budget_percent`` of the budget within ``long_s``, and ``short_s`` at the same pace."""

    urgency: Urgency
    budget_percent: int
    long_s: int
    short_s: int


RULES: Final = (
    Rule(Urgency.PAGE, 2, 3_600, 300),
    Rule(Urgency.PAGE, 5, 21_600, 1_800),
    Rule(Urgency.TICKET, 10, 259_200, 21_600),
)
WINDOWS_S: Final = tuple(sorted({window for rule in RULES for window in (rule.long_s, rule.short_s)}))
"""Windows that are counted, beside that of the objective."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is to be kept, for each ERP and plant by itself.

    ``kinds``, ``lanes`` and ``plants`` say which postings it is about, none: all. ``hop`` says between which instants
    time is taken, one of ``HOPS``, ``within_s`` is one of ``WITHIN_S``. ``budget_ppm`` is how many in a million may be
    late over ``window_days``. Fewer than ``late_min`` late ones are no breach.
    """

    name: str
    kinds: Sequence[PostingKind] = ()
    lanes: Sequence[Lane] = ()
    plants: Sequence[str] = ()
    hop: str = "occurred-committed"
    within_s: int = 60
    budget_ppm: int = 10_000
    window_days: int = 30
    late_min: int = 3

    def __post_init__(self) -> None:
        assert self.hop in HOPS, self.hop
        assert self.within_s in WITHIN_S, self.within_s
        assert 0 < self.budget_ppm < SECOND_US, "a part of a million"


@dataclass(frozen=True, slots=True)
class Count:
    """Postings, and those of them that are late."""

    postings: int
    late: int


def first_slot_us(now_us: int, window_s: int) -> int:
    """Return the first slot of a window that ends now; it is as long as told, and at most a slot longer."""
    return (now_us - window_s * SECOND_US) // SLOT_US * SLOT_US


def burn(objective: Objective, count: Count) -> float:
    """Return the late part as a multiple of what the objective allows; 1 is a budget that lasts exactly."""
    return count.late * SECOND_US / (count.postings * objective.budget_ppm) if count.postings else 0.0


def burning(objective: Objective, counts: Mapping[int, Count]) -> set[Urgency]:
    """Return the urgencies of the rules that are broken, from the counts of each of ``WINDOWS_S``."""
    return {
        rule.urgency
        for rule in RULES
        if counts[rule.long_s].late >= max(objective.late_min, 1)
        and _fast(objective, rule, counts[rule.long_s])
        and _fast(objective, rule, counts[rule.short_s])
    }


def _fast(objective: Objective, rule: Rule, count: Count) -> bool:
    if not count.late:
        return False
    if count.late == count.postings:
        return True
    # late / postings >= budget_percent / 100 * window / long * budget_ppm / 1,000,000, without dividing
    allowed = rule.budget_percent * objective.window_days * DAY_S * objective.budget_ppm * count.postings
    return count.late * 100 * rule.long_s * SECOND_US >= allowed
