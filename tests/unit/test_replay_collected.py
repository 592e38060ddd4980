"""Records of a collector go back into its stream exactly once for each replay, and its entry decides (M29, M41)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from canonical.contracts import FaultCode
from dataflows.collect_shards import make_spool
from dataflows.collectors.refusals import Refused
from dataflows.dead_letter_box import fetched_again, letters
from dataflows.health.health import confirmations_health
from dataflows.refused_stream import refused_record
from dataflows.replay.selection import Selection
from dataflows.replay.spool import ReplaySpool
from dataflows.spool import refused_beside
from dataflows.trail.operator_trail import OperatorTrail, operator_trail
from dataflows.trail.trail_check import verified
from sinks.commit_log import CommitInDoubt, Record, WriterFenced
from sinks.dead_letters import parse
from sinks.sqlite import SqliteLog, SqliteStreams
from tests.mapped_plant import clock
from tests.replayed_plant import MAPPING, ReplayedPlant, record

INPUT = '[input]\nfolder = "p"\npattern = "*.json"\n'
STREAM = "collected:line"


class Collected(ReplayedPlant):
    """The same plant, whose records a collector has put into the spool."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.mapping.write_text(MAPPING.replace(INPUT, '[input]\ncollected = ["line"]\n'))
        collector = '[collect.line]\nprotocol = "shdr"\nhost = "127.0.0.1"\n'
        self.config.write_text(f'plants = ["p.toml"]\n{collector}')

    def collects(self, *records: bytes) -> None:
        make_spool(self.settings)
        with closing(SqliteLog(self.settings.spool.path)) as log:
            log.restore(STREAM)
            log.commit(STREAM, "{}", {}, [Record(STREAM, b"key", each.rstrip(), (("own", b"1"),)) for each in records])
        self.run()

    def stream(self) -> list:
        with closing(SqliteStreams(self.settings.spool.path)) as streams:
            return streams.read(STREAM, 0, 1_000)

    def finished(self) -> int:
        with operator_trail(self.settings) as trail:
            return self.replay.finished(trail)


@pytest.fixture
def plant(tmp_path) -> Collected:
    plant = Collected(tmp_path)
    plant.collects(record(0), record(1, u="STCK", o="2"), record(2))
    assert plant.good() == 1_000
    plant.mended()
    return plant


def test_a_record_that_is_understood_now_fills_its_hole_and_keeps_key_and_headers(plant):
    done = plant.apply()
    plant.run()
    assert plant.good() == 3_000
    stored = plant.stream()
    assert [each.offset for each in stored] == [1, 2, 3, 4]
    assert (stored[3].key, stored[3].value) == (b"key", stored[1].value)
    assert dict(stored[3].headers)["own"] == b"1"
    assert dict(stored[3].headers)["plantsync.replay"] == done.id.encode()
    assert plant.replay.planned(Selection()).records == 0
    assert plant.finished() == 0
    assert len(plant.stream()) == 4


def test_what_was_refused_is_told_and_cannot_be_sent(plant):
    with closing(SqliteLog(plant.settings.spool.path)) as log:
        log.restore(STREAM)
        refused = Refused(FaultCode.OVERSIZE, record(3), 1, {"10.0.0.7: too long": None})
        log.commit(STREAM, "{}", {}, [refused_record(refused_beside(STREAM), refused)])
    plant.run()
    *_, (place, stored) = letters(plant.settings)
    assert (parse(stored).fault.code, parse(stored).fault.detail) == (FaultCode.OVERSIZE, "10.0.0.7: too long")
    assert fetched_again(plant.settings, stored, clock) is None
    plan = plant.replay.planned(Selection(places=(place,)))
    assert (plan.records, plan.told()["left_out"]["bytes_gone"]) == (0, 1)
    assert [shard.problem for shard in confirmations_health(plant.settings, clock)] == ["", ""]


def test_what_was_read_is_sent_again_and_changes_nothing(plant):
    plant.apply()
    plant.run()
    for selection in (Selection(origin="input", shard=STREAM), Selection(origin="input", topic=STREAM)):
        plant.apply(selection)
        plant.run()
    assert len(plant.stream()) == 4 + 4 + 8
    assert plant.good() == 3_000


def test_a_replay_cut_off_after_its_entry_is_finished_by_the_next(plant, monkeypatch):
    monkeypatch.setattr(ReplaySpool, "finish", lambda *_: False)
    plant.apply()
    monkeypatch.undo()
    assert len(plant.stream()) == 3
    assert plant.finished() == 1
    assert plant.finished() == 0
    plant.run()
    assert plant.good() == 3_000
    assert len(plant.stream()) == 4
    assert verified(plant.settings, clock).breaks == []


@pytest.mark.parametrize("error", [WriterFenced("taken over"), OSError("full")])
def test_without_its_entry_nothing_is_sent(plant, monkeypatch, error):
    def refused(*_: object) -> None:
        raise error

    monkeypatch.setattr(OperatorTrail, "append", refused)
    with pytest.raises(type(error)):
        plant.apply()
    monkeypatch.undo()
    assert plant.finished() == 0
    assert len(plant.stream()) == 3
    plant.apply()
    assert len(plant.stream()) == 4


@pytest.mark.parametrize("stored", [True, False])
def test_where_the_answer_was_lost_the_log_decides(plant, monkeypatch, stored):
    append = OperatorTrail.append

    def lost(*args: object) -> None:
        if stored:
            append(*args)
        raise CommitInDoubt("no answer")

    monkeypatch.setattr(OperatorTrail, "append", lost)
    with pytest.raises(CommitInDoubt):
        plant.apply()
    monkeypatch.undo()
    assert plant.finished() == stored
    assert len(plant.stream()) == 3 + stored
