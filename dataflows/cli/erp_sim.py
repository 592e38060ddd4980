"""``plantsync erp-sim``: ERPs that are simulated, over real HTTP."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dataflows.cli.options import Json

if TYPE_CHECKING:
    from dataflows.erp_simulator import MasterData


class ErpKind(StrEnum):
    """The protocols that are spoken."""

    SAP = "sap"
    ORACLE = "oracle"
    D365 = "d365"
    DROP = "drop"


def erp_sim(
    erp: Annotated[list[str], typer.Option(help="KIND or KIND:NAME, may be repeated. KIND: sap, oracle, d365, drop.")],
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any free one.")] = 8085,
    host: Annotated[str, typer.Option(help="Address to listen at; by default this machine only.")] = "127.0.0.1",
    data: Annotated[
        list[str] | None,
        typer.Option(help="Master data, JSON: FILE for all, NAME=FILE for one; by default made from the seed."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the master data and of the faults.")] = 1,
    faults: Annotated[str, typer.Option(help="Fault profile: none, mild, hostile, or a JSON file.")] = "none",
    ledger: Annotated[Path | None, typer.Option(help="File of all documents; by default memory only.")] = None,
    drop: Annotated[Path | None, typer.Option(help="Folder of ERPs of kind drop, one below it for each.")] = None,
    rate: Annotated[float, typer.Option(min=0, help="Requests a second and ERP; 0: no limit.")] = 0.0,
    burst: Annotated[int, typer.Option(min=1, help="Requests at once, above the rate.")] = 20,
    simulated: Annotated[bool, typer.Option("--simulated", help="The control endpoint sets the clock.")] = False,
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d"], help="First instant of a simulated clock, UTC."),
    ] = None,
    user: Annotated[str, typer.Option(help="User, and client id.")] = "plantsync",
    key_file: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="File with the password or client secret; by default 'simulated'."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run simulated ERPs until SIGTERM: they validate, remember, throttle, lock and fail as ERPs do.

    Each ERP is at http://HOST:PORT/NAME; http://HOST:PORT/_control reads its ledger and orders faults.

    Example: plantsync erp-sim --erp sap --ledger erp.sqlite --faults mild
    """
    import time
    from datetime import UTC

    from dataflows.cli.output import errors
    from dataflows.erp_simulator.access import DEFAULT_KEY
    from dataflows.erp_simulator.clock import Clock
    from dataflows.erp_simulator.faults import profile
    from dataflows.erp_simulator.ledger import Ledger
    from dataflows.erp_simulator.seeded_data import made
    from dataflows.erp_simulator.server import serve
    from dataflows.erp_simulator.throttle import Limit
    from dataflows.erp_simulator.world import Options, World

    names = _names(erp)
    if (drop is None) == any(kind == ErpKind.DROP for kind, _ in names):
        raise typer.BadParameter("an ERP of kind drop needs --drop, and no other does", param_hint="--drop")
    if start is not None and not simulated:
        raise typer.BadParameter("only with --simulated", param_hint="--start")

    def wall_us() -> int:
        return time.time_ns() // 1000

    first_us = int(start.replace(tzinfo=UTC).timestamp() * 1e6) if start else wall_us()
    options = Options(
        user=user,
        key=key_file.read_text().strip() if key_file else DEFAULT_KEY,
        seed=seed,
        faults=profile(faults),
        limit=Limit(rate, burst),
        nonce=wall_us(),
        drop_folder=drop,
    )
    book = Ledger(ledger)
    world = World(
        names,
        _data(data or [], names, made(seed, first_us)),
        Clock(wall_us, first_us if simulated else None),
        book,
        options,
    )
    if not host.startswith("127.") and host != "::1":
        errors().print(f"plantsync: others can reach {host}; credentials travel in clear text", style="yellow")
    try:
        serve(world, host, port, lambda url: _ready(url, names, as_json=as_json))
    finally:
        book.close()


def _names(erps: list[str]) -> list[tuple[str, str]]:
    names: list[tuple[str, str]] = []
    for text in erps:
        kind, _, name = text.partition(":")
        if kind not in set(ErpKind):
            raise typer.BadParameter(f"{kind!r} is none of {', '.join(ErpKind)}", param_hint="--erp")
        name = name or kind
        if not name.replace("-", "").isalnum() or name in {n for _, n in names}:
            raise typer.BadParameter(f"{name!r} is no name, or there twice", param_hint="--erp")
        names.append((kind, name))
    return names


def _data(given: list[str], names: list[tuple[str, str]], made: MasterData) -> dict[str, MasterData]:
    """Return the master data of each ERP: its own file, else the file for all, else what was made."""
    from dataflows.erp_simulator import load

    known = {name for _, name in names}
    own = {name: file for name, _, file in (text.partition("=") for text in given) if file and name in known}
    rest = [text for text in given if text.partition("=")[0] not in own]
    if len(rest) > 1:
        raise typer.BadParameter("one file for all, or NAME=FILE for each ERP", param_hint="--data")
    common = load(Path(rest[0])) if rest else made
    return {name: load(Path(own[name])) if name in own else common for name in known}


def _ready(url: str, names: list[tuple[str, str]], *, as_json: bool) -> None:
    """Say where the ERPs are: one line, at once."""
    import json
    import sys

    erps = {name: {"kind": kind, "url": f"{url}/{name}"} for kind, name in names}
    if as_json:
        line = json.dumps({"ready": True, "control": f"{url}/_control", "erps": erps})
    else:
        line = "\n".join([*(f"{name}: {e['kind']} at {e['url']}" for name, e in erps.items()), f"ready: {url}"])
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
