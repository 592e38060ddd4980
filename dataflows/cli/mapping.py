"""``plantsync mapping``: the versions of a plant's mapping, and the way back to one."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dataflows.cli.actor import Actor, Reason, stated
from dataflows.cli.options import CONFIG, Config, Json

mapping = typer.Typer(
    name="mapping",
    help="Versions of a plant's mapping: which were in force, what they said, and the way back to one.",
    no_args_is_help=True,
)

Plant = Annotated[str, typer.Argument(metavar="PLANT", help="Canonical key of the plant.")]
Digest = Annotated[
    str, typer.Argument(metavar="DIGEST", help="The beginning of the version's digest, 8 digits or more.")
]


@mapping.command("history")
def history(plant: Plant, as_json: Json = False, config: Config = CONFIG) -> None:
    """List the versions under which the plant's records were worked on, oldest first.

    Example: plantsync mapping history A
    """
    from rich.table import Table

    from dataflows.cli.output import print_json, results
    from dataflows.mapping_versions import history as versions_of
    from dataflows.settings import load

    settings = load(config, pinned=False)
    versions = versions_of(settings, plant)
    named = {each.name: each.digest for _, each in settings.files()}.get(plant, "")
    if as_json:
        rows = [
            {"digest": each.digest, "since_us": each.since_us, "plantsync": each.release, "shards": each.shards,
             "kept": each.text is not None, "in_file": each.digest == named}
            for each in versions
        ]  # fmt: skip
        print_json({"plant": plant, "in_file": named, "versions": rows})
        return
    console = results()
    table = Table(header_style="bold")
    for name in ("version", "first used (UTC)", "plantsync", "shards under it", "text", ""):
        table.add_column(name, overflow="fold")
    for each in versions:
        table.add_row(
            each.digest[:16],
            _instant(each.since_us),
            each.release,
            ", ".join(each.shards),
            "kept" if each.text is not None else "not kept",
            "in the file" if each.digest == named else "",
        )
    console.print(table)
    if named not in {each.digest for each in versions}:
        console.print(f"The file says version {named[:16]}, which no shard has worked under.", highlight=False)


@mapping.command("show")
def show(
    plant: Plant,
    digest: Digest,
    file: Annotated[str, typer.Option(metavar="NAME", help="A file that it names, as a schema of Avro.")] = "",
    config: Config = CONFIG,
) -> None:
    """Print a version of the plant's mapping as its file was.

    Example: plantsync mapping show A 90b1c2d3e4f5a6b7
    """
    from dataflows.mapping_versions import VersionRefused, version_of
    from dataflows.settings import load

    version = version_of(load(config, pinned=False), plant, digest)
    text = version.files.get(file) if file else version.text
    if text is None:
        kept = ", ".join(version.files) or "no other file"
        raise VersionRefused(f"of version {version.digest[:16]} that was not kept; there is {kept}")
    sys.stdout.write(text)


@mapping.command("rollback")
def rollback(
    plant: Plant,
    digest: Digest,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this only say what would be done.")] = False,
    reason: Reason = "",
    actor: Actor = "",
    config: Config = CONFIG,
) -> None:
    """Replace the plant's mapping file by an earlier version of it.

    The flows work under it when they are started again. What was made under the version that is left stays as it is.

    Example: plantsync mapping rollback A 90b1c2d3e4f5a6b7 --apply --reason "wrong unit since Monday"
    """
    from dataflows.cli.output import results
    from dataflows.mapping_versions import Rollback, version_of
    from dataflows.mapping_versions import history as versions_of
    from dataflows.settings import load
    from dataflows.sources.clock import SystemClock
    from dataflows.trail.operator_trail import operator_trail

    acting = stated(actor, reason, apply=apply)
    settings = load(config, pinned=False)
    version = version_of(settings, plant, digest)
    plan = Rollback.planned(settings, plant, version)
    console = results()

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    if plan.now.digest == version.digest:
        say(f"{plan.path} is version {version.digest[:16]} already.")
        return
    left = next(
        (each for each in versions_of(settings, plant) if each.digest == plan.now.digest and each.since_us), None
    )
    if apply:
        with operator_trail(settings) as trail:
            head = plan.apply(trail, *acting, SystemClock()())
        say(f"{plan.path} is version {version.digest[:16]} again; entry {head.number} of the audit trail.")
        say("Start the flow confirmations again: it works under the file it finds when it starts.")
    else:
        say(f"{plan.path} would change from version {plan.now.digest[:16]} to {version.digest[:16]}.")
    if left is not None:
        say(
            f"What was made under {plan.now.digest[:16]} since {_instant(left.since_us)} UTC stays: confirmations are "
            "not taken back. Reverse wrong postings, and replay what became dead letters."
        )
    say(f'To hold the plant to it: [pins] {plant} = "{version.digest[:16]}" in the settings.')
    if not apply:
        say('Nothing has been changed. Do it with --apply --reason "...".')


def _instant(us: int | None) -> str:
    from datetime import UTC, datetime

    return "" if us is None else datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
