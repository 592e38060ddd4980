"""Replay: records back to where they came from, so that the flow takes them like any other delivery (M29).

Laws:

- exactly once: the flow knows a record again by its number or its identity, so a record that has been
  accounted for changes nothing; a dead letter that was replayed is left out of later replays by its place;
- dry run: ``planned`` reads, forecasts on forks of committed states, and changes nothing;
- recorded: messages to Kafka, the entry in the audit trail and the places replayed are one transaction;
  files, and records of collectors, are prepared before it where nobody reads them, and told after it, and a replay
  that was cut off between the two is finished by the next (``finished``). Without its entry nothing is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from canonical.contracts import TrailAction
from canonical.records import Headers
from dataflows.committed_states import committed_states
from dataflows.fork import MEASURES, ORDER
from dataflows.replay.files import contents, discard, drop, file_names, leftovers, prepare
from dataflows.replay.forecast import Forecast, forecast
from dataflows.replay.gathering import REPLAY_HEADER, Chosen, Gathered, Gathering, Tell
from dataflows.replay.selection import FOLDER, ReplayedPlaces, Selection
from dataflows.replay.spool import COLLECTED, ReplaySpool
from dataflows.settings import Settings
from dataflows.shards import confirmations_shards, folder_config
from dataflows.sources.shard_source import Clock
from dataflows.trail.operator_trail import OPERATOR, OperatorTrail
from sinks.commit_log import CommitInDoubt, Record, Snapshot, WriterFenced
from sinks.kafka import Delivery
from sinks.trail import Deed, Head

REPLAYED: Final = "replayed"
"""Part of the operator's state: places of the dead letters that were replayed."""
DROPPING: Final = "replay.files"
"""Part of the operator's state: the files of the last replay, (shard, hidden name, name)."""
SPOOLING: Final = "replay.spool"
"""Part of the operator's state: the id of the last replay, where it has records of collectors."""
_NO_STATE: Final = Snapshot("", {})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay would send and what that would change."""

    selection: Selection
    found: Gathered
    would: Forecast

    @property
    def records(self) -> int:
        """How many records would be sent."""
        return self.found.taken

    def told(self) -> dict[str, Any]:
        """Return the plan as JSON has it."""
        found, would = self.found, self.would
        return {
            "selection": self.selection.words(),
            "matched": found.matched,
            "records": self.records,
            "shards": {shard: len(chosen.values) for shard, chosen in found.chosen.items()},
            "left_out": {
                "replayed_before": found.already,
                "still_faulty": dict(found.faulty.most_common()),
                "bytes_gone": found.gone,
                "unknown_shards": dict(found.strangers),
                "unreadable": found.unreadable,
                "more": found.more,
            },
            "would": {
                "confirmations": dict(would.made),
                "grown": would.grown,
                "events": would.events,
                "ledger": dict(would.totals),
                "orders": [
                    {**dict(zip(ORDER, order, strict=True)), **{name: sums[name] for name in MEASURES}}
                    for order, sums in sorted(would.orders.items())
                ],
            },
        }


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay that was done: its id, its entry in the trail, and the files it dropped."""

    id: str
    entry: Head
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """Plans and does replays for one configuration. Args: tell: told how many records have been looked at."""

    settings: Settings
    clock: Clock
    tell: Tell

    def planned(self, selection: Selection, state: Mapping[str, bytes] | None = None) -> Plan:
        """Return what a replay would send and change, and change nothing.

        Args: state: the operator's, where it is known; it is read otherwise.

        Raises: ReplayRefused, NoSuchLetter, CommitLogUnavailable, CommitLogError, SourceUnavailable, PositionLost.
        """
        shards = confirmations_shards(self.settings, self.clock)
        snapshots = committed_states(self.settings, [*shards, OPERATOR])
        if state is None:
            state = snapshots.get(OPERATOR, _NO_STATE).state
        replayed = ReplayedPlaces(orjson.loads(state.get(REPLAYED, b"{}")))
        now_us = self.clock()
        found = Gathering(self.settings, selection, shards, snapshots, replayed, now_us, self.tell).gather()
        would = Forecast()
        for shard, chosen in list(found.chosen.items()):
            committed = snapshots.get(shard, _NO_STATE).state
            expected = forecast(shard, chosen.mapping, committed, chosen.raw(), now_us)
            if expected.faulty:
                found.faulty.update(expected.faulty.values())
                chosen = found.chosen[shard] = chosen.without(expected.faulty)  # noqa: PLW2901 - what is left of it
                expected = forecast(shard, chosen.mapping, committed, chosen.raw(), now_us)
            if not chosen.values:
                del found.chosen[shard]
                continue
            would.add(expected)
        return Plan(selection, found, would)

    def applied(self, plan: Plan, trail: OperatorTrail, actor: str, reason: str) -> Replayed:
        """Send what was planned, recorded in the trail.

        Raises: ReplayRefused; WriterFenced where somebody else acts at the same time, and then nothing was
            sent; as ``CommitLog.commit`` otherwise.
        """
        at_us, content = self.clock(), _content(plan.found.chosen)
        name = f"{at_us} {actor} {content}"
        replay = hashlib.sha256(name.encode()).hexdigest()[:16]
        deliveries = [sent for shard, chosen in plan.found.chosen.items() for sent in _messages(shard, chosen, replay)]
        spooled = [record for shard, chosen in plan.found.chosen.items() for record in _spooled(shard, chosen, replay)]
        prepared: list[tuple[str, Path, Path]] = []
        try:
            if spooled:
                with ReplaySpool(self.settings) as spool:
                    spool.finish(_told_last(trail))  # An earlier one that was cut off keeps its records.
                    spool.prepare(replay, spooled)
            prepared += self._prepared(plan, replay)
            told = plan.told()
            told["would"]["orders"] = len(told["would"]["orders"])
            deed = Deed(
                TrailAction.REPLAY,
                actor=actor,
                subject=replay,
                reason=reason,
                after=content,
                detail=_bounded(told),
            )
            places = [place for chosen in plan.found.chosen.values() for place in chosen.places]
            known = ReplayedPlaces(orjson.loads(trail.state.get(REPLAYED, b"{}")))
            state = {
                REPLAYED: orjson.dumps(known.with_places(places).ranges),
                DROPPING: orjson.dumps([(shard, hidden.name, final.name) for shard, hidden, final in prepared]),
                SPOOLING: replay.encode() if spooled else b"",
            }
            head = trail.append(deed, at_us, state, deliveries)
        except CommitInDoubt:
            raise  # The next replay asks the log whether this one was committed, and finishes or discards it.
        except BaseException:
            discard(hidden for _, hidden, _ in prepared)
            raise  # The next replay discards what was prepared in the spool.
        for _, hidden, final in prepared:
            drop(hidden, final)
        if spooled:
            # Whoever takes over now finds the entry, and tells them.
            with suppress(WriterFenced), ReplaySpool(self.settings) as spool:
                spool.finish(replay)
        return Replayed(replay, head, tuple(final for _, _, final in prepared))

    def finished(self, trail: OperatorTrail) -> int:
        """Send what a replay prepared that was cut off after its entry, and discard what has none.

        The trail is ours, so whoever prepared something without having committed it can no longer do so.

        Returns: how many files were dropped, and one more where records of collectors were told.
        """
        folders = self._folders()
        count = 0
        for shard, hidden, final in orjson.loads(trail.state.get(DROPPING, b"[]")):
            if shard in folders:
                count += drop(folders[shard] / hidden, folders[shard] / final)
        for folder in folders.values():
            discard(leftovers(folder))
        if self.settings.collect and self.settings.spool.path.exists():
            with ReplaySpool(self.settings) as spool:
                count += spool.finish(_told_last(trail))
        return count

    def _prepared(self, plan: Plan, replay: str) -> Iterator[tuple[str, Path, Path]]:
        folders = self._folders()
        for shard, chosen in plan.found.chosen.items():
            if not shard.startswith(FOLDER):
                continue
            files = contents(chosen.mapping, chosen.values, chosen.headers, replay)
            names = file_names(chosen.mapping.input.pattern, replay, len(files))
            for name, content in zip(names, files, strict=True):
                yield shard, *prepare(folders[shard], name, content)

    def _folders(self) -> dict[str, Path]:
        """Return the drop folder of each shard that is one."""
        if self.settings.landing is None:
            return {}
        plants = (plant for plant in self.settings.mappings() if plant.input.folder)
        return {f"{FOLDER}{plant.input.folder}": folder_config(self.settings, plant).folder for plant in plants}


def _told_last(trail: OperatorTrail) -> str:
    """Return the id of the last replay in the trail that has records of collectors."""
    return trail.state.get(SPOOLING, b"").decode()


def _messages(shard: str, chosen: Chosen, replay: str) -> Iterator[Delivery]:
    """Yield the records of a partition with key, bytes and headers as they were, and the replay's id behind."""
    if not shard.startswith((FOLDER, COLLECTED)):
        for key, value, headers in _marked(chosen, replay):
            yield Delivery(chosen.topic, chosen.partition, key, value, headers)


def _spooled(shard: str, chosen: Chosen, replay: str) -> Iterator[Record]:
    """Yield the records of a collector in the same way, for its stream."""
    if shard.startswith(COLLECTED):
        for key, value, headers in _marked(chosen, replay):
            yield Record(shard, key, value, headers)


def _marked(chosen: Chosen, replay: str) -> Iterator[tuple[bytes | None, bytes, Headers]]:
    mark = (REPLAY_HEADER, replay.encode())
    for key, value, headers in zip(chosen.keys, chosen.values, chosen.headers, strict=True):
        yield key, value, (*(header for header in headers if header[0] != REPLAY_HEADER), mark)


def _content(chosen: Mapping[str, Chosen]) -> str:
    """Return the SHA-256 of what is sent: of each record shard, key and bytes, each behind its length."""
    digest = hashlib.sha256()
    for shard in sorted(chosen):
        for key, value in zip(chosen[shard].keys, chosen[shard].values, strict=True):
            for part in (shard.encode(), key or b"", value):
                digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


DETAIL_MAX: Final = 16_000
"""Characters of the particulars in the trail."""


def _bounded(told: dict[str, Any]) -> str:
    """Return the plan as JSON; long lists of criteria give way to their number."""
    text = orjson.dumps(told).decode()
    if len(text) > DETAIL_MAX:
        told = {**told, "selection": {name: _short(value) for name, value in told["selection"].items()}}
        text = orjson.dumps({name: _short(value) for name, value in told.items()}).decode()
    return text


def _short(value: Any) -> Any:
    return f"{len(value):,} of them" if isinstance(value, (list, tuple, dict)) and len(value) > 100 else value
