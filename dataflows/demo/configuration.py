"""The demo's own configuration: the shipped plants, told to wait for less long.

A plant may be silent for a quarter of an hour before its last confirmation closes. Whoever watches a
demo waits for seconds, so the demo writes copies of the shipped mappings and changes a few lines in them.
"""

from __future__ import annotations

import re
from typing import Final

from canonical.plants import shipped
from dataflows.demo.folder import DemoFolder

CHANGES: Final = {
    "idle_s": 4,
    "gap_timeout_s": 2,
    # A replayed hour lasts a quarter of a second, so the wait for a number is bounded by count: some come late.
    "held_rows_max": 100,
}
"""Keys of a mapping, and their values here."""
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
"""


def configure(folder: DemoFolder) -> None:
    """Write the settings file and the mappings it names."""
    folder.plants.mkdir()
    names = []
    for path in shipped():
        text = path.read_text("utf-8")
        changed = []
        for key, value in CHANGES.items():
            text, found = re.subn(rf"^{key} = [\d_.]+.*$", f"{key} = {value}", text, flags=re.MULTILINE)
            changed += [key] * found
        header = HEADER.format(keys=", ".join(changed) or "none")
        (folder.plants / path.name).write_text(header + text, encoding="utf-8")
        names.append(f'"plants/{path.name}"')
    folder.settings.write_text(SETTINGS.format(plants=", ".join(names)), encoding="utf-8")
