"""``plantsync audit``: nothing lost, nothing twice, nothing altered, or every place where that is not so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflows.cli.exit_codes import ERROR
from dataflows.cli.options import CONFIG, Config, Json
from dataflows.cli.trail import audit_trail

if TYPE_CHECKING:
    from dataflows.audit import Audited
    from sinks.audit.check import Finding


def audit(
    store: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Audit this store by itself, without settings.")
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Audit the commit log from its first record.")] = False,
    trail: Annotated[
        bool, typer.Option("--trail", help="Verify the audit trail instead: mappings, replays, who and why.")
    ] = False,
    documents: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Documents that ERPs have, exported as JSON lines or CSV (docs/audit.md)."),
    ] = None,
    plant: Annotated[str | None, typer.Option(help="Only this plant.")] = None,
    order: Annotated[str | None, typer.Option(help="Only sessions that worked on this order.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="Committed at this instant (ISO 8601, UTC) or later.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="INSTANT", help="Committed before this instant.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Findings shown at most; all are counted.")] = 100,
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """Check that every number a source sent is accounted for once, from record to document of the ERP.

    Ledger, ranges, gaps, confirmations, events and dead letters are held against each other, confirmations
    against postings, those against receipts, and these against the documents of the ERPs, where they are
    given; each hole, double, overlap, alteration or imbalance is told with its source and range, order,
    posting and document. Audits the published store, and what it has not loaded yet in the log. Exit code 0
    if nothing is wrong, 1 on any finding.

    Example: plantsync audit --plant A --since 2026-01-05 --until 2026-01-06T06:00
    """
    from dataclasses import asdict

    from dataflows.audit import audit_file, audit_log, audit_store
    from dataflows.cli.output import print_json
    from dataflows.settings import load
    from sinks.audit.check import Scope

    if sum((store is not None, log, trail)) > 1:
        raise typer.BadParameter("choose one", param_hint="--store, --log, --trail")
    if trail:
        if documents is not None:
            raise typer.BadParameter("the audit trail has no documents", param_hint="--documents")
        audit_trail(load(config), as_json=as_json)
        return
    scope = Scope(plant, order, _instant(since, "--since"), _instant(until, "--until"))
    if store is not None:
        done = audit_file(store, scope, findings_max=limit, documents=documents)
    else:
        audited = audit_log if log else audit_store
        done = audited(load(config), scope, findings_max=limit, documents=documents)
    if as_json:
        print_json({"clean": done.audit.clean, **asdict(done), "scope": asdict(scope)})
    else:
        _print(done)
    if not done.audit.clean:
        raise typer.Exit(ERROR)


def _instant(text: str | None, option: str) -> int | None:
    """Return an instant in UTC microseconds; without an offset it is UTC."""
    from datetime import UTC, datetime, timedelta

    if text is None:
        return None
    try:
        told = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no instant such as 2026-01-05T06:00", param_hint=option) from error
    zoned = told if told.tzinfo else told.replace(tzinfo=UTC)
    return (zoned - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _print(done: Audited) -> None:
    from rich.table import Table
    from rich.text import Text

    from dataflows.cli.output import results
    from sinks.audit.check import KINDS

    console = results()

    def say(line: str, style: str = "") -> None:
        console.print(line, style=style or None, markup=False, highlight=False)

    found = done.audit
    total = sum(found.counts.values())
    say("Nothing lost, nothing twice, nothing altered." if found.clean else f"{total:,} findings.", "bold")
    say(
        f"Audited: {done.place}: {found.records:,} records, {found.sessions:,} sessions, {found.ranges:,} confirmed "
        f"ranges of {found.events:,} events{_window(found.first_us, found.last_us)}."
    )
    if (chain := found.chain) is not None:
        say(
            f"Of {chain.confirmations:,} confirmations {chain.posted:,} are posted, {chain.waiting:,} wait, "
            f"{chain.not_posted:,} are not to be posted, {chain.unread:,} were not read yet. Of {chain.postings:,} "
            f"postings {chain.accepted:,} are accepted, {chain.withdrawn:,} withdrawn, {chain.pending:,} pending."
        )
        if chain.erps:
            doubt = f"; {chain.in_doubt:,} have no receipt yet" if chain.in_doubt else ""
            say(f"Documents of {', '.join(chain.erps)}: {chain.documents:,}{doubt}.")
    if done.on_the_way:
        streams = ", ".join(f"{count:,} {stream}" for stream, count in sorted(done.on_the_way.items()))
        say(f"On their way into the store, read from the log: {streams}.")
    if done.alone:
        say(f"The log was not looked at, so what was on its way into the store counts as missing: {done.alone}")
    for kind, meaning in KINDS.items():
        if count := found.counts.get(kind):
            say(f"{kind} {count:,}: {meaning}")
    if not found.findings:
        return
    table = Table(header_style="bold")
    for name in ("kind", "plant", "source", "session", "numbers", "order", "posting", "document", "what"):
        table.add_column(name, overflow="fold")
    for finding in found.findings:
        table.add_row(*map(Text, _cells(finding)))
    console.print(table)
    if total > len(found.findings):
        say(f"{total - len(found.findings):,} more; raise --limit to see them.")


def _cells(finding: Finding) -> tuple[str, ...]:
    numbers = "" if finding.first_seq is None else f"{finding.first_seq}-{finding.last_seq}"
    order = "/".join(filter(None, (finding.order, finding.operation)))
    what = f"{finding.what}; expected {finding.expected}, found {finding.found}"
    texts: tuple[Any, ...] = (finding.plant, finding.source, finding.session)
    document = " ".join(filter(None, (finding.erp, finding.document)))
    return (finding.kind, *(text or "" for text in texts), numbers, order, finding.posting_id or "", document, what)


def _window(first_us: int | None, last_us: int | None) -> str:
    from datetime import UTC, datetime

    if first_us is None or last_us is None:
        return ""
    first, last = (datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="seconds") for us in (first_us, last_us))
    return f", committed from {first} to {last}"
