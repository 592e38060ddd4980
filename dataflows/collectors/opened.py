"""The collector that a section of the settings describes."""

from __future__ import annotations

from pathlib import Path

from dataflows.collectors.collector import Collector
from dataflows.collectors.http_poll_settings import HttpPollCollector
from dataflows.collectors.mqtt_settings import MqttCollector, SparkplugCollector
from dataflows.collectors.mtconnect_settings import MtconnectCollector
from dataflows.collectors.refusals import Refusals
from dataflows.collectors.sftp_settings import SftpCollector
from dataflows.collectors.shdr_settings import ShdrCollector
from dataflows.collectors.sql_settings import SqlCollector
from dataflows.collectors.webhook_settings import WebhookCollector
from dataflows.settings.collect import AnyCollector
from dataflows.sources.shard_source import Clock


def opened(section: AnyCollector, name: str, clock: Clock, refusals: Refusals, landing: Path | None) -> Collector:
    """Return the collector of a section; it connects at its first poll.

    Args: refusals: takes what it refuses. landing: the folder of drop folders.
    """
    # Each is imported where it is used, so that a plant's flow needs no more than its own protocols.
    match section:
        case HttpPollCollector():
            from dataflows.collectors.http_poll import HttpPoll  # noqa: PLC0415

            return HttpPoll(section, name, clock, refusals)
        case MqttCollector():
            from dataflows.collectors.mqtt import MqttTopics  # noqa: PLC0415

            return MqttTopics(section, name, clock, refusals)
        case SparkplugCollector():
            from dataflows.collectors.sparkplug import SparkplugNodes  # noqa: PLC0415

            return SparkplugNodes(section, name, clock, refusals)
        case MtconnectCollector():
            from dataflows.collectors.mtconnect import MtconnectAgent  # noqa: PLC0415

            return MtconnectAgent(section, name, clock, refusals)
        case SftpCollector():
            from dataflows.collectors.sftp import SftpFiles  # noqa: PLC0415

            assert landing is not None, "the settings are checked"
            return SftpFiles(section, name, landing / section.into, clock, refusals)
        case ShdrCollector():
            from dataflows.collectors.shdr import ShdrLines  # noqa: PLC0415

            return ShdrLines(section, name, clock, refusals)
        case SqlCollector():
            from dataflows.collectors.sql import TablePoll  # noqa: PLC0415

            return TablePoll(section, name, clock)
        case WebhookCollector():
            from dataflows.collectors.webhook import Webhook  # noqa: PLC0415

            return Webhook(section, name, clock, refusals)
