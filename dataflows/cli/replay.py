"""``plantsync replay``: records back to where they came from, after a dry run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from canonical.contracts.fault import FaultCode
from dataflows.cli.actor import Actor, Reason, stated
from dataflows.cli.exit_codes import ERROR
from dataflows.cli.options import CONFIG, INSTANTS, Config, Json, instant_us
from dataflows.cli.order_table import ORDERS_SHOWN, order_table

if TYPE_CHECKING:
    from dataflows.replay.replay import Plan, Replayed

WORDS = {"confirmation": "new", "supplementary": "new supplementary"}


class Origin(StrEnum):
    """What is replayed."""

    DEAD_LETTERS = "dead-letters"
    INPUT = "input"


def replay(
    origin: Annotated[
        Origin, typer.Option("--from", help="Dead letters, or original records that were read before.")
    ] = Origin.DEAD_LETTERS,
    place: Annotated[
        list[str] | None, typer.Option(help="This dead letter, as the list shows it; may be repeated.")
    ] = None,
    code: Annotated[list[FaultCode] | None, typer.Option(help="Only this fault code; may be repeated.")] = None,
    plant: Annotated[str, typer.Option(help="Only this plant.")] = "",
    source: Annotated[str, typer.Option(help="Only this source.")] = "",
    order: Annotated[str, typer.Option(help="Only this order.")] = "",
    lot: Annotated[str, typer.Option(help="Only this lot.")] = "",
    topic: Annotated[str, typer.Option(help="Only this topic, drop folder, or FOLDER/FILE.")] = "",
    shard: Annotated[str, typer.Option(help="Only this shard, as doctor shows it.")] = "",
    offsets: Annotated[
        str, typer.Option(metavar="A:B", help="Only these offsets of the input, both included; bytes of a file.")
    ] = "",
    since: Annotated[
        datetime | None, typer.Option(formats=INSTANTS, help="Failed, or occurred, at this time (UTC) or later.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=INSTANTS, help="Before this time (UTC).")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also dead letters that were replayed before.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Records at most.")] = 10_000,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this only show what would change.")] = False,
    reason: Reason = "",
    actor: Actor = "",
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """Put records back where they came from, so that the running flow takes them in once more.

    Without --apply it shows what would change and changes nothing. A record that was accounted for before
    changes nothing either. Exit code 1: nothing matches the selection.

    Example: plantsync replay --code UNKNOWN_UNIT --plant A --apply --reason "KG is mapped now"
    """
    from dataflows.cli.output import errors, print_json
    from dataflows.replay.replay import Replay
    from dataflows.replay.selection import Selection, offset_range
    from dataflows.settings import load
    from dataflows.sources.clock import SystemClock
    from dataflows.trail.operator_trail import operator_trail

    who = stated(actor, reason, apply=apply)
    try:
        first, last = offset_range(offsets) if offsets else (None, None)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--offsets") from error
    selection = Selection(
        origin.value,
        places=tuple(place or ()),
        codes=tuple(code or ()),
        plant=plant,
        source=source,
        order=order,
        lot=lot,
        topic=topic,
        shard=shard,
        first_offset=first,
        last_offset=last,
        since_us=instant_us(since),
        until_us=instant_us(until),
        limit=limit,
        again=again,
    )
    settings = load(config)
    console = errors()
    done: Replayed | None = None
    with console.status("looking") as status:
        replaying = Replay(settings, SystemClock(), lambda seen: status.update(f"{seen:,} records looked at"))
        if apply:
            with operator_trail(settings) as trail:
                if finished := replaying.finished(trail):
                    console.print(f"Finished a replay that was cut off: {finished} files dropped.", highlight=False)
                plan = replaying.planned(selection, trail.state)
                if plan.records:
                    done = replaying.applied(plan, trail, *who)
        else:
            plan = replaying.planned(selection)
    if as_json:
        applied = {"id": done.id, "entry": done.entry.number, "hash": done.entry.hash} if done else None
        print_json({"applied": applied, "files": [str(path) for path in done.files] if done else [], **plan.told()})
    else:
        _print(plan, done)
    if not plan.found.matched:
        raise typer.Exit(ERROR)


def _print(plan: Plan, done: Replayed | None) -> None:
    from dataflows.cli.output import results

    console = results()

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    told = plan.told()
    for line in _left_out(told["left_out"]):
        say(line)
    if not plan.records:
        say("Nothing to replay." if plan.found.matched else "No record matches the selection.")
        return
    shards = ", ".join(f"{shard} {count:,}" for shard, count in told["shards"].items())
    verb = "sent" if done else "would be sent"
    say(f"{plan.records:,} records {verb}: {shards}.")
    would, ledger = told["would"], told["would"]["ledger"]
    parts = [f"{ledger[name]:+,} {name}" for name in ("released", "late", "duplicates", "held") if ledger.get(name)]
    say(f"The ledger: {', '.join(parts) or 'no change'}. Duplicates change nothing; what is held waits for others.")
    if would["orders"]:
        console.print(order_table(would["orders"][:ORDERS_SHOWN], _difference))
        if (more := len(would["orders"]) - ORDERS_SHOWN) > 0:
            say(f"And {more:,} rows more; --json shows all.")
    made = [f"{count:,} {WORDS[kind]}" for kind, count in would["confirmations"].items()]
    made += [f"{would['grown']:,} not yet made that become others"] if would["grown"] else []
    made += [f"{would['events']:,} events passed on"] if would["events"] > 0 else []
    say(f"Confirmations: {', '.join(made) or 'none'}.")
    if done:
        say(f"Replay {done.id}, entry {done.entry.number} of the audit trail ({done.entry.hash[:16]}).")
        say("The running flow takes them in: watch plantsync doctor; what fails again: plantsync dead-letters list.")
    else:
        say('Nothing has been changed. Do it with --apply --reason "...".')


def _left_out(left_out: dict[str, Any]) -> list[str]:
    """Return what was not taken, a sentence each."""
    lines = []
    if count := left_out["replayed_before"]:
        lines.append(f"{count:,} left out: replayed before (--again takes them too).")
    if faulty := left_out["still_faulty"]:
        codes = ", ".join(f"{count:,} {code}" for code, count in faulty.items())
        lines.append(f"{sum(faulty.values()):,} left out, since they would fail again: {codes}.")
    if count := left_out["bytes_gone"]:
        lines.append(f"{count:,} left out: their bytes were not kept and are not in the input any more.")
    for name, count in left_out["unknown_shards"].items():
        lines.append(f"{count:,} left out: the settings name no shard {name or 'of that flow'}.")
    if count := left_out["unreadable"]:
        lines.append(f"{count:,} records of the stream are no dead letters of plantsync.")
    if left_out["more"]:
        lines.append("There are more than --limit, or more than 64 MiB: run it again afterwards.")
    return lines


def _difference(order: Mapping[str, Any], name: str, by: int) -> str:
    return f"{order[name]:+,}" if by == 1 else f"{order[name] / by:+,g}"
