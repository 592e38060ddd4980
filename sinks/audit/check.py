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
    "HOLE": "what is to be there is not: a confirmation, a posting, a receipt, a document",
    "DOUBLE": "more than once what is to be there once",
    "OVERLAP": "the same numbers in two ranges",
    "ALTERED": "not as it was entered in the ledger, confirmed or posted",
    "UNACCOUNTED": "there, and nothing is known that it could be of",
    "UNDECLARED": "late numbers that were not declared missing",
    "IMBALANCE": "totals that do not add up",
    "GONE": "records that were deleted from the log",
}
"""Kinds of findings, and what each means."""

_SCRIPTS: Final = ("books.sql", "conservation.sql", "tiling.sql")
_CHAIN: Final = ("chain.sql", "postings.sql", "receipts.sql", "documents.sql")
_ORDER: Final = (
    "list_position($kinds, kind), plant, source, session, first_seq, last_seq, erp, order_id, posting_id, what"
)


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
    erp: str | None = None
    document: str | None = None
    expected: str | None = None
    found: str | None = None
    what: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What became of confirmations: how many are posted, wait or are not to be posted, and of the postings.

    ``unread`` are those that the postings flow has not read yet. ``documents`` are those that were handed in, and
    ``in_doubt`` those of them whose posting has no receipt yet.
    """

    confirmations: int
    posted: int
    waiting: int
    not_posted: int
    unread: int
    postings: int
    accepted: int
    withdrawn: int
    pending: int
    documents: int
    in_doubt: int
    erps: tuple[str, ...] = ()


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
    chain: Chain | None = None

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
    chained = _is_chained(ground)
    for script in _CHAIN if chained else ():
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
    findings = _findings(ground, findings_max)
    chain = _chain(ground) if chained else None
    return Audit(sessions, ranges, int(events), int(records), first_us, last_us, counts, findings, chain)


def _is_chained(ground: Ground) -> bool:
    """Return whether anything follows from confirmations: where no such flow has run there is nothing to check."""
    tables = ("read_posting", "read_unposted", "read_receipt", "mark", "document")
    return any(ground.db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchall() for table in tables)  # noqa: S608


def _chain(ground: Ground) -> Chain:
    db = ground.db
    ((confirmations, posted, waiting, not_posted, unread),) = db.execute(
        "SELECT count(*), count(*) FILTER (p.cause IS NOT NULL),"
        " count(*) FILTER (p.cause IS NULL AND u.state = 'waiting'),"
        " count(*) FILTER (p.cause IS NULL AND u.state <> 'waiting'),"
        " count(*) FILTER (p.cause IS NULL AND u.cause IS NULL AND is_read IS NOT TRUE) FROM fate"
    ).fetchall()
    ((postings, accepted, withdrawn),) = db.execute(
        "SELECT count(*), count(*) FILTER (o.accepted > 0), count(*) FILTER (o.accepted = 0 AND o.withdrawn > 0)"
        " FROM (FROM part WHERE copy = 1) AS p LEFT JOIN outcome AS o USING (id)"
    ).fetchall()
    ((documents, in_doubt),) = db.execute(
        "SELECT count(*), count(*) FILTER ((erp, document) IN (SELECT (erp, document) FROM linked ANTI JOIN outcome"
        " USING (id))) FROM paper"
    ).fetchall()
    erps = tuple(erp for (erp,) in db.execute("SELECT DISTINCT erp FROM document ORDER BY erp").fetchall())
    return Chain(
        confirmations,
        posted,
        waiting,
        not_posted,
        unread,
        postings,
        accepted,
        withdrawn,
        postings - accepted - withdrawn,
        documents,
        in_doubt,
        erps,
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
    order = row.pop("order_id")
    del row["at_us"]
    return Finding(order=order, **row)
