"""B2MML: what is written is read back, and no bytes do harm (M01, M03, M17, M32; DESIGN laws 4, 6, 7)."""

from __future__ import annotations

import re
import time
import tracemalloc
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from canonical.b2mml import Terms, Unwritable, performance, posting_document, read_references
from canonical.b2mml.document import read_document
from canonical.b2mml.element import Bounds, read_element
from canonical.b2mml.event_lines import event_lines
from canonical.b2mml.refusal import Refusal
from canonical.b2mml.segments import MaterialActual, Segment, segments
from canonical.columns import Vocabulary
from canonical.contracts.fault import FaultCode
from canonical.contracts.posting import Movement, Posting, PostingKind
from canonical.contracts.reference import StockType
from canonical.decoders import decode
from canonical.decoders.b2mml import read_landed
from canonical.mapping import load
from canonical.records import RawRecords
from canonical.units import UNITS
from tests import b2mml_documents as documents
from tests.b2mml_postings import CONFIRMATION, POSTINGS

PLANT = load(Path(__file__).parents[1] / "fuzz/plants/weighing.toml")
TERMS = Terms(erp="S4", plant="W", time_zone="Europe/Paris")
NOW_US = 1_772_625_600_000_000  # 2026-03-04T12:00:00Z

# -- Written and read back -------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20).map(
    str.strip
)
KEYS = TEXTS.filter(bool)
AMOUNTS = st.integers(0, 10**15)
TIMES = st.integers(0, 10**12)
MOVEMENTS = st.builds(
    Movement,
    movement_type=st.sampled_from(["101", "102", "261", "262", "321", "531"]),
    material=KEYS,
    lot=TEXTS,
    quantity=AMOUNTS,
    unit=st.sampled_from(sorted(UNITS)),
    storage_location=TEXTS,
    stock_type=st.sampled_from(StockType),
    to_storage_location=st.just(""),
    to_stock_type=st.sampled_from(StockType),
    reservation=TEXTS,
    reservation_item=TEXTS,
)
POSTED = st.builds(
    Posting,
    posting_id=st.uuids(),
    kind=st.sampled_from(PostingKind),
    erp=st.just("S4"),
    plant=st.just("W"),
    erp_plant=KEYS,
    order=TEXTS,
    number=st.just(0),
    operation=TEXTS,
    work_center=TEXTS,
    material=KEYS,
    lot=TEXTS,
    reason=TEXTS,
    unit=st.sampled_from(sorted(UNITS)),
    shift=TEXTS,
    posting_date=st.dates(),
    document_date=st.dates(),
    good=AMOUNTS,
    scrap=AMOUNTS,
    rework=AMOUNTS,
    setup_us=TIMES,
    machine_us=TIMES,
    labour_us=TIMES,
    start_us=st.integers(-(10**16), 10**17),
    end_us=st.integers(-(10**16), 10**17),
    final=st.booleans(),
    movements=st.lists(MOVEMENTS, max_size=3).map(tuple),
    reverses=st.uuids().map(str),
    correlation_id=TEXTS,
)


def exact(text: str) -> int:
    """Return thousandths of a decimal, by another way than the product's."""
    scaled = Decimal(text) * 1000
    assert scaled == int(scaled)
    return int(scaled)


def spent(segment: Segment) -> dict[str, Decimal]:
    times = {"Setup": Decimal(0), "Machine": Decimal(0), "Labour": Decimal(0)}
    for used in (*segment.equipment, *segment.persons):
        if used.quantity is not None:
            assert used.quantity.unit == "SEC"
            times[used.use] += Decimal(used.quantity.value)
    return times


def line(actual: MaterialActual, *, transfer_to: bool = False) -> dict[str, object]:
    assert actual.quantity is not None
    stock = "to_stock_type" if transfer_to else "stock_type"
    place = "to_storage_location" if transfer_to else "storage_location"
    return {
        "movement_type": actual.properties.get(posting_document.MOVEMENT_TYPE, ""),
        "material": actual.material,
        "lot": actual.lot,
        "quantity": exact(actual.quantity.value),
        "unit": actual.quantity.unit,
        place: actual.place,
        stock: actual.properties.get(posting_document.STOCK_TYPE, ""),
        "reservation": actual.properties.get(posting_document.RESERVATION, ""),
        "reservation_item": actual.properties.get(posting_document.RESERVATION_ITEM, ""),
    }


@given(POSTED)
@example(POSTINGS[0])
@example(POSTINGS[1])
def test_a_posting_is_read_back_as_it_was_written(posting):
    document = read_document(performance(posting))
    (segment,) = segments(document)
    assert performance(posting) == performance(posting)
    assert document.withdrawn == (posting.kind is PostingKind.REVERSAL)
    assert document.message == str(posting.posting_id)
    assert segment.response == (posting.reverses if document.withdrawn else str(posting.posting_id))
    assert (segment.site, segment.order) == (posting.erp_plant, posting.order or segment.response)
    assert segment.operation == (posting.operation or str(posting.posting_id))
    assert (segment.state == "Completed") == posting.final
    assert np.datetime64(segment.started.removesuffix("Z"), "us").astype(int) == posting.start_us
    assert np.datetime64(segment.ended.removesuffix("Z"), "us").astype(int) == posting.end_us
    assert segment.posting_date == f"{posting.posting_date}T00:00:00"
    stated = {name: datum.value for name, datum in segment.data.items()}
    assert exact(stated.get("ScrapQuantity", "0")) == posting.scrap
    assert exact(stated.get("ReworkQuantity", "0")) == posting.rework
    assert stated.get("ScrapReason", "") == posting.reason
    assert stated["DocumentDate"] == str(posting.document_date)
    assert (stated.get("Shift", ""), stated.get("CorrelationID", "")) == (posting.shift, posting.correlation_id)
    assert {datum.unit for name, datum in segment.data.items() if name.endswith("Quantity")} <= {posting.unit}
    assert spent(segment) == {
        "Setup": Decimal(posting.setup_us) / 10**6,
        "Machine": Decimal(posting.machine_us) / 10**6,
        "Labour": Decimal(posting.labour_us) / 10**6,
    }
    assert segment.work_center == posting.work_center
    moved_or_made(posting, segment)


def moved_or_made(posting: Posting, segment: Segment) -> None:
    actuals = list(segment.materials)
    if posting.kind is PostingKind.CONFIRMATION or (posting.kind is PostingKind.REVERSAL and not posting.movements):
        made = actuals.pop(0)
        assert made.quantity is not None
        assert (made.use, made.material, made.lot) == ("Yield Produced", posting.material, posting.lot)
        assert (exact(made.quantity.value), made.quantity.unit) == (posting.good, posting.unit)
        assert not made.properties
    if posting.kind is PostingKind.STOCK_TRANSFER:
        assert [actual.use for actual in actuals] == ["Material Consumed", "Material Produced"] * len(posting.movements)
        found = [line(a) | line(b, transfer_to=True) for a, b in zip(actuals[::2], actuals[1::2], strict=True)]
        assert found == [movement.model_dump(mode="json") for movement in posting.movements]
        return
    left_out = {"to_storage_location", "to_stock_type"}
    assert list(map(line, actuals)) == [
        movement.model_dump(mode="json", exclude=left_out) for movement in posting.movements
    ]
    for actual, movement in zip(actuals, posting.movements, strict=True):
        received = posting.kind is PostingKind.GOODS_RECEIPT or movement.movement_type.startswith("1")
        assert actual.use == ("Produced" if received else "Consumed")


@given(POSTED)
def test_a_confirmation_is_the_event_it_came_from(posting):
    posting = posting.model_copy(
        update={"kind": PostingKind.CONFIRMATION, "movements": (), "good": posting.good % 10**9,
                "scrap": posting.scrap % 10**9, "rework": posting.rework % 10**9, "order": posting.order or "1",
                "operation": posting.operation or "1", "end_us": NOW_US - 1}
    )  # fmt: skip
    vocabulary = Vocabulary()
    done = decode(PLANT, read_landed(performance(posting)), vocabulary, NOW_US)
    assert not done.faults
    (row,) = range(len(done.events))
    for name in ("order", "operation", "work_center", "material", "lot", "reason", "unit"):
        assert vocabulary.texts[done.events[name][row]] == getattr(posting, name), name
    for name in ("good", "scrap", "rework", "setup_us", "machine_us", "labour_us"):
        assert done.events[name][row] == getattr(posting, name), name
    assert done.events["occurred_us"][row] == posting.end_us


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "a\tb", " a", "a\u00a0", "\ufffe", "a\x85"])
def test_what_would_not_come_back_is_not_written(text):
    with pytest.raises(Unwritable):
        performance(CONFIRMATION.model_copy(update={"lot": text}))


@pytest.mark.parametrize("wrong", [{"machine_us": -1}, {"end_us": 2**62}])
def test_times_no_document_can_tell_are_not_written(wrong):
    with pytest.raises(Unwritable, match="correct what it was derived from"):
        performance(CONFIRMATION.model_copy(update=wrong))


# -- Hostile documents -----------------------------------------------------------------------------

SOUND = (
    *(performance(posting) for posting in POSTINGS),
    documents.performance(documents.actual("Consumed") + documents.actual("Produced"), "V0401"),
    documents.transaction("MaterialLot", "<MaterialLot><ID>L</ID><Status>Valid</Status></MaterialLot>", "V0600"),
)
LAUGHS = b'<!DOCTYPE x [<!ENTITY a "ha">%s]><x>&z;</x>' % b"".join(
    b'<!ENTITY %c "%s">' % (name, b"&%c;" % (name - 1) * 10) for name in range(ord("b"), ord("z") + 1)
)
HOSTILE = {
    "billion laughs": (LAUGHS, FaultCode.MALFORMED),
    "quadratic": (b'<!DOCTYPE x [<!ENTITY a "%s">]><x>%s</x>' % (b"a" * 10**5, b"&a;" * 10**4), FaultCode.MALFORMED),
    "external entity": (b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>', FaultCode.MALFORMED),
    "external document type": (b'<!DOCTYPE x SYSTEM "http://localhost/x"><x/>', FaultCode.MALFORMED),
    "parameter entity": (b'<!DOCTYPE x [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><x/>', FaultCode.MALFORMED),
    "document type in utf-16": ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'.encode("utf-16"), FaultCode.MALFORMED),
    "unknown entity": (b"<x>&a;</x>", FaultCode.MALFORMED),
    "deep": (b"<x>" * 10**5, FaultCode.DEEP_NESTING),
    "deep extension": (b"<x>" + b'<y xmlns="u:y">' * 10**5, FaultCode.DEEP_NESTING),
    "many": (b"<x>" + b"<y/>" * 150_000, FaultCode.OVERSIZE),
    "large": (b"<x>" + b" " * (8 << 20), FaultCode.OVERSIZE),
    "long text": (b"<x>" + b"a" * 10**6 + b"</x>", FaultCode.TEXT_TOO_LONG),
    "long text in parts": (b"<x>" + b"a<y/>" * 70_000 + b"</x>", FaultCode.TEXT_TOO_LONG),
    "long name": (b"<" + b"x" * 10**6 + b"/>", FaultCode.UNKNOWN_SCHEMA),
    "truncated": (SOUND[0][:700], FaultCode.TRUNCATED),
    "nothing but blanks inside": (b"<?xml version='1.0'?>  ", FaultCode.TRUNCATED),
    "latin-1 said to be utf-8": (SOUND[0].replace(b"TOOL", b"\xe4"), FaultCode.NOT_UTF8),
    "utf-8 said to be utf-16": (SOUND[0].replace(b"UTF-8", b"UTF-16"), FaultCode.NOT_UTF8),
    "an encoding that runs code": (SOUND[0].replace(b"UTF-8", b"rot13"), FaultCode.NOT_UTF8),
    "a multi-byte encoding": (SOUND[0].replace(b"UTF-8", b"shift_jis"), FaultCode.NOT_UTF8),
    "no xml": (b"ISA-95", FaultCode.MALFORMED),
    "two roots": (SOUND[0] + b"<x/>", FaultCode.MALFORMED),
    "another namespace": (SOUND[0].replace(b"mesa.org", b"mesa.com"), FaultCode.UNKNOWN_SCHEMA),
    "another noun": (SOUND[0].replace(b"ProcessOperationsPerformance", b"Recipe"), FaultCode.UNKNOWN_TYPE),
    "no data": (re.sub(b"<DataArea>.*</DataArea>", b"", SOUND[0]), FaultCode.MISSING_FIELD),
}


@pytest.mark.parametrize(("data", "code"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_documents_are_refused_at_little_cost(data, code):
    tracemalloc.start()
    began = time.process_time()
    (fault,) = read_references(data, TERMS).faults
    spent_s, (_, peak_bytes) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fault.code is code
    assert 0 < len(fault.detail) <= 240
    assert spent_s < 10, "seconds at most, even where it is traced"
    assert peak_bytes < 100 << 20
    assert event_lines(data) == [data]
    done = decode(PLANT, RawRecords.from_values([data], np.zeros(1, np.int64)), Vocabulary(), NOW_US)
    assert [found.code for found in done.faults] == [code]


def test_texts_of_a_large_document_are_not_multiplied():
    many = documents.actual("Consumed").join([""] * 5_000)
    data = documents.performance(f"<SegmentRequirementID>{'x' * 60_000}</SegmentRequirementID>{many}")
    lines = event_lines(data)
    assert len(lines) == 4_999
    assert sum(map(len, lines)) < 4 * len(data), "and not 4,999 times 60,000"


PIECES = (b"<", b"&", b"]]>", b"<!--", b"&#0;", b"<ID>", b"-1", b"")


@given(st.sampled_from(SOUND), st.data())
def test_damaged_documents_are_records_or_faults(sound, data):
    damaged = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged)))
        end = data.draw(st.integers(at, min(at + 40, len(damaged))))
        damaged[at:end] = data.draw(
            st.one_of(
                st.binary(max_size=8), st.sampled_from([b"<", b"&", b"]]>", b"<!--", b"&#0;", b"<ID>", b"-1", b""])
            )
        )
    harmless(bytes(damaged))


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_records_or_faults(data):
    harmless(data)


def harmless(data: bytes) -> None:
    """Each reader gives an answer, the same each time, in which every record is accounted for."""
    assert read_references(data, TERMS) == read_references(data, TERMS)
    raw = read_landed(data)
    assert [raw.value(row) for row in range(len(raw))] == event_lines(data)
    done = decode(PLANT, raw, Vocabulary(), NOW_US)
    assert len(done.events) + len(done.faults) + done.skipped == len(raw)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<&>\ufffe\uffff"), max_size=50))
def test_encodings_are_read_alike(text):
    def read(encoding: str) -> str:
        return read_element(f"<?xml version='1.0' encoding='{encoding}'?><x>{text}</x>".encode(encoding), Bounds())[
            1
        ].text

    assert read("utf-8") == read("utf-16") == text.strip()
    if text.isascii():
        assert read("us-ascii") == read("ISO-8859-1") == read("windows-1252") == text.strip()


def test_an_extension_is_left_out_with_all_it_holds():
    namespace, root = read_element(
        b'<x xmlns="u:a"><y xmlns="u:b"><x xmlns="u:a">no</x>no</y>yes<x>1</x></x>', Bounds()
    )
    assert (namespace, root.text, [(child.name, child.text) for child in root.children]) == ("u:a", "yes", [("x", "1")])


@given(st.integers(1, 40), st.integers(1, 40))
def test_bounds_are_as_they_are_set(depth, depth_max):
    document = b"<x>" * depth + b"</x>" * depth
    if depth <= depth_max:
        assert read_element(document, Bounds(depth_max=depth_max))
    else:
        with pytest.raises(Refusal) as refusal:
            read_element(document, Bounds(depth_max=depth_max))
        assert refusal.value.code is FaultCode.DEEP_NESTING
