"""Whether postings can become documents: the ERPs let us in, and what they have to tell of themselves is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dataflows.health.shard_health import Finding
from dataflows.processors.posting.reference_book import ReferenceBook, open_day
from dataflows.settings import Settings
from dataflows.settings.delivery import ErpSection
from sinks.erp.port import Answer, Outcome
from sinks.erp.settings import DropSettings, HttpSettings, SapSettings

WAIT_S: Final = 10.0
"""An ERP that answers later than that is slow enough to be told."""
HINTS: Final = {
    Outcome.UNAUTHORISED: "check its credentials, and what they may do",
    Outcome.THROTTLED: "it is busy; delivery waits by itself",
}
UNREACHED: Final = "check its address, the network, certificates, and that it runs"
DROP: Final = "check that the folders are mounted, and their permissions"


def erp_findings(settings: Settings) -> Iterator[Finding]:
    """Yield whether each ERP is there and lets us in, asked by a read that changes nothing."""
    from sinks.erp.adapters import open_adapter  # noqa: PLC0415 - half of the start of every other command

    for name, section in sorted(settings.erps.items()):
        adapter = section.adapter
        if isinstance(adapter, HttpSettings):
            patience = min(WAIT_S, adapter.read_timeout_s)
            adapter = adapter.model_copy(update={"read_timeout_s": patience, "answer_timeout_s": patience})
        with closing(open_adapter(adapter)) as opened:
            yield _looked(name, section, opened.look())


def _looked(name: str, section: ErpSection, answer: Answer) -> Finding:
    adapter = section.adapter
    about = f"erp {name}"
    place = str(adapter.folder) if isinstance(adapter, DropSettings) else adapter.base_url
    if answer.outcome is Outcome.ACCEPTED:
        zone = f"; its times are of {adapter.time_zone}" if isinstance(adapter, SapSettings) else ""
        return Finding(about, "fine", f"{adapter.kind} at {place} lets us in{zone}")
    hint = HINTS.get(answer.outcome, DROP if isinstance(adapter, DropSettings) else UNREACHED)
    words = " ".join(filter(None, (answer.code, answer.message)))
    detail = f"{adapter.kind} at {place}: {words}; {hint} (erps.{name}.adapter)"
    return Finding(about, "note" if answer.outcome is Outcome.THROTTLED else "problem", detail)


def source_findings(settings: Settings) -> Iterator[Finding]:
    """Yield whether reference data can come from where the settings say."""
    reference = settings.reference
    if reference is None:
        if settings.erps:
            words = "the settings name none, so nothing can be posted; add a table [reference], see docs/postings.md"
            yield Finding("reference data", "problem", words)
        return
    for system in reference.systems:
        assert reference.folder is not None
        yield _folder(reference.folder / system, reference.folder)


def _folder(folder: Path, above: Path) -> Finding:
    name = f"reference {folder}"
    if not above.is_dir():
        return Finding(name, "note", f"{above} is not there; create it, or see that it is mounted")
    if not folder.is_dir():
        return Finding(name, "note", "not there yet; the postings flow creates it")
    if not os.access(folder, os.R_OK | os.X_OK):
        return Finding(name, "problem", "cannot be read by this user; check owner and permissions")
    return Finding(name, "fine", "can be read")


def reference_findings(settings: Settings, book: ReferenceBook, now_us: int) -> Iterator[Finding]:
    """Yield what of the reference data is missing: the route of each plant, the periods of each ERP.

    Args: book: as of the last commit of the postings flow.
    """
    kinds = book.kinds()
    known = ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in sorted(kinds.items()))
    yield Finding("reference data", "fine" if kinds else "note", f"known of: {known}" if kinds else "none yet")
    for plant in settings.mappings():
        if not plant.plant:
            continue
        name = f"plant {plant.plant}"
        route = book.route(plant.plant, now_us)
        if route is None:
            yield Finding(name, "note", "no ERP is named for it now, so nothing of it is posted; drop a route record")
        elif route.erp not in settings.erps:
            hint = f"add a table [erps.{route.erp}], or mend the route record"
            yield Finding(name, "problem", f"it posts to {route.erp}, which the settings do not name; {hint}")
        else:
            yield Finding(name, "fine", f"posts to {route.erp} as {route.erp_plant}; its days are of {plant.time_zone}")
    today = datetime.fromtimestamp(now_us // 1_000_000, UTC).date()
    for erp in sorted(settings.erps):
        if open_day(book.periods(erp, now_us), today) is None:
            words = f"none is known to be open on {today} or after, so what is made then waits; drop period records"
            yield Finding(f"periods of {erp}", "note", words)
