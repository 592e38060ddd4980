"""``plantsync exceptions``: what waits for a person, and what she decides."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflows.cli.actor import Actor, Reason, stated
from dataflows.cli.exit_codes import ERROR
from dataflows.cli.options import CONFIG, Config, Json

if TYPE_CHECKING:
    from canonical.contracts import ActionKind, BusinessException
    from dataflows.settings import Settings

box = typer.Typer(
    name="exceptions",
    help="Look at what waits for a person, and decide: release, reprocess, discard, reverse.",
    no_args_is_help=True,
)


class OwnerName(StrEnum):
    """Who can settle an exception."""

    PLANT_SUPERVISOR = "plant-supervisor"
    INTEGRATION_SUPPORT = "integration-support"


Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID...", help="As the list shows them; the beginning is enough.")
]
Code = Annotated[str, typer.Option(help="Only this code.")]
Plant = Annotated[str, typer.Option(help="Only this plant.")]
Order = Annotated[str, typer.Option(help="Only this order.")]
Erp = Annotated[str, typer.Option(help="Only this ERP.")]
Apply = Annotated[bool, typer.Option("--apply", help="Do it; without this only show what would happen.")]


@box.command("list")
def list_exceptions(
    code: Code = "",
    plant: Plant = "",
    order: Order = "",
    erp: Erp = "",
    owner: Annotated[OwnerName | None, typer.Option(help="Only what these can settle.")] = None,
    ended: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """List the exceptions that are open, worst last, and how many there are of each code.

    Example: plantsync exceptions list --owner plant-supervisor --plant B
    """
    from collections import Counter

    from dataflows.cli.output import print_json
    from dataflows.exception_box import Filter, exceptions
    from dataflows.settings import load

    wanted = Filter(_code(code), plant, order, erp, owner.value if owner else "", ended)
    found = [each for each in exceptions(load(config)).values() if wanted.lets(each)]
    worst = sorted(found[-limit:], key=lambda each: (-_RANK[each.severity.value], each.changed_us))
    codes = Counter(each.code.value for each in found)
    if as_json:
        print_json({"codes": dict(codes.most_common()), "exceptions": [_told(each) for each in worst]})
    else:
        _print_list(worst, codes)


@box.command("show")
def show_exception(
    name: Annotated[str, typer.Argument(metavar="ID", help="As the list shows it; the beginning is enough.")],
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """Show one exception: what happened, to what, who can settle it, and what each decision would do.

    Example: plantsync exceptions show 3f2a
    """
    from canonical.contracts import ActionKind
    from dataflows.cli.output import print_json, results
    from dataflows.exception_box import effect, exceptions, named, posting_of
    from dataflows.settings import load

    settings = load(config)
    (about,) = named(exceptions(settings), [name])
    kinds = (ActionKind.RELEASE, ActionKind.REPROCESS, ActionKind.DISCARD)
    would = {kind.value: effect(about, kind).words for kind in kinds}
    posting = posting_of(settings, about)
    if as_json:
        content = posting.model_dump(mode="json") if posting is not None else None
        print_json({**_told(about), "would": would, "posting": content})
        return
    rows = {key: value for key, value in _told(about).items() if value not in ("", None)}
    if posting is not None:
        rows |= {key: value / 1000 for key in ("good", "scrap", "rework") if (value := getattr(posting, key))}
    rows |= {f"would {kind}": words for kind, words in would.items()}
    width = max(map(len, rows))
    for key, value in rows.items():
        results().print(f"{key:<{width}}  {value}", markup=False, highlight=False)


def _deciding(kind: str, does: str) -> Callable[..., None]:
    """Return the command for one kind of decision."""

    def decide(
        ids: Ids = None,
        code: Code = "",
        plant: Plant = "",
        order: Order = "",
        erp: Erp = "",
        apply: Apply = False,
        reason: Reason = "",
        actor: Actor = "",
        as_json: Json = False,
        config: Config = CONFIG,
    ) -> None:
        from canonical.contracts import ActionKind
        from dataflows.exception_box import Filter, exceptions, named
        from dataflows.settings import load

        who = stated(actor, reason, apply=apply)
        wanted = Filter(_code(code), plant, order, erp)
        if not ids and wanted == Filter():
            raise typer.BadParameter("name exceptions, or choose them by --code, --plant, --order or --erp")
        settings = load(config)
        known = exceptions(settings)
        about = named(known, ids) if ids else [each for each in known.values() if wanted.lets(each)]
        _decide(settings, ActionKind(kind), about, who, apply=apply, as_json=as_json)

    decide.__doc__ = f"""{does}

    Without --apply it shows what would happen and changes nothing. Exit code 1: nothing is chosen, or nothing of
    it can be decided so.

    Example: plantsync exceptions {kind} 3f2a --apply --reason "settled with the plant"
    """
    return decide


for _kind, _does in (
    ("release", "Let through what waits, in spite of the exception."),
    ("reprocess", "Try again what waits, after its cause has been settled."),
    ("discard", "Decide that it is not to be posted; the quantity stays unposted."),
):
    box.command(_kind)(_deciding(_kind, _does))


@box.command("reverse")
def reverse(
    posting: Annotated[str, typer.Argument(metavar="POSTING", help="Id of the posting, as explain shows it.")],
    apply: Apply = False,
    reason: Reason = "",
    actor: Actor = "",
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """Take back the document of a posting by a reversal that is linked to it; one that was not sent is withdrawn.

    Example: plantsync exceptions reverse 5b0c... --apply --reason "counted twice"
    """
    from canonical.contracts import ActionKind
    from dataflows.cli.output import print_json, results
    from dataflows.exception_box import is_id
    from dataflows.settings import load

    who = stated(actor, reason, apply=apply)
    if not is_id(posting):
        raise typer.BadParameter(f"{posting!r} is no id of a posting", param_hint="POSTING")
    settings = load(config)
    if apply:
        _write(settings, ActionKind.REVERSE, [posting.lower()], who)
    words = "its document is taken back, or, where it has none yet, it is withdrawn"
    if as_json:
        print_json({"applied": apply, "posting_id": posting, "would": words})
    else:
        results().print(f"{posting}: {words}.", markup=False, highlight=False)
        results().print(_ending(int(apply), apply), markup=False, highlight=False)


def _decide(
    settings: Settings,
    kind: ActionKind,
    about: list[BusinessException],
    who: tuple[str, str],
    *,
    apply: bool,
    as_json: bool,
) -> None:
    from dataflows.cli.output import print_json, results
    from dataflows.exception_box import effect

    effects = [(each, effect(each, kind)) for each in about]
    can = [each for each, its in effects if its.possible]
    if apply and can:
        _write(settings, kind, [str(each.exception_id) for each in can], who)
    if as_json:
        rows = [
            {"exception_id": str(e.exception_id), "code": e.code.value, "possible": i.possible, "would": i.words}
            for e, i in effects
        ]
        print_json({"applied": len(can) if apply else 0, "exceptions": rows})
    else:
        for each, its in effects:
            where = " ".join(filter(None, (each.plant, each.order, each.operation, each.lot))) or each.erp
            text = f"{each.exception_id}  {each.code.value}  {where}: {its.words}."
            results().print(text, markup=False, highlight=False)
        results().print(_ending(len(can), apply), markup=False, highlight=False)
    if not can:
        raise typer.Exit(ERROR)


def _write(settings: Settings, kind: ActionKind, subjects: list[str], who: tuple[str, str]) -> None:
    """Write decisions into the log, each with its entry in the audit trail; ``who`` is the actor, and her reason."""
    from dataflows.exception_box import settle
    from dataflows.sources.clock import SystemClock

    settle(settings, kind, subjects, who, SystemClock())


def _ending(count: int, done: bool) -> str:
    if not count and done:
        return "Nothing has been decided."
    if done:
        return f"{count} decided, each with its entry in the audit trail; the running flows take it in."
    return 'Nothing has been changed. Do it with --apply --reason "...".'


def _code(name: str) -> Any:
    from canonical.contracts import ExceptionCode

    if name and name not in ExceptionCode.__members__:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(ExceptionCode)}", param_hint="--code")
    return ExceptionCode(name) if name else None


_RANK = {"delay": 2, "financial-distortion": 1, "line-stop": 0}


def _told(each: BusinessException) -> dict[str, Any]:
    from datetime import UTC, datetime

    told = each.model_dump(mode="json")
    for name in ("opened_us", "changed_us", "resolved_us"):
        us = told.pop(name)
        told[name.removesuffix("_us")] = us and datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="seconds")
    if each.resolved_us is not None:
        told["resolved_after_s"] = round((each.resolved_us - each.opened_us) / 1e6, 3)
    return told


def _print_list(found: list[BusinessException], codes: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from dataflows.cli.output import results

    console = results()
    if not found:
        console.print("There are none.", highlight=False)
        return
    table = Table(header_style="bold")
    table.add_column("id", no_wrap=True)
    for name in ("code", "owner", "severity", "plant", "order", "lot", "erp"):
        table.add_column(name, overflow="fold")
    table.add_column("waiting", justify="right")
    table.add_column("what", overflow="fold")
    for each in found:
        state = "" if each.resolution.value == "open" else f"({each.resolution.value}) "
        cells = (str(each.exception_id)[:8], each.code.value, each.owner.value, each.severity.value, each.plant)
        rest = (each.order, each.lot, each.erp, f"{each.waiting:,}", state + each.message)
        table.add_row(*map(Text, (*cells, *rest)))
    console.print(table)
    counts = ", ".join(f"{count:,} {code}" for code, count in codes.most_common())
    console.print(f"{sum(codes.values()):,} in all: {counts}", highlight=False)
