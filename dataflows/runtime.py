"""Running a flow as the settings say: opened, run to its end, opened again after what may pass.

Law: whatever ends a run, every shard stands at its last commit, and the next run goes on from there.
So a run that an outage of the log ended is started anew, after a wait that grows with each failure in
a row. An outage of a source is waited out by its shard alone. A run that is to stop at the end of its
input waits for neither: whoever started it knows better whether to try again.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Event
from typing import Final

from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

from dataflows.analytics import analytics
from dataflows.collect import collect
from dataflows.collect_shards import collect_shards, make_spool, open_spool
from dataflows.collectors.collector import Collector
from dataflows.collectors.refusals import Refusals
from dataflows.confirmations import confirmations
from dataflows.delivery.delivery import delivery
from dataflows.delivery.shards import delivery_shards, desks, shard_inputs
from dataflows.flow_names import FlowName
from dataflows.guard import Failure, GuardedLog, GuardedReader, GuardedStore
from dataflows.heap import collect_seldom, keep_heap
from dataflows.in_flight import CommitsInFlight, at_once
from dataflows.intake import Room
from dataflows.kernels import KERNELS, troubles
from dataflows.objectives_watch import objectives_watch
from dataflows.opened_log import open_log
from dataflows.outage import Chance, PatientReader, wait_after
from dataflows.posting_policy import posting_policy
from dataflows.postings import postings
from dataflows.progress import Progress
from dataflows.reference_rows import terms_of
from dataflows.residency import kept_from
from dataflows.settings import Settings
from dataflows.shards import (
    WHOLE,
    Share,
    analytics_shards,
    confirmations_shards,
    postings_shards,
    reference_shards,
    refused_shards,
)
from dataflows.sources import with_schemas
from dataflows.sources.clock import SystemClock
from dataflows.sources.reader import Reader
from dataflows.sources.shard_source import Clock, Pace, ShardInput
from dataflows.spool import shard_of
from dataflows.watching import Watching, watching
from sinks.analytics.intervals import calendars
from sinks.analytics.plant_tables import plant_rows
from sinks.analytics.store import Store, StoreConfig
from sinks.commit_log import CommitInDoubt, PlantsyncError
from sinks.kafka import KafkaLog, OwnManifests

LOGGER: Final = logging.getLogger(__name__)

TICK_US: Final = 20_000
"""How often delivery looks for answers of the ERPs, and for what is due."""


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
    chance: Chance = lambda: 1.0,
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
        MetricsNotServed: they cannot be served as the settings say.
        PlantsyncError: anything else that a person has to settle; retryable ones only where
            ``until_end`` or ``cluster`` is given.
        MappingError: a plant's mapping cannot be used.
    """
    keep_heap()
    for trouble in troubles(KERNELS):
        LOGGER.warning("%s", trouble)
    progress = progress or Progress()
    with ExitStack() as opened:
        watchers = watching(settings, flow, cluster.process if cluster else share.index, opened)
        run = _Run(settings, flow, stop, until_end, share, cluster, progress, clock or SystemClock(), chance, watchers)
        run.until_it_ends()


def pace_of(settings: Settings, *, until_end: bool) -> Pace:
    """Return when shards commit."""
    pace = settings.pace
    return Pace(
        commit_interval_us=round(pace.commit_interval_s * 1e6),
        commit_interval_results_max=pace.commit_interval_results_max,
        commit_interval_max_us=round(pace.commit_interval_max_s * 1e6),
        commit_share_max=pace.commit_share_max,
        urgent_interval_us=round(pace.urgent_interval_s * 1e6),
        commit_results_max=pace.commit_results_max,
        commit_rows_max=pace.commit_rows_max,
        idle_wait_us=round(pace.idle_wait_s * 1e6),
        vocabulary_max=pace.vocabulary_max,
        until_end=until_end,
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """The arguments of ``run_flow``, and one run with them."""

    settings: Settings
    flow: FlowName
    stop: Event
    until_end: bool
    share: Share
    cluster: Cluster | None
    progress: Progress
    clock: Clock
    chance: Chance
    watching: Watching
    own: OwnManifests = field(default_factory=dict)

    def until_it_ends(self) -> None:
        """Run, and begin anew after what may pass, until there is nothing more to do."""
        stop, progress, failures = self.stop, self.progress, 0
        while not stop.is_set():
            commits = progress.commits
            try:
                self.once()
            except PlantsyncError as error:
                if self.until_end or self.cluster or not (error.retryable or isinstance(error, CommitInDoubt)):
                    raise
                failures = 1 if progress.commits > commits else failures + 1
                wait_s = wait_after(failures, self.chance(), self.settings.pace.outage_wait_max_s)
                LOGGER.warning("%s stopped: %s. Going on from the last commit in %.1f s.", self.flow, error, wait_s)
                self.watching.watch.restarting()
                stop.wait(wait_s)
            else:
                return

    def once(self) -> None:
        """Open everything, run to the end, close everything, then raise what went wrong."""
        ended = _Either(self.stop)
        failure = Failure(ended, raising=self.cluster is not None)
        with ExitStack() as opened:
            execute(self._graph(failure, ended, opened), self.cluster, failure)
        if failure.error is not None:
            raise failure.error

    def _graph(self, failure: Failure, ended: Event, opened: ExitStack) -> Dataflow:
        settings, clock, watch = self.settings, self.clock, self.watching.watch
        pace = pace_of(settings, until_end=self.until_end)
        if self.flow == "collect":
            return self._collect(failure, pace, ended, opened)
        if self.flow == "delivery":
            return self._delivery(failure, replace(pace, idle_wait_us=TICK_US, ticking=True), ended, opened)
        if self.flow != "analytics":
            make_spool(settings)
            room = Room(settings.postings.waiting_max)
            shards = self._guarded(
                postings_shards(settings, clock, room)
                if self.flow == "postings"
                else confirmations_shards(settings, clock) | refused_shards(settings),
                failure,
            )
            log = open_log(settings, self.flow, self.own)
            opened.callback(log.close)
            if isinstance(log, KafkaLog) and self.cluster is None:  # in a cluster the engine decides who reads what
                failure.guarded(log.take_over, None)(list(shards))
            guarded = GuardedLog(log, failure, self.progress, clock, self.watching.on_commit)
            # A commit on Kafka is mostly waiting for the brokers; one in a file of ours is over when they would begin.
            begin = opened.enter_context(CommitsInFlight(ended)).begin if isinstance(log, KafkaLog) else at_once
            collect_seldom()
            if self.flow == "postings":
                policy, terms = posting_policy(settings), terms_of(settings)
                return postings(shards, policy, guarded, pace, clock, ended, room, terms, begin, watch)
            return confirmations(shards, guarded, pace, clock, ended, begin, watch, self.progress.holds)
        shards = self._guarded(analytics_shards(settings) | reference_shards(settings, clock), failure)
        store = Store(
            StoreConfig(**settings.store.model_dump(exclude={"residency"})), calendars=calendars(settings.mappings())
        )
        opened.callback(store.close)
        store.configure(plant_rows(settings.mappings()))
        guarded_store = GuardedStore(store, failure, self.progress, clock, self.watching.on_commit)
        objectives = objectives_watch(settings, shards, store, clock, self.chance, opened)
        terms, owners = terms_of(settings), settings.postings.owners
        kept_out = kept_from(settings.store.residency, settings.mappings())
        return analytics(shards, guarded_store, pace, clock, ended, terms, owners, objectives, kept_out)

    def _collect(self, failure: Failure, pace: Pace, ended: Event, opened: ExitStack) -> Dataflow:
        settings, clock = self.settings, self.clock
        collectors: dict[str, Collector] = {}
        spool = open_spool(settings, collectors)
        opened.callback(spool.close)
        refusals = {shard_of(name): Refusals() for name in settings.collect}
        shards = self._guarded(collect_shards(settings, clock, collectors, spool.room, refusals), failure)
        pace = replace(pace, commit_interval_us=round(settings.spool.commit_interval_s * 1e6), idle_wait_us=TICK_US)
        log = GuardedLog(spool, failure, self.progress, clock, self.watching.on_commit)
        return collect(shards, refusals, log, spool.tidy, pace, clock, ended)

    def _delivery(self, failure: Failure, pace: Pace, ended: Event, opened: ExitStack) -> Dataflow:
        settings, clock = self.settings, self.clock
        log = open_log(settings, self.flow, self.own)
        opened.callback(log.close)
        own = self.share.of(delivery_shards(settings))
        if isinstance(log, KafkaLog):
            failure.guarded(log.take_over, None)(list(own))
        watch, parent_of = self.watching.watch, self.watching.parent_of
        at, durable = desks(settings, own, log, clock, self.chance, ended, opened, watch, parent_of)
        shards = self._guarded(shard_inputs(settings, at), failure, WHOLE)
        guarded = GuardedLog(durable, failure, self.progress, clock, self.watching.on_commit)
        return delivery(shards, guarded, at, pace, clock, ended, watch)

    def _guarded(
        self, shards: dict[str, ShardInput], failure: Failure, share: Share | None = None
    ) -> dict[str, ShardInput]:
        """Return this process's share of the shards, each behind a guard and, in a service, patient."""
        watch = self.watching.watch

        def opened(name: str, source: ShardInput) -> Reader:
            source = replace(source, open=partial(with_schemas.opened, source, self.clock))
            if not self.until_end:
                wait_max_s = self.settings.pace.outage_wait_max_s
                patient = partial(PatientReader, name, source.open, self.clock, self.chance, wait_max_s, watch)
                source = replace(source, open=patient)
            return GuardedReader(name, source, failure, self.progress, self.clock, watch)

        own = (share or self.share).of(shards)
        LOGGER.info("%s runs %d shards: %s", self.flow, len(own), ", ".join(own))
        return {name: replace(source, open=partial(opened, name, source)) for name, source in own.items()}


def execute(graph: Dataflow, cluster: Cluster | None, failure: Failure) -> None:
    """Run a graph to its end, alone or as one process of a cluster.

    Raises: ClusterStopped when another process ended the cluster.
    """
    if cluster is None:
        cli_main(graph)  # type: ignore[no-untyped-call]
        return
    try:
        cli_main(graph, process_id=cluster.process, addresses=list(cluster.addresses))  # type: ignore[no-untyped-call]
    except BaseException as error:
        # All that the engine tells of an error in a cluster, its own or another's, is that it panicked.
        if type(error).__name__ != "PanicException":
            raise
        if failure.error is None:
            raise ClusterStopped(
                "another process of the cluster stopped, and this one with it; see what it said, then start all again"
            ) from error


class _Either(Event):
    """Set when it is set itself, or when ``outer`` is: a failed run ends, and the next may begin."""

    def __init__(self, outer: Event) -> None:
        super().__init__()
        self._outer = outer

    def is_set(self) -> bool:
        return self._outer.is_set() or super().is_set()
