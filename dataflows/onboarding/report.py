"""What the conformance suite found, for a person (Markdown) and for a script (JSON)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from dataflows.onboarding.trial import Set

_SHOWN_BYTES: Final = 200
_CUT_MAX: Final = 3
"""Bytes of a letter that may be missing where a record is cut off."""


class Status(StrEnum):
    """What a check says."""

    PASSED = "passed"
    FAILED = "failed"
    NOTED = "noted"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what it says in a sentence, and line by line."""

    name: str
    status: Status
    told: str
    details: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FaultKind:
    """Faults with one code: how many, and the first of them; ``is_expected``: somebody has explained them."""

    code: str
    count: int
    is_expected: bool
    examples: Sequence[Set]


@dataclass(slots=True)
class Report:
    """What became of a sample, and every check. ``totals`` are the ledger's; quantities are thousandths."""

    plant: str
    records: int
    totals: Mapping[str, int]
    faults: Sequence[FaultKind]
    checks: list[Check] = field(default_factory=list)

    @property
    def has_passed(self) -> bool:
        """Whether no check has failed."""
        return all(check.status is not Status.FAILED for check in self.checks)

    def told(self) -> dict[str, Any]:
        """Return the report as a JSON document; quantities in thousandths."""
        return {
            "plant": self.plant,
            "passed": self.has_passed,
            "records": self.records,
            "totals": dict(self.totals),
            "faults": [
                {
                    "code": kind.code,
                    "count": kind.count,
                    "expected": kind.is_expected,
                    "examples": [{"detail": each.detail, "original": _shown(each.original)} for each in kind.examples],
                }
                for kind in self.faults
            ],
            "checks": [
                {"check": check.name, "status": check.status.value, "told": check.told, "details": list(check.details)}
                for check in self.checks
            ],
        }

    def markdown(self, mapping_name: str, sample_name: str) -> str:
        """Return the report as a page."""
        return "\n".join(self._page(mapping_name, sample_name)) + "\n"

    def _page(self, mapping_name: str, sample_name: str) -> Iterator[str]:
        yield f"# Plant {self.plant}: {mapping_name} on {sample_name}"
        yield ""
        yield "Every check has passed." if self.has_passed else "**At least one check has failed.**"
        yield ""
        yield "| check | | |"
        yield "|---|---|---|"
        for check in self.checks:
            yield f"| {check.name} | {check.status.value} | {_cell(check.told)} |"
        if self.faults:
            yield ""
            yield "## Faults"
        for kind in self.faults:
            yield ""
            yield f"### {kind.code}: {kind.count:,}{' (expected)' if kind.is_expected else ''}"
            for each in kind.examples:
                yield ""
                yield f"- {each.detail}"
                yield ""
                yield f"      {_shown(each.original)}"
        for check in self.checks:
            if check.details:
                yield ""
                yield f"## {check.name.capitalize()}"
                yield ""
                yield from (f"- {detail}" for detail in check.details)


def _shown(original: bytes) -> str:
    """Return the beginning of a record on one line."""
    head = original[:_SHOWN_BYTES]
    text = head.decode("utf-8", "ignore")
    if len(text.encode()) + _CUT_MAX < len(head):  # more than a letter cut in two is not UTF-8
        text = head.decode("cp1252", "replace")
    return "".join(c if c.isprintable() else " " for c in text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
