"""Health: how far each shard has come, read from outside, without fencing or delaying its writer.

What a shard holds back, has open and has counted is read from the state of its last commit with the
very code that wrote it, so figures and balance are those of that commit, whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from canonical.contracts.ledger import imbalances
from canonical.mapping import PlantMapping
from dataflows.committed_states import committed_states
from dataflows.confirmation_stages import Confirm, Count, Decode, Order
from dataflows.confirmations import COMMITTED_US
from dataflows.flow_names import CONFIRMATIONS as CONFIRMATIONS_FLOW
from dataflows.health.collect_health import collect_health
from dataflows.health.erp_health import erp_findings, reference_findings, source_findings
from dataflows.health.kernel_health import kernel_finding
from dataflows.health.queue_health import delivery_health, postings_health
from dataflows.health.shard_health import Finding, ShardHealth, behind
from dataflows.items import Commit, Shard
from dataflows.kernels import KERNELS
from dataflows.processors.state import StateVersionUnknown
from dataflows.settings import Settings
from dataflows.shards import analytics_shards, confirmations_shards, reference_shards, refused_shards
from dataflows.sources.shard_source import Clock, ShardInput
from sinks.analytics.published import StoreNotPublished, query
from sinks.commit_log import PlantsyncError, Snapshot

MARKS_MAX: Final = 100_000


def examined(settings: Settings, clock: Clock) -> tuple[list[Finding], list[ShardHealth]]:
    """Look at everything the settings name; what cannot be reached is a finding, not an error."""
    findings = [kernel_finding(KERNELS), *_folders(settings)]
    shards: list[ShardHealth] = []
    started = settings.log.kind == "kafka" or settings.log.path.exists()
    name = f"log {settings.log.path}" if settings.log.kind == "sqlite" else "log Kafka"
    if not started:
        findings.append(Finding(name, "note", "nothing there yet; the confirmations flow creates it"))
    else:
        try:
            shards += confirmations_health(settings, clock)
            findings.append(Finding(name, "fine", f"{len(shards)} shards of confirmations"))
        except (PlantsyncError, StateVersionUnknown) as error:
            findings.append(Finding(name, "problem", str(error)))
    if settings.collect:
        name = f"spool {settings.spool.path}"
        if not settings.spool.path.exists():
            findings.append(Finding(name, "note", "nothing there yet; the collect flow creates it"))
        else:
            try:
                collected = collect_health(settings, clock)
                left_out = sum(each.totals.get("left_out", 0) for each in collected)
                readings = f"; {left_out:,} readings of signals left out" if left_out else ""
                findings.append(Finding(name, "fine", f"{len(collected)} collectors{readings}"))
                shards += collected
            except PlantsyncError as error:
                findings.append(Finding(name, "problem", str(error)))
    if settings.reference is not None or settings.erps:
        findings += [*source_findings(settings), *erp_findings(settings)]
        if started:
            found, posted = _posting(settings, clock)
            findings += found
            shards += posted
    name = f"store {settings.store.published}"
    try:
        stored = analytics_health(settings, clock) if started else []
        shards += stored
        if stored:
            findings.append(Finding(name, "fine", f"published; {len(stored)} shards of analytics"))
    except StoreNotPublished as error:
        findings.append(Finding(name, "note", str(error)))
    except PlantsyncError as error:
        findings.append(Finding(name, "problem", str(error)))
    return findings, shards


def _posting(settings: Settings, clock: Clock) -> tuple[list[Finding], list[ShardHealth]]:
    """Look at the flows that make postings and deliver them."""
    findings: list[Finding] = []
    shards: list[ShardHealth] = []
    try:
        health, desk = postings_health(settings, clock)
        shards.append(health)
        if desk is None:
            findings.append(Finding("flow postings", "note", "it has not run yet: plantsync run postings"))
        else:
            findings += reference_findings(settings, desk.book, clock())
    except (PlantsyncError, StateVersionUnknown) as error:
        findings.append(Finding("flow postings", "problem", str(error)))
    try:
        delivering = delivery_health(settings, clock)
        shards += delivering
        if delivering and all(shard.queue is None for shard in delivering):
            findings.append(Finding("flow delivery", "note", "it has not run yet: plantsync run delivery"))
    except (PlantsyncError, StateVersionUnknown, ValueError) as error:
        findings.append(Finding("flow delivery", "problem", str(error)))
    return findings, shards


def confirmations_health(settings: Settings, clock: Clock) -> list[ShardHealth]:
    """Return the health of each shard of the confirmations flow, by name.

    Raises: PlantsyncError where the log or the broker cannot be reached.
    """
    shards = confirmations_shards(settings, clock) | refused_shards(settings)
    snapshots = committed_states(settings, shards)
    return [_confirming(name, shards[name], snapshots.get(name), clock()) for name in sorted(shards)]


def analytics_health(settings: Settings, clock: Clock) -> list[ShardHealth]:
    """Return the health of each shard of the analytics flow, as of what it has published.

    Raises: PlantsyncError where the log, the broker or the published store cannot be reached.
    """
    marks = query(
        settings.store.published,
        "SELECT shard, position FROM store_mark WHERE flow = 'analytics'",
        rows_max=MARKS_MAX,
    ).rows.to_pylist()
    positions: dict[str, str | None] = {mark["shard"]: mark["position"] for mark in marks}
    shards = analytics_shards(settings) | reference_shards(settings, clock)
    healths = []
    for name in sorted(shards):
        unread, problem = behind(shards[name], positions.get(name), {})
        healths.append(ShardHealth("analytics", name, unread, problem=problem))
    return healths


def _folders(settings: Settings) -> Iterator[Finding]:
    """Yield whether each drop folder is there and can be read."""
    if settings.landing is None:
        return
    for plant in settings.mappings():
        folder = settings.landing / plant.input.folder
        if not plant.input.folder:
            continue
        name = f"folder {folder}"
        if not settings.landing.is_dir():
            yield Finding(name, "note", f"{settings.landing} is not there; create it, or see that it is mounted")
        elif not folder.is_dir():
            yield Finding(name, "note", "not there yet; the confirmations flow creates it")
        elif os.access(folder, os.R_OK | os.X_OK):
            yield Finding(name, "fine", "can be read")
        else:
            yield Finding(name, "problem", "cannot be read by this user; check owner and permissions")


def _confirming(name: str, source: ShardInput, snapshot: Snapshot | None, now_us: int) -> ShardHealth:
    if snapshot is None:
        unread, problem = behind(source, None, {})
        return ShardHealth(CONFIRMATIONS_FLOW, name, unread, problem=problem)
    unread, problem = behind(source, snapshot.position, snapshot.state)
    assert source.mapping is not None
    totals, open_runs = _accounts(name, source.mapping, snapshot.state)
    problem = "; ".join(filter(None, [problem, *imbalances(totals)]))
    age_s = (now_us - int(snapshot.state[COMMITTED_US])) / 1e6 if COMMITTED_US in snapshot.state else None
    return ShardHealth(CONFIRMATIONS_FLOW, name, unread, age_s, open_runs, totals, problem=problem)


def _accounts(name: str, mapping: PlantMapping, state: Mapping[str, bytes]) -> tuple[dict[str, int], int]:
    """Return the totals of all sessions of a state, and the number of open runs."""
    shard = Shard(name, mapping)
    decode, order, count, confirm = (
        Decode(shard, state),
        Order(shard, state),
        Count(shard, state),
        Confirm(shard, state),
    )
    commit = Commit(0, "")
    for stage in (decode, order, count, confirm):
        stage.commit(commit)
    totals = {total: int(np.sum(values)) for total, values in commit.totals.items()}
    for total, value in commit.unread.items():
        totals[total] = totals.get(total, 0) + value
    return totals, confirm.aggregate.open_runs()
