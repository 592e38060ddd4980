"""The commands of ``plantsync``, and what its exit codes mean.

A command's module imports what it needs when the command runs, so that help and completion are quick.
"""

from __future__ import annotations

import sys
from typing import Final

import typer

from dataflows.cli import (
    audit,
    canary,
    dead_letters,
    demo,
    doctor,
    erp_sim,
    exceptions,
    explain,
    lint,
    mapping,
    plant,
    query,
    replay,
    run,
    simulate,
    slo,
    tower,
    trace,
)
from dataflows.cli.exit_codes import exit_code, operating_error
from dataflows.cli.output import errors

EPILOG: Final = """
Exit codes: 0 fine; 1 an error, which the message explains; 2 the command cannot be understood;
3 another process has taken over these shards, do not start this one again; 75 something is not
available now, try again. Settings: --config FILE, else PLANTSYNC_CONFIG, else plantsync.toml.
"""

app = typer.Typer(
    name="plantsync",
    help="What the plants made reaches the ERP once, in order, complete, and provably so.",
    epilog=" ".join(EPILOG.split()),
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # It would show values of variables, secrets among them.
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _commands() -> None:
    """Say that there are several commands, even where one is registered."""


app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("simulate")(simulate.simulate)
app.command("erp-sim")(erp_sim.erp_sim)
app.command("lint")(lint.lint)
app.add_typer(plant.plant)
app.command("canary")(canary.canary)
app.add_typer(mapping.mapping)
app.add_typer(dead_letters.letters)
app.command("replay")(replay.replay)
app.add_typer(exceptions.box)
app.command("explain")(explain.explain)
app.command("trace")(trace.trace)
app.command("slo")(slo.slo)
app.command("query")(query.query)
app.add_typer(tower.tower)
app.command("doctor")(doctor.doctor)
app.command("audit")(audit.audit)


def main() -> None:
    """Run one command; an operating error becomes a message and an exit code."""
    try:
        app()
    except Exception as error:
        known = operating_error(error)
        if known is None:
            raise
        errors().print(f"plantsync: {known}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(exit_code(known))
