"""``plantsync explain``: the whole story of a posting, a document or an order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflows.cli.options import CONFIG, Config, Json

if TYPE_CHECKING:
    from collections.abc import Iterator


def explain(
    subject: Annotated[
        str, typer.Argument(metavar="POSTING|DOCUMENT|ORDER", help="An id, a document of an ERP, or an order.")
    ],
    plant: Annotated[str, typer.Option(help="Only this plant, where several have such an order.")] = "",
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """Tell the whole story: events and confirmations, postings, attempts, documents, exceptions, with times per hop.

    Example: plantsync explain 4900001234
    """
    from dataflows.cli.output import print_json, results
    from dataflows.settings import load
    from dataflows.story import story

    found = story(load(config), subject, plant)
    if as_json:
        print_json(found.told())
        return
    for line in _lines(found.told()):
        results().print(line, markup=False, highlight=False)


def _lines(told: dict[str, Any]) -> Iterator[str]:
    for posting in told["postings"]:
        yield from _posting(posting)
        yield ""
    for row in told["usage"]:
        yield _usage(row)
    for row in told["unposted"]:
        yield f"{_unposted(row)}: {_confirmation(row)}"
    for each in told["exceptions"]:
        yield from _exception(each, told["actions"])


def _posting(posting: dict[str, Any]) -> Iterator[str]:
    order = f", order {posting['order']} number {posting['number']}" if posting["order"] else ""
    document = f", document {posting['document']}" if posting["document"] else ""
    yield f"{posting['kind']} {posting['posting_id']}: {posting['status']}{document}"
    yield f"  {posting['erp']}, plant {posting['plant']}{order}, lane {posting['lane']}, on {posting['posting_date']}"
    made = [f"{posting[name] / 1000:g} {name}" for name in ("good", "scrap", "rework") if posting[name]]
    moved = [
        f"{m['movement_type']} {m['quantity'] / 1000:g} {m['unit']} of {m['material']} {m['lot']}".strip()
        for m in posting["movements"]
    ]
    if made or moved:
        yield f"  {', '.join([*made, *moved])}"
    for row in posting["confirmations"]:
        yield f"  accounts for {_confirmation(row)}"
    for event in posting["events"]:
        seq = "" if event.get("seq") is None else f" number {event['seq']}"
        yield f"  accounts for {event['type']} of {event['source']}{seq} at {_at(event['occurred_us'])}"
    if posting["reverses"]:
        yield f"  takes back posting {posting['reverses']}"
    before: int | None = None
    for name, us in posting["hops_us"].items():
        if us is not None:
            took = "" if before is None else f"  {(us - before) / 1e6:+,.3f} s"
            yield f"  {name.replace('_', ' '):<10}  {_at(us)}{took}"
            before = us
    for receipt in posting["receipts"]:
        found = ", found by asking" if receipt["found"] else ""
        words = " ".join(filter(None, (receipt["document"], receipt["code"], receipt["message"])))
        yield f"  {_at(receipt['answered_us'])}  {receipt['status']} at attempt {receipt['attempts']}{found}: {words}"


def _usage(row: dict[str, Any]) -> str:
    item = f"component {row['item']}" if row["item"] else "no component"
    planned, actual, difference = (row[name] / 1000 for name in ("planned", "actual", "difference"))
    return (
        f"order {row['order']}, {item}, {row['material']}: "
        f"{planned:g} {row['unit']} planned, {actual:g} issued, {difference:+g}"
    )


def _confirmation(row: dict[str, Any]) -> str:
    session = f" session {row['session']}" if row.get("session") else ""
    good = f", good {row['good'] / 1000:g}" if row.get("good") else ""
    return (
        f"{row['events']:,} events of {row['source']}{session}, numbers {row['first_seq']} to {row['last_seq']}"
        f"{good} (confirmation {row['posting_id']})"
    )


def _unposted(row: dict[str, Any]) -> str:
    if row.get("state", "waiting") == "waiting":
        return "not posted yet"
    return ", ".join(filter(None, ("not posted", row["state"], row.get("why"), row.get("actor"))))


def _exception(each: dict[str, Any], actions: list[dict[str, Any]]) -> Iterator[str]:
    until = "" if each["resolved_us"] is None else f", until {_at(each['resolved_us'])}"
    yield f"{each['code']} {each['exception_id']}: {each['resolution']}, for {each['owner']}"
    yield f"  since {_at(each['opened_us'])}{until}; {each['waiting']} waiting: {each['message']}"
    for action in actions:
        if action["exception_id"] == each["exception_id"]:
            yield f"  {_at(action['at_us'])}  {action['kind']} by {action['actor']}: {action['reason']}"


def _at(us: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
