"""Running a flow as the settings say: opened, run to its end, opened again after what may pass.

Law: whatever ends a run, every shard stands at its last commit, and the next run goes on from there.
So a run that an outage ended is simply started anew, after a wait that grows with each failure in a
row up to ``WAIT_MAX_S``. A run that is to stop at the end of its input does not wait for an outage to
pass: whoever started it knows better whether to try again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event
from typing import Final, Literal

from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

from dataflows.analytics import analytics
from dataflows.confirmations import confirmations
from dataflows.guard import Failure, GuardedLog, GuardedReader, GuardedStore
from dataflows.progress import Progress
from dataflows.settings import Settings
from dataflows.shards import WHOLE, Share, analytics_shards, confirmations_shards
from dataflows.sources.clock import SystemClock
from dataflows.sources.reader import Reader
from dataflows.sources.shard_source import Clock, Pace, ShardInput
from sinks.commit_log import CommitInDoubt, CommitLog, PlantsyncError
from sinks.kafka import KafkaLog
from sinks.sqlite import SqliteLog
from sinks.store import Store, StoreConfig

LOGGER: Final = logging.getLogger(__name__)
WAIT_MAX_S: Final = 30.0

FlowName = Literal["confirmations", "analytics"]


class ClusterStopped(PlantsyncError):
    """Another process of the cluster has stopped, and this one with it."""

    retryable = True


@dataclass(frozen=True, slots=True)
class Cluster:
    """This process of a cluster of the engine's, and where all of them listen (host:port)."""

    process: int
    addresses: tuple[str, ...]


def run_flow(
    settings: Settings,
    flow: FlowName,
    *,
    stop: Event,
    until_end: bool = False,
    share: Share = WHOLE,
    cluster: Cluster | None = None,
    progress: Progress | None = None,
    clock: Clock | None = None,
    chance: Callable[[], float] = lambda: 1.0,
) -> None:
    """Run a flow until ``stop`` is set, or until everything that is there has been read and committed.

    Args:
        settings: what is configured.
        flow: which one.
        stop: set it, from a signal handler or a thread, to end after a last commit.
        until_end: end when the sources have nothing more, and at the first error.
        share: which of the shards; every process of a flow names the same count.
        cluster: this process of an engine's cluster; without it the process runs its share alone.
        progress: told what happens.
        clock: now in UTC microseconds.
        chance: a number from 0 to 1, which spreads the waits of processes that failed together.

    Raises:
        WriterFenced: another process runs these shards; do not start this one again.
        PlantsyncError: anything else that a person has to settle; retryable ones only where
            ``until_end`` or ``cluster`` is given.
        MappingError: a plant's mapping cannot be used.
    """
    progress = progress or Progress()
    failures = 0
    while not stop.is_set():
        commits = progress.commits
        try:
            _run_once(settings, flow, stop, until_end, share, cluster, progress, clock or SystemClock())
        except PlantsyncError as error:
            if until_end or cluster or not (error.retryable or isinstance(error, CommitInDoubt)):
                raise
            failures = 1 if progress.commits > commits else failures + 1
            wait_s = wait_after(failures, chance())
            LOGGER.warning("%s stopped: %s. Going on from the last commit in %.1f s.", flow, error, wait_s)
            stop.wait(wait_s)
        else:
            return


def wait_after(failures: int, chance: float) -> float:
    """Return the seconds to wait after this many failures in a row: doubling, capped, half of it by chance."""
    return float(min(2.0 ** (failures - 1), WAIT_MAX_S)) * (0.5 + 0.5 * chance)


def open_log(settings: Settings, flow: str) -> CommitLog:
    """Return the commit log of a flow. Raises: CommitLogUnavailable, CommitLogError."""
    if settings.log.kind == "sqlite":
        settings.log.path.parent.mkdir(parents=True, exist_ok=True)
        return SqliteLog(settings.log.path)
    assert settings.kafka is not None
    return KafkaLog(flow, settings.kafka.connection())


def store_config(settings: Settings) -> StoreConfig:
    """Return where the analytics store is and what it may use."""
    return StoreConfig(**dict(settings.store))


def pace_of(settings: Settings, *, until_end: bool) -> Pace:
    """Return when shards commit."""
    pace = settings.pace
    return Pace(
        commit_interval_us=round(pace.commit_interval_s * 1e6),
        commit_rows_max=pace.commit_rows_max,
        idle_wait_us=round(pace.idle_wait_s * 1e6),
        vocabulary_max=pace.vocabulary_max,
        until_end=until_end,
    )


def _run_once(
    settings: Settings,
    flow: FlowName,
    stop: Event,
    until_end: bool,  # noqa: FBT001 - as run_flow, which names it
    share: Share,
    cluster: Cluster | None,
    progress: Progress,
    clock: Clock,
) -> None:
    ended = _Either(stop)
    failure = Failure(ended, raising=cluster is not None)
    pace = pace_of(settings, until_end=until_end)
    with ExitStack() as opened:
        if flow == "confirmations":
            shards = _guarded(share.of(confirmations_shards(settings, clock)), failure, progress, clock)
            log = open_log(settings, flow)
            opened.callback(log.close)
            graph = confirmations(shards, GuardedLog(log, failure, progress, clock), pace, clock, ended)
        else:
            shards = _guarded(share.of(analytics_shards(settings)), failure, progress, clock)
            store = Store(store_config(settings))
            opened.callback(store.close)
            graph = analytics(shards, GuardedStore(store, failure, progress, clock), pace, clock, ended)
        LOGGER.info("%s runs %d shards: %s", flow, len(shards), ", ".join(sorted(shards)))
        _run(graph, cluster, failure)
    if failure.error is not None:
        raise failure.error


def _run(graph: Dataflow, cluster: Cluster | None, failure: Failure) -> None:
    if cluster is None:
        cli_main(graph)  # type: ignore[no-untyped-call]
        return
    try:
        cli_main(graph, process_id=cluster.process, addresses=list(cluster.addresses))  # type: ignore[no-untyped-call]
    except Exception:
        raise
    except BaseException as error:  # The engine's panic, of which nothing more is known.
        if failure.error is None and not isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise ClusterStopped(
                "another process of the cluster stopped, and this one with it; see what it said, then start all again"
            ) from error
        if failure.error is None:
            raise


def _guarded(
    shards: dict[str, ShardInput], failure: Failure, progress: Progress, clock: Clock
) -> dict[str, ShardInput]:
    def opened(name: str) -> Callable[[], Reader]:
        return lambda: GuardedReader(name, shards[name], failure, progress, clock)

    return {name: ShardInput(opened(name), shard.mapping, shard.stream) for name, shard in shards.items()}


class _Either(Event):
    """Set when it is set itself, or when ``outer`` is: a failed run ends, and the next may begin."""

    def __init__(self, outer: Event) -> None:
        super().__init__()
        self._outer = outer

    def is_set(self) -> bool:
        return self._outer.is_set() or super().is_set()
