"""The demo's ERPs: what they know, what goes wrong in them, and the process that plays them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import requests

from canonical.contracts import AnyReference, OrderReference
from canonical.contracts import OrderStatus as Published
from dataflows.demo.folder import DemoFolder
from dataflows.demo.service import Service
from dataflows.erp_simulator.faults import Fault
from dataflows.erp_simulator.master_data import OrderStatus
from dataflows.simulator import SimulationConfig
from dataflows.simulator.booked import Row
from dataflows.simulator.erp_orders import master_data, references
from sinks.commit_log import PlantsyncError

ERP_OF: Final = {"A": "north", "B": "south"}
"""The ERP that each plant with orders posts to, both SAP."""
RATE_PER_S, BURST = 100, 50
"""Requests a second and at once that each ERP takes."""
PROFILE: Final = {"hang_s": 3, "retry_after_s": 1, "lock_s": 2, "movement_fails_after_s": 1}
FAULTS: Final = (
    {"fault": Fault.THROTTLED, "skip": 3},
    {"fault": Fault.TIMEOUT_AFTER, "skip": 6, "path": "POST"},
    {"fault": Fault.ORDER_LOCKED, "skip": 9},
    {"fault": Fault.ERROR_AFTER, "skip": 12, "path": "POST"},
    {"fault": Fault.SESSION_EXPIRED, "skip": 15},
)
"""What goes wrong in each ERP, once each, after so many requests that it may happen to."""
START_S: Final = 30.0
PAGE: Final = 5_000
REQUEST_S: Final = 30.0


class ErpsSilent(PlantsyncError):
    """The simulated ERPs do not begin to answer."""


def prepare(folder: DemoFolder, config: SimulationConfig) -> str:
    """Write what the ERPs know, and what they tell plantsync of it; return the order that they have closed.

    Plant A goes on working at the last of its orders although that is technically complete in its ERP.
    """
    folder.erps.mkdir()
    (folder.erps / "faults.json").write_bytes(orjson.dumps(PROFILE))
    closed = master_data(config, "A").orders[-1].order
    for plant, erp in ERP_OF.items():
        data = master_data(config, plant)
        orders = tuple(
            order.model_copy(update={"status": OrderStatus.TECHNICALLY_COMPLETE}) if order.order == closed else order
            for order in data.orders
        )
        (folder.erps / f"{erp}.json").write_text(data.model_copy(update={"orders": orders}).model_dump_json())
        told = folder.reference / erp
        told.mkdir(parents=True)
        lines = (_told(record, closed).model_dump_json() for record in references(config, erp, plant))
        (told / "all.ndjson").write_text("".join(f"{line}\n" for line in lines))
    return closed


def _told(record: AnyReference, closed: str) -> AnyReference:
    if isinstance(record, OrderReference) and record.order == closed:
        return record.model_copy(update={"status": Published.TECHNICALLY_COMPLETE})
    return record


class Erps(Service):
    """``plantsync erp-sim`` with these ERPs, at a free port; the ledger stays in the folder."""

    def __init__(self, folder: DemoFolder, environment: Mapping[str, str]) -> None:
        arguments: list[str | Path] = ["erp-sim", "--json", "--port", "0"]
        arguments += ["--faults", folder.erps / "faults.json"]
        arguments += ["--ledger", folder.erps / "ledger.sqlite", "--rate", str(RATE_PER_S), "--burst", str(BURST)]
        for erp in ERP_OF.values():
            arguments += ["--erp", f"sap:{erp}", "--data", f"{erp}={folder.erps / erp}.json"]
        self._said = folder.output / "erp-sim.txt"
        super().__init__("erp-sim", arguments, self._said, environment)

    def ready(self) -> Mapping[str, str]:
        """Wait until the ERPs answer and order what shall go wrong; return the URL of each.

        Raises: ServiceDied, ErpsSilent.
        """
        until_s = time.monotonic() + START_S
        while not (line := self._said.read_bytes().partition(b"\n")[0]).startswith(b'{"ready"'):
            self.alive()
            if time.monotonic() > until_s:
                raise ErpsSilent(f"the simulated ERPs do not answer after {START_S:.0f} s; see {self._said}")
            time.sleep(0.05)
        said = orjson.loads(line)
        self._control = said["control"]
        for erp in ERP_OF.values():
            for fault in FAULTS:
                self._asked("POST", f"{erp}/faults", fault)
        return {erp: told["url"] for erp, told in said["erps"].items()}

    def told(self, erp: str, what: str) -> Any:
        """Return what the control endpoint says of an ERP. Raises: ErpsSilent."""
        return self._asked("GET", f"{erp}/{what}")

    def documents(self, erp: str) -> list[Row]:
        """Return all documents of an ERP."""
        rows: list[Row] = []
        after: int | None = 0
        while after is not None:
            page = self.told(erp, f"documents?limit={PAGE}&after={after}")
            rows += page["rows"]
            after = page["next_after"]
        return rows

    def _asked(self, method: str, what: str, body: Any = None) -> Any:
        try:
            answer = requests.request(method, f"{self._control}/{what}", json=body, timeout=REQUEST_S)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise ErpsSilent(f"{self._control}/{what}: {type(error).__name__}; see {self._said}") from error
        return answer.json()
