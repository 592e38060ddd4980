"""Simulated ERPs under a hurried clock, as a process of their own that speaks real HTTP."""

from __future__ import annotations

import json
from pathlib import Path

from dataflows.erp_simulator.clock import Clock
from dataflows.erp_simulator.faults import FaultProfile
from dataflows.erp_simulator.ledger import Ledger
from dataflows.erp_simulator.master_data import load
from dataflows.erp_simulator.server import serve
from dataflows.erp_simulator.throttle import Limit
from dataflows.erp_simulator.world import Options, World
from tests.erp_day.hurried import HurriedClock


def main(folder: str, port: str, limit: str, kinds: str, *clock: str) -> None:
    """Serve until SIGTERM.

    Args:
        limit: requests a second and at once, by the hurried clock.
        kinds: of each ERP ``kind:name``, with commas between them.
    """
    place, hurried = Path(folder), HurriedClock.of(*clock)
    rate, burst = limit.split("/")
    options = Options(
        user="plantsync",
        key="simulated",
        limit=Limit(float(rate), int(burst)),
        nonce=hurried.start_us,
    )
    ledger = Ledger(place / "ledger.sqlite")
    world = World(
        [(kind, name) for kind, _, name in (erp.partition(":") for erp in kinds.split(","))],
        load(place / "master.json"),
        Clock(hurried),
        ledger,
        options,
    )
    for name, profile in json.loads((place / "faults.json").read_bytes()).items():
        world.instances[name].schedule.profile = FaultProfile.model_validate(profile)
    try:
        serve(world, "127.0.0.1", int(port), lambda url: print(url, flush=True))
    finally:
        ledger.close()
