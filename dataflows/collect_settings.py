"""Settings of the flow ``collect``: ``[collect.<name>]`` says what is listened to, and ``[spool]`` where it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from dataflows.collectors.http_poll_settings import HttpPollCollector
from dataflows.collectors.mqtt_settings import MqttCollector, SparkplugCollector
from dataflows.collectors.mtconnect_settings import MtconnectCollector
from dataflows.collectors.sftp_settings import SftpCollector
from dataflows.collectors.shdr_settings import ShdrCollector
from dataflows.collectors.sql_settings import SqlCollector
from dataflows.collectors.webhook_settings import WebhookCollector
from dataflows.resolved import resolved
from dataflows.section import Interval, Place, Section

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
CollectSection = Annotated[AnyCollector, Field(discriminator="protocol"), BeforeValidator(resolved)]
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
