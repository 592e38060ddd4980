"""Settings of the flow ``collect``: ``[collect.<name>]`` says what is listened to, and ``[spool]`` where it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from canonical.mapping import PlantMapping
from canonical.mapping.problems import Finding, refused
from dataflows.collectors.http_poll_settings import HttpPollCollector
from dataflows.collectors.mqtt_settings import MqttCollector, SparkplugCollector
from dataflows.collectors.mtconnect_settings import MtconnectCollector
from dataflows.collectors.sftp_settings import SftpCollector
from dataflows.collectors.shdr_settings import ShdrCollector
from dataflows.collectors.sql_settings import SqlCollector
from dataflows.collectors.webhook_settings import WebhookCollector
from dataflows.section import Interval, Place, Section
from dataflows.settings.resolved import resolved

AnyCollector = (
    HttpPollCollector
    | MqttCollector
    | MtconnectCollector
    | SftpCollector
    | ShdrCollector
    | SparkplugCollector
    | SqlCollector
    | WebhookCollector
)
UNSIGNALLED: Final[Mapping[object, str]] = {
    "sparkplug": "an edge node numbers its messages, so one that is left out would be a gap: set its own deadband",
    "sftp": "files land whole: leave records out by [[skip]] in the mapping",
    **dict.fromkeys(
        ("http-poll", "sql", "webhook"),
        "its records are events, not readings: leave them out by [[skip]] in the mapping",
    ),
}
"""Why a protocol has no ``signals``."""


def _signalled(value: object) -> object:
    """Return the section's values. Raises: ValueError where nothing may be left out of what the protocol says."""
    if isinstance(value, Mapping) and "signals" in value and value.get("protocol") in UNSIGNALLED:
        raise refused(f"signals: {value['protocol']} has none", UNSIGNALLED[value["protocol"]])
    return value


CollectSection = Annotated[
    AnyCollector, Field(discriminator="protocol"), BeforeValidator(_signalled), BeforeValidator(resolved)
]
CollectorName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A name that a stream may have in its own."""


class SpoolSection(Section):
    """Where collected records are kept until they have been read, and for a while after that."""

    path: Place = Field(default=Path("state/spool.db"), description="The file, on a disk of this machine.")
    commit_interval_s: Interval = Field(default=0.1, description="Time between two commits of a collector.")
    unread_max: int = Field(
        default=5_000_000, ge=1_000, description="Records of a collector not read yet; at this it reads no more."
    )
    keep: int = Field(
        default=1_000_000, ge=0, description="Records of a collector kept after they were read, for a replay."
    )


def signal_problems(collect: Mapping[str, AnyCollector], plant: PlantMapping) -> Iterator[Finding]:
    """Yield what a plant counts on that its collectors leave out: numbers that are not ours."""
    for name in plant.input.collected:
        section = collect.get(name)
        if not getattr(section, "signals", ()) or plant.sequencing.mode == "arrival":
            continue
        seq = plant.reading.reads.get("seq")
        if isinstance(section, MtconnectCollector) and seq is not None and seq.path == "seq":
            continue
        hint = 'sequencing.mode = "arrival"' + (
            ', or fields.seq = "seq", the collector\'s own' if isinstance(section, MtconnectCollector) else ""
        )
        told = f"plant {plant.plant} counts on the source's own numbers, so what is left out would be a gap"
        yield ("collect", name, "signals"), told, hint
