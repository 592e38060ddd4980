"""docs/bounds.md names every limit there is, with its default, and nothing else (DESIGN law 7)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from canonical import wire
from canonical.decoders import parquet_pages, parquet_rows
from canonical.mapping import PlantMapping
from canonical.policy import Policy
from dataflows import heap, spool
from dataflows.collectors import pulses, refusals, signals
from dataflows.metrics import bounded
from dataflows.settings import Settings
from dataflows.sources import fetch_ahead, kafka_partition, landed_files, log_stream, partition_queue
from dataflows.tower import allowance, box, gate, pages, session, site, token_file, watch
from dataflows.trail import attest
from sinks import kafka, kafka_group
from sinks.analytics import store

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/bounds.md").read_text("utf-8").replace("`erps.<name>.", "`erps.")
LIMIT = re.compile(r"(_max|_max_s|_max_mb|_rows|_s|_ms|_bytes)$")
"""What a setting that bounds something ends in."""
SECTIONS = {"sequencing", "counters", "aggregation", "limits", "log", "kafka", "store", "pace"}
SECTIONS |= {"traces", "gathering", "attribution", "postings", "erps", "spool", "slo", "alerts", "tower"}
CONSTANTS = (attest, heap, fetch_ahead, kafka_partition, partition_queue, landed_files, log_stream, kafka, store, wire)
CONSTANTS += (bounded, kafka_group, allowance, box, gate, pages, session, site, token_file, watch, pulses, signals)
CONSTANTS += (parquet_pages, parquet_rows, refusals, spool)


def settings_of(model: type[BaseModel]) -> dict[str, object]:
    """Each key of each section, with its default."""
    found = {}
    for section, info in model.model_fields.items():
        kinds = getattr(info.annotation, "__args__", (info.annotation,))
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= {f"{section}.{key}": each.default for key, each in kind.model_fields.items()}
    return found


SETTINGS = settings_of(Settings) | settings_of(PlantMapping)
NAMED = set(re.findall(r"`((?:{})\.\w+)`".format("|".join(SECTIONS)), TEXT)) - {"store.path"}
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| what")]


def test_the_sections_are_where_the_limits_are():
    assert {name.split(".")[0] for name in SETTINGS if LIMIT.search(name)} == SECTIONS
    assert issubclass(PlantMapping, BaseModel)
    assert issubclass(Policy, BaseModel)


def test_every_limit_is_named_and_every_name_is_one():
    assert sorted(NAMED - SETTINGS.keys()) == []
    assert sorted({name for name in SETTINGS if LIMIT.search(name)} - NAMED) == []


def said(row: str) -> list[str]:
    """Numbers of the default column as the page writes them."""
    return (
        row.split(" | ")[2]
        .replace("30 days", "2592000000")
        .replace("1 hour", "3600")
        .replace("400 days", "34560000")
        .replace("8 MiB", "8388608")
        .replace("32 MiB", "33554432")
        .replace("4 MiB", "4194304")
        .split(", ")
    )


@pytest.mark.parametrize("name", sorted(NAMED))
def test_the_default_is_the_one_of_the_code(name):
    default = SETTINGS[name]
    rows = [row for row in ROWS if f"`{name}`" in row.split(" | ")[1]]
    if name.startswith("aggregation.") and default is None:
        return
    assert len(rows) == 1, f"{name} is the setting of {len(rows)} rows"
    at = [each for each in re.findall(r"`([\w.]+)`", rows[0].split(" | ")[1]) if "." in each].index(name)
    text = "none" if default is None else f"{default:g}" if isinstance(default, float) else str(default)
    assert said(rows[0])[at].replace(",", "") == text.replace("3.456e+07", "34560000")


def test_constants_that_are_named_exist_and_so_do_the_tests():
    for name in re.findall(r"`(_?[A-Z]+_[A-Z_]+)`", TEXT):
        if not any(f"`{name}`" in row.split(" | ")[1] for row in ROWS):
            continue  # a fault code
        assert any(hasattr(module, name) for module in CONSTANTS), name
    for row in ROWS:
        shown = row.rsplit(" | ", 1)[1]
        paths = re.findall(r"`([\w/.]+\.py)`", shown)
        assert paths, f"nothing shows: {row}"
        assert all((ROOT / path).exists() for path in paths), row
