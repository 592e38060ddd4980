"""``plantsync simulate``: believable plant traffic with the truth about it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataflows.cli.options import CONFIG, Config, Json

if TYPE_CHECKING:
    from canonical.mapping import PlantMapping
    from dataflows.simulator import SimulationConfig, Writer
    from dataflows.simulator.drop import Drop

TRUTH = "truth.json"


class Preset(StrEnum):
    """How much is simulated."""

    DEMO = "demo"
    SMALL = "small"


class Plant(StrEnum):
    """The plants that can be simulated."""

    A = "A"
    B = "B"
    C = "C"
    M = "M"
    P = "P"


def simulate(
    out: Annotated[Path | None, typer.Option(help="Landing folder; each plant's folder in it must be empty.")] = None,
    kafka: Annotated[bool, typer.Option("--kafka", help="Write to the plants' topics instead.")] = False,
    config: Config = CONFIG,
    preset: Annotated[Preset, typer.Option(help="demo: 250,000 records. small: 5,000, everything in them.")] = (
        Preset.DEMO
    ),
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="The same seed and start give the same bytes; with --prove: run only this schedule.",
            show_default="1",
        ),
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d"], help="First instant, UTC; by default such that it ends now."
        ),
    ] = None,
    plant: Annotated[list[Plant] | None, typer.Option(help="Only this plant; may be repeated.")] = None,
    records: Annotated[int | None, typer.Option(min=1_000, help="Records in all, about.")] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Where the truth goes; by default truth.json in the landing folder.")
    ] = None,
    proving: Annotated[
        bool, typer.Option("--prove", help="Crash the flow in simulation and hold it to the laws; writes nothing.")
    ] = False,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="With --prove: so many schedules, from seed 0.", show_default="1000")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="With --prove: so many processes.", show_default="one a core")
    ] = None,
    as_json: Json = False,
) -> None:
    """Simulate the shipped plants: duplicates, disorder, gaps, restarts, late bursts, malformed records.

    What should be confirmed is written beside, as truth.json. With --prove no plant is simulated for
    others: the flow itself runs under simulated crashes, over the policies of your plants.

    Example: plantsync simulate --out landing --preset small --seed 7
    """
    if proving:
        if out is not None or kafka:
            raise typer.BadParameter("a proof writes nothing", param_hint="--prove, --out, --kafka")
        from dataflows.cli.prove import prove

        prove(config, seeds, seed, jobs, as_json=as_json)
        return
    if seeds is not None or jobs is not None:
        raise typer.BadParameter("only with --prove", param_hint="--seeds, --jobs")
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from dataflows import simulator
    from dataflows.cli.output import errors, print_json, results
    from dataflows.settings import load
    from dataflows.simulator import FolderWriter, KafkaWriter

    if (out is None) != kafka:
        raise typer.BadParameter("name either a folder or --kafka", param_hint="--out, --kafka")
    configuration = _configuration(preset, 1 if seed is None else seed, start, plant, records)
    writer: Writer
    if out is not None:
        writer = FolderWriter(out)
        truth = truth or out / TRUTH
    else:
        section = load(config).kafka
        if section is None:
            raise typer.BadParameter(f"{config} has no section kafka", param_hint="--kafka")
        writer = KafkaWriter(section.connection().client({}))
        truth = truth or Path(TRUTH)
    columns = (TextColumn("plant {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = errors()
    with Progress(*columns, console=console, transient=True, disable=as_json or not console.is_terminal) as progress:
        counted = _Counted(writer, progress, configuration.records)
        made = simulator.simulate(configuration, counted)
    truth.parent.mkdir(parents=True, exist_ok=True)
    made.save(truth)
    summary: dict[str, Any] = {
        "records": sum(p.records for p in made.plants.values()),
        "plants": {name: p.records for name, p in made.plants.items()},
        "events": sum(p.accounted + p.operational + p.analytics_only for p in made.plants.values()),
        "duplicates": sum(p.duplicates for p in made.plants.values()),
        "faults": sum(sum(p.faults.values()) for p in made.plants.values()),
        "missing": sum(p.missing for p in made.plants.values()),
        "truth": str(truth),
    }
    if as_json:
        print_json(summary)
        return
    plants = ", ".join(f"{name} {count:,}" for name, count in summary["plants"].items())
    results().print(
        f"{summary['records']:,} records of plants {plants}: {summary['events']:,} events, "
        f"{summary['duplicates']:,} duplicates, {summary['faults']:,} faulty, {summary['missing']:,} never sent.\n"
        f"The truth about them is in {truth}.",
        highlight=False,
    )


def _configuration(
    preset: Preset, seed: int, start: datetime | None, plants: list[Plant] | None, records: int | None
) -> SimulationConfig:
    from datetime import UTC, timedelta

    from dataflows.simulator import SimulationConfig

    make = SimulationConfig.small if preset is Preset.SMALL else SimulationConfig.demo
    hours = make(datetime.now(UTC)).hours
    first = start.replace(tzinfo=UTC) if start else datetime.now(UTC) - timedelta(hours=hours)
    configuration = make(first.replace(minute=first.minute if start else 0, second=0, microsecond=0), seed)
    changes: dict[str, object] = {}
    if plants:
        changes["plants"] = tuple(dict.fromkeys(plant.value for plant in plants))
    if records:
        changes["records"] = records
    return SimulationConfig.model_validate({**configuration.model_dump(), **changes})


class _Counted:
    """A writer that moves a progress bar per plant."""

    def __init__(self, writer: Writer, progress: Any, records: int) -> None:
        self._writer, self._progress, self._records = writer, progress, records
        self._tasks: dict[str, Any] = {}

    def write(self, mapping: PlantMapping, drop: Drop) -> None:
        if drop.plant not in self._tasks:
            self._tasks[drop.plant] = self._progress.add_task(drop.plant, total=None)
        self._writer.write(mapping, drop)
        self._progress.advance(self._tasks[drop.plant], len(drop.records))

    def flush(self) -> None:
        self._writer.flush()
