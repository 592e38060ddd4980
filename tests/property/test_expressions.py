"""Computed fields are what a naive evaluation of each record by itself finds, in every format and on every path."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from canonical.columns import TEXT_COLUMNS, Vocabulary
from canonical.contracts.event import EventType
from canonical.decoders import decode, json_kernel
from canonical.decoders.avro import read_container
from canonical.decoders.scaling import scaled
from canonical.mapping import PlantMapping
from canonical.records import RawRecords
from tests.property import twin_expressions as twin

NOW_US = 1_770_000_000_000_000
COLUMNS = ["machine", "n", "day", "clock", "a", "b", "c", "x", "y", "t"]
TYPES = {kind.value: kind.value for kind in EventType} | {"A": "partial", "A-B": "scrap", "7": "state"}
BASE = {
    "plant": "K",
    "input": {"folder": "k"},
    "default_type": "partial",
    "types": TYPES,
    "keys": {"order": {"A": "ORDER-A"}},
    "limits": {"past_max_s": 315_360_000},
}
SECTIONS = {
    "json": {},
    "csv": {"csv": {"columns": COLUMNS}},
    "avro": {"avro": {}},
}
SCHEMA = fastavro.parse_schema({
    "type": "record", "name": "R", "fields": [
        {"name": name, "type": ["null", kind]}
        for name, kind in zip(COLUMNS, ["string", "long", *["string"] * 5, "double", "double", "boolean"], strict=True)
    ],
})  # fmt: skip

NEVER = [{"path": name, "is": 99} for name in ("x", "y")]
"""Conditions that tell JSON's reader that these are numbers, also where only their presence is asked for."""

texts = st.sampled_from(["A", "B", "A-B", "B-17", "", "a b", "Grat ü", "partial", "x" * 300, "7"])
words = texts.filter(bool)
constants = texts.filter(lambda text: len(text) < 100)
numbers = st.one_of(
    st.integers(0, 12), st.sampled_from([0.5, 1.005, 12345.678, 0.001, 0.0001, 250, 1_000_000, 7, 2.25, 33.3])
)
records = st.fixed_dictionaries(
    {"machine": st.sampled_from(["M1", "M2"]), "n": st.integers(0, 99), "day": st.just("2026-01-31")},
    optional={
        "clock": st.sampled_from(["10:00:00Z", "11:30:00+01:00", ""]), "a": texts, "b": texts, "c": texts | st.none(),
        "x": numbers, "y": numbers | st.none(), "t": st.booleans(),
    },
)  # fmt: skip
patterns = st.sampled_from(["^A", "([0-9]+)$", "[a-z]+", "^(A|B)-", "B", "(?:A|B)(-)?", "ü"])
text_paths, number_paths = st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y"])
conditions = st.one_of(
    st.fixed_dictionaries({"path": text_paths, "is": words | st.lists(words, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"path": text_paths, "not": words}),
    st.fixed_dictionaries({"path": text_paths, "matches": patterns}),
    st.fixed_dictionaries({"path": number_paths, "is": st.lists(st.integers(0, 12), min_size=1, max_size=4)}),
    st.fixed_dictionaries({"path": number_paths, "not": st.sampled_from([7, 3])}),
    st.fixed_dictionaries({"path": st.just("t"), "is": st.booleans()}),
    st.fixed_dictionaries({"path": st.sampled_from(["a", "c", "x", "y"]), "present": st.booleans()}),
)  # fmt: skip


def sources(leaves, constants, extras, *, joins):
    """Expressions over leaves, with the modifiers that fit."""
    modifiers = st.fixed_dictionaries({}, optional={
        "when": conditions | st.lists(conditions, min_size=1, max_size=2), "default": constants, **extras,
    })  # fmt: skip

    def modified(inner):
        return st.tuples(inner, modifiers).map(lambda both: {**both[1], **both[0]})

    def grown(inner):
        several = st.lists(inner, min_size=1, max_size=3)
        kinds = [several.map(lambda parts: {"first_of": parts})]
        if joins:
            kinds.append(st.tuples(several, st.sampled_from(["", "-", "/"])).map(
                lambda both: {"join": both[0], "separator": both[1]}
            ))  # fmt: skip
        return modified(st.one_of(kinds))

    return st.recursive(leaves | modified(leaves.filter(lambda leaf: isinstance(leaf, dict))), grown, max_leaves=5)


text_sources = sources(
    text_paths | st.fixed_dictionaries({"path": text_paths}) | st.fixed_dictionaries({"value": constants})
    | st.fixed_dictionaries({"path": number_paths, "number": st.just(True)}),
    constants, {"match": patterns}, joins=True,
)  # fmt: skip
factors = st.sampled_from(["0.001", "0.1", "1", "3", "12", "100", "0.25", "1.2345", "60"])
number_sources = sources(
    number_paths | st.fixed_dictionaries({"path": number_paths}) | st.fixed_dictionaries({"value": st.integers(0, 9)}),
    st.sampled_from(["0", "1", "2.5"]), {"scale": factors, "offset": st.sampled_from(["0", "-1", "0.5"])}, joins=False,
)  # fmt: skip
fields = st.fixed_dictionaries(
    {
        "source": st.just("machine"), "seq": st.just("n"),
        "occurred": st.sampled_from([
            {"join": ["day", "clock"], "separator": "T"},
            {
                "first_of": [
                    {"join": ["day", "clock"], "separator": " "},
                    {"join": ["day", {"value": "09:00:00Z"}], "separator": "T"},
                ]
            },
        ]),
    },
    optional={
        "order": text_sources, "reason": text_sources, "lot": text_sources,
        "type": text_sources.filter(lambda source: not isinstance(source, dict) or source.keys() != {"value"}),
        "good": number_sources, "scrap": number_sources, "good_counter": number_sources,
    },
)  # fmt: skip


def records_of(form, made):
    if form == "json":
        return RawRecords.from_values([json.dumps(each).encode() for each in made], np.arange(len(made)))
    if form == "avro":
        stream = io.BytesIO()
        fastavro.writer(stream, SCHEMA, [dict.fromkeys(COLUMNS) | each for each in made])
        return read_container(stream.getvalue(), "k")
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    for each in made:
        writer.writerow([twin.as_text(each.get(name)) for name in COLUMNS])
    return RawRecords.from_lines(lines.getvalue().encode(), 0, "k")


def told(decoded, vocabulary):
    """What the rows became: columns by row, with texts for codes; or the code of the fault."""
    outcome = {fault.row: fault.code for fault in decoded.faults}
    names = [*TEXT_COLUMNS, "seq", "type", "occurred_us", "good", "scrap", "good_counter"]
    values = [
        vocabulary.text(decoded.events[name]) if name in TEXT_COLUMNS else decoded.events[name].tolist()
        for name in names
    ]
    for row, *each in zip(decoded.events["row"].tolist(), *values, strict=True):
        outcome[row] = dict(zip(names, each, strict=True))
    return outcome


def expected(mapping, made):
    """What the naive twin and a mapping without expressions make of the records."""
    plain = PlantMapping.model_validate(
        {**BASE, "format": "json", "fields": {n: n for n in mapping.sources if n != "plant"}}
    )
    outcome, rows, values = {}, [], []
    for row, each in enumerate(made):
        try:
            record = twin.computed(mapping, each)
        except twin.Refused as refused:
            outcome[row] = refused.code
            continue
        if record is not None:
            record.pop("plant")
            rows.append(row)
            values.append(json.dumps(record, default=float).encode())
    if rows:
        vocabulary = Vocabulary()
        done = told(
            decode(plain, RawRecords.from_values(values, np.arange(len(values))), vocabulary, NOW_US), vocabulary
        )
        outcome |= {rows[row]: each for row, each in done.items()}
    return outcome


@pytest.mark.parametrize("form", ["json", "json without kernel", "csv", "avro"])
@settings(max_examples=60)
@given(fields=fields, skip=st.lists(conditions, max_size=2), made=st.lists(records, min_size=1, max_size=6))
def test_computed_fields_are_those_of_the_naive_twin(form, fields, skip, made):
    how = form.partition(" ")[0]
    mapping = PlantMapping.model_validate(
        {**BASE, "format": how, **SECTIONS[how], "fields": fields, "skip": skip + NEVER}
    )
    with pytest.MonkeyPatch.context() as patch:
        if form.endswith("kernel"):
            patch.setattr(json_kernel, "_READ", None)
        vocabulary = Vocabulary()
        decoded = decode(mapping, records_of(how, made), vocabulary, NOW_US)
        outcome = told(decoded, vocabulary)
        wanted = expected(mapping, made)
        assert outcome == wanted
        assert decoded.skipped == len(made) - len(wanted)
        # The words met before, and another company, change nothing.
        again = told(decode(mapping, records_of(how, made[::-1]), vocabulary, NOW_US), vocabulary)
        assert [again.get(len(made) - 1 - row) for row in range(len(made))] == [wanted.get(r) for r in range(len(made))]


@given(
    x=st.decimals(0, 10**9, places=3) | st.integers(0, 10**12).map(Decimal) | st.decimals(0, 1000, places=6),
    scale=factors.map(Decimal) | st.decimals(Decimal("0.000001"), 999, places=6),
    offset=st.decimals(-1000, 1000, places=3),
)
@example(x=Decimal("0.1"), scale=Decimal("0.3"), offset=Decimal(0))
@example(x=Decimal(1), scale=Decimal("0.0005"), offset=Decimal("0.0005"))
def test_a_scaled_number_is_exact_or_told_to_be_finer(x, scale, offset):
    if len(x.as_tuple().digits) > 15 or len(scale.normalize().as_tuple().digits) > 9 or offset % Decimal("0.001"):
        return
    exact = (x * scale + offset) * 1000
    if abs(exact) > 10**15:
        return
    [found] = scaled(pa.array([float(x)]), scale, offset).to_pylist()
    if exact == int(exact):
        assert found == int(exact) / 1000
    else:
        assert round(found * 1000) / 1000 != found
