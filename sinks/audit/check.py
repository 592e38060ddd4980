"""The audit: do ledger, confirmations, gaps, events and dead letters tell the same, and all of it?

The laws are those of ``canonical.contracts.ledger``; they are checked as SQL over ranges and totals
(``books.sql``, ``conservation.sql``, ``tiling.sql``), never event by event, except that events which
are passed on one by one are looked through for doubles.

Both sides of the double entry are first compared by count and by a sum of hashes for each session;
sessions that differ are gone through line by line. So a sound plant costs one pass over its ranges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final

from canonical.identity import NAMESPACE
from sinks.audit.ground import Ground

KINDS: Final[Mapping[str, str]] = {
    "HOLE": "in the ledger as confirmed, and no confirmation is there",
    "DOUBLE": "more than once what is to be there once",
    "OVERLAP": "the same numbers in two ranges",
    "ALTERED": "not as it was entered in the ledger",
    "UNACCOUNTED": "there, and the ledger does not know of it",
    "UNDECLARED": "late numbers that were not declared missing",
    "IMBALANCE": "totals that do not add up",
    "GONE": "records that were deleted from the log",
}
"""Kinds of findings, and what each means."""

_SCRIPTS: Final = ("books.sql", "conservation.sql", "tiling.sql")
_ORDER: Final = "list_position($kinds, kind), plant, source, session, first_seq, last_seq, what"


@dataclass(frozen=True, slots=True)
class Scope:
    """What to audit; None does not narrow it down. Instants are UTC microseconds, ``until_us`` is excluded.

    Sessions with a range of the order that was committed in the time are in scope. Their totals are
    checked as a whole; findings about single ranges are told of those ranges only.
    """

    plant: str | None = None
    order: str | None = None
    since_us: int | None = None
    until_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong: which kind, where, what was expected and found, and a sentence."""

    kind: str
    plant: str | None = None
    source: str | None = None
    session: str | None = None
    first_seq: int | None = None
    last_seq: int | None = None
    order: str | None = None
    operation: str | None = None
    posting_id: str | None = None
    expected: str | None = None
    found: str | None = None
    what: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What was audited and what was found; ``findings`` are the first ones of all that ``counts`` counts."""

    sessions: int
    ranges: int
    events: int
    records: int
    first_us: int | None
    last_us: int | None
    counts: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.counts


def audit(ground: Ground, scope: Scope, *, findings_max: int) -> Audit:
    """Check everything in scope; ``counts`` of the result counts all findings, whatever ``findings_max``.

    Raises: duckdb.OutOfMemoryException where memory and disk do not suffice.
    """
    db = ground.db
    variables = {"plant": scope.plant, "order": scope.order, "since_us": scope.since_us, "until_us": scope.until_us}
    for name, value in {**variables, "namespace": NAMESPACE.hex}.items():
        db.execute(f"SET VARIABLE {name if name != 'order' else chr(34) + name + chr(34)} = ?", [value])
    folder = resources.files(__package__)
    for script in _SCRIPTS:
        db.execute((folder / script).read_text("utf-8"))
    db.execute(
        "DELETE FROM finding WHERE order_id <> getvariable('order')"
        " OR at_us < getvariable('since_us') OR at_us >= getvariable('until_us')"
    )
    counts = dict(db.execute("SELECT kind, count(*) FROM finding GROUP BY kind ORDER BY kind").fetchall())
    ((sessions, records),) = db.execute(
        "SELECT count(*) FILTER (source <> ''), coalesce(sum(read), 0) FROM entry"
    ).fetchall()
    ((ranges, events, first_us, last_us),) = db.execute(
        "SELECT count(*), coalesce(sum(events), 0), min(committed_us), max(committed_us) FROM posting_line"
    ).fetchall()
    return Audit(
        sessions, ranges, int(events), int(records), first_us, last_us, counts, _findings(ground, findings_max)
    )


def _findings(ground: Ground, findings_max: int) -> tuple[Finding, ...]:
    rows = ground.db.execute(
        f"SELECT * FROM finding ORDER BY {_ORDER} LIMIT $most",  # noqa: S608 - constants of this module
        {"kinds": list(KINDS), "most": findings_max},
    )
    assert rows.description is not None
    names = [name for name, *_ in rows.description]
    return tuple(_finding(dict(zip(names, row, strict=True))) for row in rows.fetchall())


def _finding(row: dict[str, Any]) -> Finding:
    order, posting_id = row.pop("order_id"), row.pop("posting_id")
    del row["at_us"]
    return Finding(order=order, posting_id=None if posting_id is None else str(posting_id), **row)
