"""Several inputs as one: each whole and in its own order, from any position on, and none kept waiting."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from dataflows.sources.landed_files import FolderConfig, LandedFiles
from dataflows.sources.log_stream import LogStream
from dataflows.sources.merged import Merged, input_of
from sinks.commit_log import Record
from sinks.memory import MemoryLog, MemoryStore


class Few(LogStream):
    """Polls as few records as a test wants."""

    def poll(self):
        raw = super().poll()
        if len(raw) > 2:
            self._after = int(raw.offsets[1])
            raw = type(raw).from_values(
                [raw.value(0), raw.value(1)], raw.offsets[:2], raw.topic, 0, raw.keys[:2], raw.headers[:2]
            )
        return raw


def filled(counts):
    store = MemoryStore()
    log = MemoryLog(store)
    log.restore("all")
    records = [Record(name, b"", f"{name}-{n}".encode()) for name, count in counts.items() for n in range(count)]
    log.commit("all", "", {}, records)
    return store


def opened(store, counts):
    return Merged({name: Few(store, name) for name in counts})


counts = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 12), min_size=1)


@given(counts, st.lists(st.booleans(), max_size=40))
def test_each_input_comes_whole_and_in_order_however_often_it_is_opened_anew(counts_, stops):
    store = filled(counts_)
    reader, seen = opened(store, counts_), defaultdict(list)
    for stop in [*stops, *[False] * 60]:
        if stop:
            position, state = reader.position(), reader.state()
            reader = opened(store, counts_)
            reader.seek(position, state)
        raw = reader.poll()
        if len(raw):
            name, own = input_of(raw)
            assert own.topic == name
            seen[name] += [own.value(row).decode() for row in range(len(own))]
    assert seen == {name: [f"{name}-{n}" for n in range(count)] for name, count in counts_.items() if count}
    assert reader.at_end()
    assert reader.behind() == 0


@given(counts)
def test_an_input_waits_for_no_more_than_one_batch_of_each_other(counts_):
    reader = opened(filled(counts_), counts_)
    left = {name: count for name, count in counts_.items() if count}
    waited = dict.fromkeys(left, 0)
    while len(raw := reader.poll()):
        name, own = input_of(raw)
        left[name] -= len(own)
        waited = {other: 0 if other == name else turns + 1 for other, turns in waited.items() if left[other]}
        assert all(turns < len(counts_) for turns in waited.values())


def test_the_state_of_each_input_is_its_own_and_an_input_that_went_is_remembered(tmp_path):
    def folder(name):
        (tmp_path / name).mkdir(exist_ok=True)
        return LandedFiles(FolderConfig(tmp_path / name, by_content=True, settle_us=0), lambda: 2**60)

    for name in ("one", "two"):
        reader = folder(name)
        (tmp_path / name / "same.ndjson").write_text(f"{name}\n")
        reader.close()
    first = Merged({name: folder(name) for name in ("one", "two")})
    told = []
    while len(raw := first.poll()):
        told.append(input_of(raw)[1].value(0))
    assert sorted(told) == [b"one", b"two"]

    position, state = first.position(), dict(first.state())
    assert sorted(state) == ["source.one|files", "source.two|files"]
    alone = Merged({"one": folder("one")})
    alone.seek(position, state)
    assert len(alone.poll()) == 0
    again = Merged({name: folder(name) for name in ("one", "two", "three")})
    again.seek(alone.position(), state)
    assert len(again.poll()) == 0
    (tmp_path / "three" / "new.ndjson").write_text("three\n")
    name, raw = input_of(again.poll())
    assert (name, raw.topic, raw.value(0)) == ("three", "three/new.ndjson", b"three")
    again.close()
