"""Producers of every version of the event contract side by side in one plant (M07, A20)."""

from __future__ import annotations

import json
from io import BytesIO

import fastavro
import numpy as np
import pytest

from canonical.contracts import Event, EventV1, EventV2
from canonical.mapping import load
from canonical.records import RawRecords
from canonical.schemas import committed
from tests.scripted_flow import run

VERSIONS = {1: EventV1, 2: EventV2, 3: Event}
T0_US = 1_790_000_000_000_000
MAPPING = """
plant = "P"
format = "{format}"
[input]
topics = ["events"]
[time]
format = "epoch_us"
[fields]
source = "source"
session = "session"
seq = "seq"
type = "type"
occurred = "occurred_us"
order = "order"
unit = "unit"
good = {{ path = "good", scale = 0.001 }}
energy = {{ path = "energy_mwh", scale = 0.001, unit = "Wh" }}
material = "material"
quantity = {{ path = "quantity", scale = 0.001 }}
from_bin = "from_bin"
"""
NEWER = {2: {"energy_mwh": 5_000}, 3: {"energy_mwh": 5_000, "quantity": 2_000, "from_bin": "B1"}}


def events():
    """Three of each version in turn, as producers that were renewed one after the other."""
    for number in range(9):
        version = number % 3 + 1
        fields = {"plant": "P", "source": "m", "session": "s", "seq": number, "order": "4711", "material": "M"}
        kind = {7: "complete", 8: "consume"}.get(number, "partial")
        given = {
            "type": kind,
            "occurred_us": T0_US + number,
            "good": 0 if number == 8 else 1_000,
            **NEWER.get(version, {}),
        }
        yield version, VERSIONS[version](**fields, **given)


def avro(version: int, event: EventV1) -> bytes:
    out = BytesIO(b"\0" + version.to_bytes(4, "big"))
    out.seek(5)
    fastavro.schemaless_writer(out, committed("event")[version], event.model_dump(mode="json"))
    return out.getvalue()


@pytest.mark.parametrize("form", ["json", "avro"])
def test_older_producers_go_on_while_newer_versions_add_fields(form, tmp_path):
    text = MAPPING.format(format=form)
    if form == "avro":
        text += "[avro.ids]\n" + "".join(f'{version} = "v{version}.avsc"\n' for version in VERSIONS)
        for version, schema in committed("event").items():
            (tmp_path / f"v{version}.avsc").write_text(json.dumps(schema))
        values = [avro(version, event) for version, event in events()]
    else:
        values = [event.model_dump_json().encode() for _, event in events()]
    (tmp_path / "p.toml").write_text(text)

    raw = RawRecords.from_values(values, np.arange(9, dtype=np.int64), "events")
    done = run(load(tmp_path / "p.toml"), [(T0_US + 10, raw)], T0_US + 11)

    assert done.store.read("dead-letters", 0, 10) == []
    (confirmed,) = [json.loads(each.value) for each in done.store.read("confirmations", 0, 10)]
    assert (confirmed["events"], confirmed["good"], confirmed["energy_mwh"]) == (8, 8_000, 25_000)
    (consumed,) = [json.loads(each.value) for each in done.store.read("events", 0, 10)]
    assert (consumed["quantity"], consumed["from_bin"], consumed["schema_version"]) == (2_000, "B1", 3)
