"""The commit log that the settings name, opened for a flow."""

from __future__ import annotations

from dataflows.settings import Settings
from sinks.commit_log import CommitLog
from sinks.kafka import KafkaLog, OwnManifests
from sinks.sqlite import SqliteLog


def open_log(settings: Settings, flow: str, own: OwnManifests | None = None) -> CommitLog:
    """Return the commit log of a flow. Raises: CommitLogUnavailable, CommitLogError.

    Args: own: what earlier logs of this process committed last, see ``KafkaLog``.
    """
    if settings.log.kind == "sqlite":
        settings.log.path.parent.mkdir(parents=True, exist_ok=True)
        return SqliteLog(settings.log.path, busy_timeout_ms=settings.log.busy_timeout_ms)
    assert settings.kafka is not None
    return KafkaLog(flow, settings.kafka.connection(), own)
