"""The demo's own configuration: the shipped plants, told to wait for less long.

A plant may be silent for a quarter of an hour before its last confirmation closes. Whoever watches a
demo waits for seconds, so the demo writes copies of the shipped mappings and changes a few lines in them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from canonical.mapping import load
from canonical.plants import shipped
from dataflows.demo.edge_nodes import HOST_ID
from dataflows.demo.erps import BURST, RATE_PER_S
from dataflows.demo.folder import DemoFolder

CHANGES: Final = {
    "idle_s": 4,
    "gap_timeout_s": 2,
    # A replayed hour lasts a quarter of a second, so the wait for a number is bounded by count: some come late.
    "held_rows_max": 100,
}
"""Keys of a mapping, and their values here, where the mapping's are greater."""
HEADER: Final = "# Written by plantsync demo: a shipped mapping, in which these keys were changed: {keys}.\n"

SETTINGS: Final = """\
# Written by plantsync demo. Embedded mode: landed files in, one SQLite file as the commit log, DuckDB out.
landing = "landing"
plants = [{plants}]

[log]
kind = "sqlite"
path = "state/plantsync.db"

[store]
path = "state/store.duckdb"
published = "analytics.duckdb"

[pace]
commit_interval_s = 0.5
settle_s = 0.0 # files appear whole here: they are renamed into place

[reference]
folder = "reference"
systems = [{systems}]

# Waits of hours are seconds here, as the days of the plants are.
[postings]
patience_s = 3
quality_timeout_s = 6

[alerts]
every_s = 2

# What happened in the plants is of the days that are replayed; from the queue on all is of now.
[[slo]]
name = "delivery"
hop = "enqueued-committed"
within_s = 600
percent = 95
"""
ERP: Final = """
[erps.{name}]
rate_per_s = {rate_per_s} # of its calls and, together, of the requests that they take; the ERP allows {allowed}
burst = {burst}
bulk_max = 20
lease_s = 1
settle_s = 3
backoff_s = 0.2
backoff_max_s = 2
probe_s = 0.5
probe_max_s = 2

[erps.{name}.adapter]
kind = "sap"
base_url = "{url}"
user = "plantsync"
password = "simulated" # of the simulated ERP; for a real one name where it lies: {{ env = "NAME" }}
read_timeout_s = 2
answer_timeout_s = 3
"""
COLLECT: Final = """
[collect.{name}]
protocol = "sparkplug"
host = "127.0.0.1"
port = {port}
tls = false
host_id = "{host_id}"
# What is lost here was lost on purpose; a birth that is asked for would be one more than the truth knows of.
reorder_timeout_s = 3600
"""


def configure(folder: DemoFolder, plants: Collection[str], erps: Mapping[str, str], broker_port: int | None) -> None:
    """Write the settings file and the mappings it names, and make the landing folder.

    Args: plants: those that take part. erps: the URL of each ERP. broker_port: of the broker, where there is one.
    """
    folder.plants.mkdir()
    folder.landing.mkdir()
    names, collected = [], list[str]()
    for path in shipped():
        mapping = load(path)
        if mapping.plant not in plants:
            continue
        collected += mapping.input.collected
        text = path.read_text("utf-8")
        changed = []
        for key, value in CHANGES.items():
            was = re.search(rf"^{key} = ([\d_.]+).*$", text, flags=re.MULTILINE)
            if was is not None and float(was[1]) > value:
                text = text.replace(was[0], f"{key} = {value}", 1)
                changed.append(key)
        header = HEADER.format(keys=", ".join(changed) or "none")
        (folder.plants / path.name).write_text(header + text, encoding="utf-8")
        names.append(f'"plants/{path.name}"')
    settings = SETTINGS.format(plants=", ".join(names), systems=", ".join(f'"{erp}"' for erp in erps))
    pace = {"rate_per_s": RATE_PER_S * 0.8, "burst": BURST // 2, "allowed": RATE_PER_S}
    settings += "".join(ERP.format(name=name, url=url, **pace) for name, url in erps.items())
    settings += "".join(COLLECT.format(name=name, port=broker_port, host_id=HOST_ID) for name in collected)
    folder.settings.write_text(settings, encoding="utf-8")
