"""What a series is about, the settings that makes, and what becomes of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

_SETTINGS = """\
{landing}plants = {plants}
[log]
kind = "{log}"
{kafka}
[store]
publish_interval_s = 0.05
threads = 1
[pace]
commit_interval_s = 0.05
idle_wait_s = 0.01
settle_s = 0.0
batch_bytes = 8192
"""
_KAFKA = """\
[kafka]
prefix = "{prefix}"
partitions = 2
state_partitions = 3
transaction_timeout_ms = 10000
[kafka.properties]
"bootstrap.servers" = "{servers}"
"queued.min.messages" = 100
"""


@dataclass(frozen=True)
class Kind:
    """What a series is about.

    Args: command: part of the processes that are started as the command ``plantsync run``.
        live: records arrive while the flows run. hasty: waits of milliseconds on the system's clock, so
        that time decides, and only the laws can be checked. kills: of one series.
    """

    name: str
    log: str
    source: str
    store: bool = False
    command: float = 0.0
    live: bool = False
    hasty: bool = False
    kills: int = 25

    @property
    def comparable(self):
        """Whether the outcome must be that of the uninterrupted run."""
        return not self.hasty and not (self.live and self.log == "kafka")

    @property
    def by_the_clock(self):
        """Whether records are read on the system's clock, which a command cannot be told."""
        return self.hasty or self.command > 0

    def settings(self, plants, servers, prefix):
        """Return the settings file: small batches and short intervals, so that there are many commits."""
        kafka = self.log == "kafka"
        return _SETTINGS.format(
            landing="" if kafka else 'landing = "landing"\n',
            plants=plants,
            log=self.log,
            kafka=_KAFKA.format(prefix=prefix, servers=servers) if kafka else "",
        )


@dataclass
class Result:
    """What became of a series."""

    kills: Counter = field(default_factory=Counter)  # by (log, flow, processes, how started, place)
    restarts: int = 0
    takeovers: int = 0  # of a process that still ran, by others that were started for its shards
    fenced: int = 0  # of the two, those that the other one stopped; one may have ended just before
    first_commits_s: list = field(default_factory=list)  # (log, flow, how started, seconds), of runs after a kill
    records: int = 0
    seconds: float = 0.0
    problems: list = field(default_factory=list)
