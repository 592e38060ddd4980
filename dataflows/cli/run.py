"""``plantsync run``: run a flow until it is told to stop, or until its input ends."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from dataflows.cli.options import CONFIG, Config, Json

if TYPE_CHECKING:
    import threading

    from rich.console import Console


class Flow(StrEnum):
    """The flows there are."""

    COLLECT = "collect"
    CONFIRMATIONS = "confirmations"
    POSTINGS = "postings"
    DELIVERY = "delivery"
    ANALYTICS = "analytics"


_SINGLE = {Flow.ANALYTICS: "one store", Flow.POSTINGS: "one shard"}


def run(
    flow: Annotated[Flow, typer.Argument(help="Which flow.")],
    config: Config = CONFIG,
    until_end: Annotated[bool, typer.Option("--until-end", help="End when everything there is has been read.")] = False,
    share: Annotated[
        str, typer.Option(metavar="I/N", help="Run every N-th shard from the I-th; start one process for each I.")
    ] = "0/1",
    process: Annotated[
        int | None, typer.Option(min=0, help="Number of this process in a cluster of the engine's.")
    ] = None,
    addresses: Annotated[
        str | None, typer.Option(metavar="HOST:PORT,...", help="Where the processes of that cluster listen.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what is wrong.")] = False,
    as_json: Json = False,
) -> None:
    """Run a flow: collect what plants say, confirmations of it, postings, delivery to the ERPs, analytics for queries.

    SIGTERM and Ctrl-C end it after a last commit; a restart goes on from there.

    Example: plantsync run confirmations -c plantsync.toml
    """
    import random
    import threading

    from dataflows.cli.output import errors, print_json, results
    from dataflows.cli.status import Status, shown
    from dataflows.progress import Progress
    from dataflows.runtime import Cluster, run_flow
    from dataflows.settings import load
    from dataflows.shards import Share

    try:
        part = Share.parse(share)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--share") from error
    if (process is None) != (addresses is None):
        raise typer.BadParameter("one needs the other", param_hint="--process and --addresses")
    cluster = None
    if process is not None and addresses is not None:
        cluster = Cluster(process, tuple(addresses.split(",")))
        if process >= len(cluster.addresses):
            raise typer.BadParameter(f"there are {len(cluster.addresses)} addresses, from 0", param_hint="--process")
    if flow in _SINGLE and (part.count > 1 or cluster):
        raise typer.BadParameter(
            f"{flow} has {_SINGLE[flow]} and so one process", param_hint="--share, --process" if cluster else "--share"
        )
    if flow in {Flow.COLLECT, Flow.DELIVERY} and cluster:
        raise typer.BadParameter(f"{flow} is divided by --share alone", param_hint="--process")
    settings = load(config)
    console = errors()
    _log_to(console, quiet=quiet or as_json)
    stop = threading.Event()
    _stop_on_signals(stop)
    progress = Progress()
    status = Status(flow.value, progress)
    with shown(status, console, quiet=quiet or as_json):
        run_flow(
            settings,
            flow.value,
            stop=stop,
            until_end=until_end,
            share=part,
            cluster=cluster,
            progress=progress,
            chance=random.random,
        )
    if as_json:
        print_json(status.summary())
    elif not quiet:
        results().print(status.line(), highlight=False)


def _log_to(console: Console, *, quiet: bool) -> None:
    import logging

    from rich.logging import RichHandler

    handler: logging.Handler
    if console.is_terminal:
        handler = RichHandler(console=console, show_path=False)
        form = "%(message)s"
    else:
        handler = logging.StreamHandler()
        form = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=logging.WARNING if quiet else logging.INFO, format=form, handlers=[handler])


def _stop_on_signals(stop: threading.Event) -> None:
    """Let SIGTERM and SIGINT end the flow after a last commit; the second of them ends it at once."""
    import logging
    import signal

    import pyarrow as pa

    def told(number: int, _frame: object) -> None:
        logging.getLogger("plantsync").info("%s: ending after a last commit", signal.Signals(number).name)
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_DFL)
        stop.set()

    # Else pyarrow takes these signals for itself while it reads CSV, and cancels the reading.
    pa.enable_signal_handlers(False)  # noqa: FBT003 - it takes no name
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, told)
