"""``plantsync demo``: the main job at full length, in a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dataflows.cli.options import Json

REPLAY_S = 10.0
RECORDS = 250_000


def demo(
    folder: Annotated[Path, typer.Option(help="Where to write; emptied first if an earlier demo wrote it.")] = Path(
        "demo"
    ),
    records: Annotated[
        int, typer.Option(min=5_000, max=2_000_000, help="About how many records to simulate.")
    ] = RECORDS,
    as_json: Json = False,
) -> None:
    """Simulate plants and ERPs, run the flows, kill some of them on the way, and check what reached store and ERPs.

    Everything is real but plants and ERPs: files, processes, HTTP, the kills, SQLite and DuckDB. The ERPs throttle,
    lock an order, and give no answer to what they have booked. Exit code 0 means that every record is accounted for,
    that exactly what was made was confirmed, and that it is in the ERPs, once, or waits under an exception.

    Example: plantsync demo --folder demo
    """
    import os
    import signal
    import sys
    from datetime import UTC, datetime

    from dataflows.cli.output import errors, print_json, results
    from dataflows.demo.broker import mosquitto
    from dataflows.demo.demonstration import Demonstration
    from dataflows.demo.folder import DemoFolder
    from dataflows.demo.page import show
    from dataflows.demo.progress import shown
    from dataflows.demo.replay import latest_tuesday
    from dataflows.settings.origin import PREFIX
    from dataflows.simulator import SimulationConfig

    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # so that the flows end, too
    broker = mosquitto(os.environ.get("PATH", os.defpath))
    plants = ("A", "B", "C", "M", "P") if broker else ("A", "B", "C", "M")
    config = SimulationConfig.demo(latest_tuesday(datetime.now(UTC), hours=48)).model_copy(
        update={"plants": plants, "records": records}
    )
    with shown(errors()) as watch:
        report = Demonstration(
            folder=DemoFolder(folder),
            config=config,
            replay_s=REPLAY_S * min(1.0, max(0.3, records / RECORDS)),
            # The demo's settings are all in its own file; others must not reach its flows.
            environment={name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
            mosquitto=broker,
            program=_program(),
            watch=watch,
        ).run()
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        show(report, results())
    if not report.passed:
        raise typer.Exit(1)


def _program() -> str:
    """Return what to type for plantsync here: its name where the shell finds it, else its path."""
    import shutil
    import sys

    called = Path(sys.argv[0])
    found = shutil.which("plantsync")
    if found and Path(found).resolve() == called.resolve():
        return "plantsync"
    return str(called.relative_to(Path.cwd()) if called.is_relative_to(Path.cwd()) else called)
