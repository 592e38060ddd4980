"""``plantsync plant``: connect a new plant by a file that is proposed from a sample, and checked on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflows.cli.exit_codes import ERROR
from dataflows.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Collection

    from dataflows.onboarding.report import Report

plant = typer.Typer(name="plant", help="Connect a new plant: propose its mapping from a sample, and check it.")


def _template_names(incomplete: str) -> list[str]:
    from dataflows.onboarding.onboarding import templates

    return [name for name in templates() if name.startswith(incomplete)]


SampleOption = typer.Option("--sample", metavar="FILE", help="Some hundred records as the plant sends them.")
Expect = Annotated[
    list[str] | None, typer.Option(metavar="CODE", help="A fault code of the sample that is explained; repeatable.")
]
ReportFile = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write the report there as Markdown.")
]


@plant.command("new")
def new(
    sample: Annotated[Path | None, SampleOption] = None,
    name: Annotated[str, typer.Option(help="Canonical key of the plant.")] = "",
    zone: Annotated[str, typer.Option(metavar="ZONE", help="Of the plant's clocks, as Europe/Berlin.")] = "",
    template: Annotated[
        str,
        typer.Option(metavar="NAME", help="A shipped plant to start from, as plant_a.", autocompletion=_template_names),
    ] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The mapping file.", show_default="plant_NAME.toml")
    ] = None,
    report: ReportFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Propose a mapping from a sample, or start from a template; try it on the sample and write a report.

    Every value says why it was chosen; what only a person can know is marked as unsure. Nothing is overwritten.

    Example: plantsync plant new --sample export.csv --name D
    """
    from dataflows.cli.output import print_json, results
    from dataflows.onboarding.onboarding import draft, from_template, templates, write

    if not yes and not as_json:
        sample, name, zone = _asked(sample, name, zone, has_template=bool(template))
    if not name:
        raise typer.BadParameter("name the plant", param_hint="--name")
    if sample is None and not template:
        raise typer.BadParameter("give a sample or a template", param_hint="--sample, --template")
    if template and template not in templates():
        raise typer.BadParameter(f"{template!r} is none of {', '.join(templates())}", param_hint="--template")
    if zone:
        _check_zone(zone)
    unsure = 0
    if template:
        text = from_template(template, name)
    else:
        assert sample is not None, "without a template there is a sample"
        proposal = draft(sample, name, zone)
        text, unsure = proposal.text, proposal.unsure
    path = out or Path(f"plant_{name.lower()}.toml")
    write(path, text)
    problems, found = _examined(path, sample, ())
    page = _write_report(found, report or (path.with_suffix(".report.md") if found else None), path, sample)
    if as_json:
        document = {"file": str(path), "unsure": unsure, "problems": problems, "report": found and found.told()}
        print_json(document)
        return
    console = results()
    console.print(f"{path} is written; {unsure} of its values are unsure", highlight=False, soft_wrap=True)
    _print(problems, found)
    if page:
        console.print(f"The report is in {page}", highlight=False, soft_wrap=True)
    if sample is not None:
        console.print(f"Edit it, then: plantsync plant check {path} --sample {sample}", highlight=False, soft_wrap=True)


@plant.command("check")
def check(
    mapping: Annotated[Path, typer.Argument(metavar="PLANT.toml", help="Mapping file of the plant.")],
    sample: Annotated[Path, SampleOption],
    expect: Expect = None,
    report: ReportFile = None,
    as_json: Json = False,
) -> None:
    """Run the conformance suite: decoding, repetitions, order, shifts, units, bad records, conservation.

    It ends with 1 if a check has failed. A fault of the sample fails it unless its code is expected.

    Example: plantsync plant check plant_d.toml --sample export.csv --expect BAD_TIMESTAMP
    """
    from canonical.contracts.fault import FaultCode
    from dataflows.cli.output import print_json

    expected = expect or []
    unknown = sorted(set(expected) - set(FaultCode))
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: no such fault code", param_hint="--expect")
    problems, found = _examined(mapping, sample, expected)
    _write_report(found, report, mapping, sample)
    if as_json:
        print_json({"problems": problems, "report": found and found.told()})
    else:
        _print(problems, found)
    if found is None or not found.has_passed:
        raise typer.Exit(ERROR)


def _asked(sample: Path | None, name: str, zone: str, *, has_template: bool) -> tuple[Path | None, str, str]:
    """Ask for what is missing, on a terminal."""
    import sys

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return sample, name, zone
    if sample is None and not has_template:
        sample = Path(typer.prompt("A file with some hundred records of the plant"))
    if not name:
        name = typer.prompt("Canonical key of the plant, as D")
    if not zone and not has_template:
        zone = typer.prompt(
            "Time zone of its clocks, as Europe/Berlin; empty: propose one", default="", show_default=False
        )
    return sample, name, zone


def _check_zone(zone: str) -> None:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        message = f"unknown time zone {zone!r}; a name of the IANA database, as Europe/Berlin"
        raise typer.BadParameter(message, param_hint="--zone") from error


def _examined(path: Path, sample: Path | None, expected: Collection[str]) -> tuple[list[dict[str, Any]], Report | None]:
    """Return the problems of a mapping file, and where there are none what the suite says of it."""
    import dataclasses

    from canonical.mapping import load, problems
    from dataflows.onboarding.onboarding import examine
    from dataflows.sources.clock import SystemClock

    try:
        found = problems(path)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="PLANT.toml") from error
    if found or sample is None:
        return [dataclasses.asdict(problem) | {"told": str(problem)} for problem in found], None
    return [], examine(load(path), sample, SystemClock()(), expected)


def _write_report(found: Report | None, page: Path | None, mapping: Path, sample: Path | None) -> Path | None:
    if found is None or page is None or sample is None:
        return None
    page.write_text(found.markdown(mapping.name, sample.name), "utf-8")
    return page


def _print(problems: list[dict[str, Any]], found: Report | None) -> None:
    from dataflows.cli.output import results

    console = results()
    for problem in problems:
        console.print(problem["told"], style="red", markup=False, highlight=False, soft_wrap=True)
    if found is None:
        return
    styles = {"failed": "red", "noted": "yellow", "passed": "green"}
    for check_ in found.checks:
        line = f"{check_.status.value:<7}{check_.name}: {check_.told}"
        console.print(line, style=styles[check_.status.value], markup=False, highlight=False, soft_wrap=True)
        if check_.status.value == "failed":
            for detail in check_.details:
                console.print(f"         {detail}", markup=False, highlight=False, soft_wrap=True)
    for kind in found.faults:
        for each in kind.examples:
            line = f"{kind.code} ({kind.count:,}): {each.detail}"
            console.print(line, style="" if kind.is_expected else "red", markup=False, highlight=False, soft_wrap=True)
