"""B2MML: schedules, materials and lots as reference data, performances as events, postings as documents.

Requirements: M03, M08, M10, M11, M17, M18, M22, M30, M32; issue D, the weighing exchange.
"""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from canonical.b2mml import Terms, performance, read_references
from canonical.b2mml.refusal import Refusal
from canonical.b2mml.values import instant_us
from canonical.columns import Sessions, Vocabulary
from canonical.contracts.fault import FaultCode
from canonical.contracts.reference import (
    LotReference,
    LotStatus,
    MaterialReference,
    OrderComponent,
    OrderOperation,
    OrderReference,
    OrderStatus,
)
from canonical.decoders import decode
from canonical.decoders.b2mml import read_landed
from canonical.mapping import load
from canonical.records import RawRecords
from dataflows.confirmation_stages import event_columns
from dataflows.replay.files import contents
from dataflows.sources.landed_files import FILE_SHIFT, FolderConfig, LandedFiles
from tests import b2mml_documents as documents
from tests.b2mml_documents import actual, amount, transaction
from tests.b2mml_postings import POSTINGS

PLANT = load(Path(__file__).parents[1] / "fuzz/plants/weighing.toml")
TERMS = Terms(erp="DEV130", plant="W", time_zone="Europe/Paris")
NOW_US = 1_772_625_600_000_000  # 2026-03-04T12:00:00Z
CREATED_US = 1_772_532_000_000_000
courbon = pytest.mark.skipif(
    not documents.COURBON.is_dir(), reason=f"the weighing exchange is not at hand: {documents.COURBON}"
)


def exchanged(name: str) -> bytes:
    return next(documents.COURBON.glob(f"{name}-*.xml")).read_bytes()


def decoded(raw: RawRecords, now_us: int = NOW_US):
    """Return the events with what is not empty of each, and the codes of the faults."""
    vocabulary = Vocabulary()
    done = decode(PLANT, raw, vocabulary, now_us)
    columns = event_columns(done.events, Sessions(vocabulary))
    rows = [
        {name: value for name, value in zip(columns, row, strict=True) if value}
        for row in zip(*columns.values(), strict=True)
    ]
    return rows, [fault.code for fault in done.faults], done.skipped


def events(data: bytes):
    return decoded(read_landed(data))


def said(data: bytes, terms: Terms = TERMS):
    found = read_references(data, terms)
    assert not found.faults
    return found.records


def refused(data: bytes, terms: Terms = TERMS) -> list[FaultCode]:
    found = read_references(data, terms)
    assert not found.records
    return [fault.code for fault in found.faults]


# -- The weighing exchange -------------------------------------------------------------------------


@courbon
def test_the_schedule_is_an_order_with_four_components():
    component = {"operation": "Weighing", "unit": "KGM"}
    assert said(exchanged("PRO")) == (
        OrderReference(
            changed_us=1_260_465_256_000_000,
            erp="DEV130",
            plant="W",
            order="258456",
            status=OrderStatus.RELEASED,
            material="SO1215",
            quantity=1_000,
            unit="KGM",
            operations=(
                OrderOperation(operation="Weighing", work_center="3", quantity=1_000),
                OrderOperation(operation="0010", quantity=1_000),
            ),
            components=(
                OrderComponent(item="0010", material="CRBN0001", quantity=5_000, storage_location="BOX3", **component),
                OrderComponent(item="0020", material="CRBN0002", quantity=50_000, storage_location="BOX1", **component),
                OrderComponent(
                    item="0030", material="CRBN0001", quantity=811_000, storage_location="BOX3", **component
                ),
                OrderComponent(
                    item="0040", material="CRBN0003", quantity=100_000, storage_location="BOX4", **component
                ),
            ),
        ),
    )


@courbon
def test_the_material_its_lot_and_its_sublot():
    assert said(exchanged("MAT")) == (
        MaterialReference(changed_us=1_355_158_976_000_000, material="CRBN0001", base_unit="KGM"),
    )
    assert said(exchanged("LOT")) == (
        LotReference(
            changed_us=1_355_159_238_000_000,
            valid_to_us=1_386_460_800_000_000,  # 2013-12-08
            material="CRBN0001",
            lot="CRBN0001_LOT01",
            status=LotStatus.VALID,
        ),
    )
    assert said(exchanged("INV")) == (
        LotReference(
            changed_us=1_355_162_154_000_000,
            material="CRBN0001",
            lot="CRBN0001_LOT01_01",
            status=LotStatus.NOT_VALID,
        ),
    )


@courbon
def test_the_performance_is_one_consumption():
    rows, faults, skipped = decoded(read_landed(exchanged("PES")), now_us=1_356_000_000_000_000)
    assert (faults, skipped) == ([], 0)
    assert rows == [
        {
            "plant": "W",
            "source": "WEIGH-1",
            "type": "consume",
            "order": "53107",
            "operation": "Weighing",
            "material": "CRBN0001",
            "lot": "CRBN0001_LOT01",
            "handling_unit": "430147330000056734",
            "quantity": 410,
            "unit": "KGM",
            "occurred_us": 1_354_186_705_314_955,  # 11:58:25.3149559+01:00
            "recorded_us": 1_354_186_705_314_955,
        }
    ]


@courbon
def test_reference_data_are_no_events_and_events_no_reference_data():
    for name in ("PRO", "MAT", "LOT", "INV"):
        assert events(exchanged(name)) == ([], [FaultCode.UNKNOWN_TYPE], 0)
    assert refused(exchanged("PES")) == [FaultCode.UNKNOWN_TYPE]


# -- Schedules -------------------------------------------------------------------------------------


def schedule(request: str, verb: str = "Sync", action: str = "") -> bytes:
    return transaction(
        "OperationsSchedule", f"<OperationsSchedule><ID>S</ID>{request}</OperationsSchedule>", "V0700", verb, action
    )


def request(number: str, more: str = "") -> str:
    return f"<OperationsRequest><ID>{number}</ID>{more}</OperationsRequest>"


def requirement(use: str, name: str = "1", value: str = amount("2")) -> str:
    return (
        f"<MaterialRequirement><ID>{name}</ID><MaterialDefinitionID>M-{name}</MaterialDefinitionID>"
        f"<MaterialUse>{use}</MaterialUse><StorageLocation><Location>S1</Location>"
        f"<LocationType>Other</LocationType></StorageLocation>{value}</MaterialRequirement>"
    )


def test_a_schedule_of_the_newest_release():
    inner = (
        "<SegmentRequirementChild><ID>0020</ID><EquipmentRequirement><EquipmentID>WC2</EquipmentID>"
        f"</EquipmentRequirement>{requirement('Consumed', '7')}{requirement('Consumable')}</SegmentRequirementChild>"
    )
    segment = f"<SegmentRequirement><ID>0010</ID>{requirement('Produced', '9', amount('12', 'pcs'))}{inner}"
    data = schedule(request("4711", f"<RequestState>Held</RequestState>{segment}</SegmentRequirement>"))
    assert said(data) == (
        OrderReference(
            changed_us=CREATED_US,
            erp="DEV130",
            plant="W",
            order="4711",
            status=OrderStatus.LOCKED,
            material="M-9",
            quantity=12_000,
            unit="H87",
            operations=(
                OrderOperation(operation="0020", work_center="WC2", quantity=12_000),
                OrderOperation(operation="0010", quantity=12_000),
            ),
            components=(
                OrderComponent(
                    item="7", material="M-7", operation="0020", quantity=2_000, unit="KGM", storage_location="S1"
                ),
            ),
        ),
    )


@pytest.mark.parametrize(("verb", "action"), [("Cancel", ""), ("Sync", "Delete"), ("Change", "Delete")])
def test_what_is_cancelled_is_withdrawn(verb, action):
    (order,) = said(schedule(request("4711"), verb, action))
    assert order.deleted


@pytest.mark.parametrize("verb", ["Get", "Acknowledge"])
def test_a_question_and_an_acknowledgement_say_nothing(verb):
    assert said(schedule(request("4711"), verb)) == ()
    assert events(documents.performance(actual("Consumed"), verb=verb)) == ([], [], 1)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (request(""), FaultCode.MISSING_FIELD),
        (request("x" * 257), FaultCode.TEXT_TOO_LONG),
        (request("1", "<RequestState>Perhaps</RequestState>"), FaultCode.WRONG_TYPE),
        *(
            (request("1", f"<SegmentRequirement><ID>0010</ID>{materials}</SegmentRequirement>"), code)
            for materials, code in [
                (requirement("Consumed", value=amount("1,5")), FaultCode.WRONG_TYPE),
                (requirement("Consumed", value=amount("-1")), FaultCode.NEGATIVE_QUANTITY),
                (requirement("Consumed", value=amount("0.0001")), FaultCode.ABSURD_QUANTITY),
                (requirement("Consumed", value=amount("1e12")), None),
                (requirement("Consumed", value=amount("1000000000001")), FaultCode.ABSURD_QUANTITY),
                (requirement("Consumed", value=amount("1", "furlong")), FaultCode.UNKNOWN_UNIT),
                (requirement("Consumed", value=amount("1") * 2), FaultCode.MALFORMED),
                (requirement("Consumed") * 2, FaultCode.MALFORMED),
                ("<MaterialRequirement><MaterialUse>Consumed</MaterialUse></MaterialRequirement>",
                 FaultCode.MISSING_FIELD),
            ]
        ),
    ],
)  # fmt: skip
def test_a_faulty_order_stops_no_other(wrong, code):
    found = read_references(schedule(request("A") + wrong + request("B")), TERMS)
    orders = [record.order for record in found.records]
    assert orders == (["A", "B"] if code else ["A", "1", "B"])
    assert [fault.code for fault in found.faults] == ([code] if code else [])
    assert all(fault.line == 2 for fault in found.faults)


def test_the_words_of_a_plant_count_before_ours():
    terms = TERMS.model_copy(update={"units": {"KG": "LBR"}, "lot_states": {"Gesperrt": LotStatus.RESTRICTED}})
    lot = "<MaterialLot><ID>L</ID><MaterialDefinitionID>M</MaterialDefinitionID><Status>Gesperrt</Status></MaterialLot>"
    (found,) = said(transaction("MaterialLot", lot), terms)
    assert (found.material, found.lot, found.status) == ("M", "L", LotStatus.RESTRICTED)
    assert refused(transaction("MaterialLot", lot)) == [FaultCode.WRONG_TYPE]
    segment = f"<SegmentRequirement><ID>0010</ID>{requirement('Consumed')}</SegmentRequirement>"
    (order,) = said(schedule(request("1", segment)), terms)
    assert order.components[0].unit == "LBR"


def test_terms_nobody_knows_are_refused():
    with pytest.raises(ValueError, match="unknown time zone 'Mars'"):
        Terms(erp="E", plant="P", time_zone="Mars")
    with pytest.raises(ValueError, match="'furlong' is not a known"):
        Terms(erp="E", plant="P", units={"f": "furlong"})


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("2012-11-29T11:58:25.3149559+01:00", 1_354_186_705_314_955),
        ("2012-12-10T17:55:54.0Z", 1_355_162_154_000_000),
        ("2026-03-03T11:00:00", CREATED_US),  # Paris
        ("2026-10-25T02:30:00", 1_792_888_200_000_000),  # occurs twice: the earlier
        ("1969-12-31T23:59:59.999999Z", -1),
    ],
)
def test_instants_with_and_without_an_offset(text, us):
    assert instant_us(text, "t", ZoneInfo("Europe/Paris")) == us


@pytest.mark.parametrize(
    "text", ["2026-03-29T02:30:00", "2026-02-30T00:00:00Z", "2026-03-03", "٢026-03-03T00:00:00Z", "0001-01-01T00:00:00"]
)
def test_what_is_no_instant(text):
    with pytest.raises(Refusal) as refusal:
        instant_us(text, "t", ZoneInfo("Europe/Paris"))
    assert refusal.value.code is FaultCode.BAD_TIMESTAMP


# -- Performances ----------------------------------------------------------------------------------


@pytest.mark.parametrize("release", ["V0401", "V0500", "V0600", "V0700"])
def test_a_consumption_in_each_release(release):
    rows, faults, _ = events(documents.performance(actual("Consumed"), release))
    assert not faults
    assert rows == [
        {
            "plant": "W", "source": "WEIGH-1", "type": "consume", "order": "4711", "operation": "0010",
            "material": "M-1", "lot": "L-1", "quantity": 1_500, "unit": "KGM",
            "occurred_us": 1_772_530_200_000_000, "recorded_us": CREATED_US,
        }
    ]  # fmt: skip


def test_what_a_segment_says_of_itself_goes_with_its_last_product():
    data = "".join(
        f"<SegmentData><ID>{name}</ID><Value><ValueString>{value}</ValueString><UnitOfMeasure>{unit}</UnitOfMeasure>"
        "</Value></SegmentData>"
        for name, value, unit in [("ScrapQuantity", "0.25", "kg"), ("ScrapReason", "TOOL", ""), ("Speed", "7", "")]
    )
    times = (
        f"<PersonnelActual><ID>1</ID><PersonID>ANNA</PersonID>{amount('0.5', 'HUR')}</PersonnelActual>"
        f"<EquipmentActual><ID>1</ID><EquipmentID>WC1</EquipmentID>{amount('90.000001', 'SEC')}</EquipmentActual>"
        f"<EquipmentActual><ID>2</ID><EquipmentUse>Setup</EquipmentUse>{amount('2', 'MIN')}</EquipmentActual>"
        f"<EquipmentActual><ID>3</ID>{amount('2', 'KWH')}</EquipmentActual>"
    )
    state = "<SegmentState>Completed</SegmentState>"
    made = actual("Produced", "5") + actual("Consumed") + actual("Yield Produced", "7.001")
    rows, faults, _ = events(documents.performance(state + data + times + made))
    assert not faults
    told = [{name: row.get(name) for name in ("type", "good", "quantity", "scrap", "reason")} for row in rows]
    nothing = {"good": None, "quantity": None, "scrap": None, "reason": None}
    assert told == [
        nothing | {"type": "consume", "quantity": 1_500},
        nothing | {"type": "partial", "good": 5_000},
        nothing | {"type": "complete", "good": 7_001, "scrap": 250, "reason": "TOOL"},
    ]
    assert {row["work_center"] for row in rows} == {"WC1"}
    assert [rows[-1][name] for name in ("labour_us", "machine_us", "setup_us")] == [
        1_800_000_000,
        90_000_001,
        120_000_000,
    ]


def test_a_segment_that_only_ends_is_a_completion():
    rows, faults, _ = events(documents.performance("<SegmentState>Completed</SegmentState>"))
    assert ([row["type"] for row in rows], faults) == (["complete"], [])
    assert events(documents.performance("<SegmentState>Running</SegmentState>")) == ([], [], 1)


@pytest.mark.parametrize(
    ("segment", "code"),
    [
        (actual("By-product Produced"), FaultCode.UNKNOWN_TYPE),
        (actual("Consumed", ""), FaultCode.MISSING_FIELD),
        (actual("Consumed", "-1"), FaultCode.NEGATIVE_QUANTITY),
        (actual("Consumed", "1,5"), FaultCode.WRONG_TYPE),
        (actual("Consumed", unit="furlong"), FaultCode.UNKNOWN_UNIT),
        (actual("Consumed", more=amount("1")), FaultCode.MALFORMED),
        (actual("Consumed", material="x" * 257), FaultCode.TEXT_TOO_LONG),
        (actual("Produced") + "<SegmentData><ID>ScrapQuantity</ID><Value><ValueString>1</ValueString>"
         "<UnitOfMeasure>pcs</UnitOfMeasure></Value></SegmentData>", FaultCode.UNKNOWN_UNIT),
        (actual("Produced") + f"<PersonnelActual><ID>1</ID>{amount('long', 'HUR')}</PersonnelActual>",
         FaultCode.WRONG_TYPE),
    ],
)  # fmt: skip
def test_a_faulty_event_stops_no_other(segment, code):
    rows, faults, skipped = events(documents.performance(actual("Consumed") + segment))
    assert ([row["type"] for row in rows], faults, skipped) == (["consume"], [code], 0)


def test_a_performance_that_is_taken_back_is_a_fault():
    assert events(documents.performance(actual("Consumed"), verb="Cancel")) == ([], [FaultCode.UNKNOWN_TYPE], 0)


def test_a_message_may_hold_one_event():
    def message(data: bytes):
        return decoded(RawRecords.from_values([data], np.zeros(1, np.int64)))

    one = documents.performance(actual("Consumed"))
    assert message(one)[0] == events(one)[0]
    assert message(documents.performance(actual("Consumed") * 2)) == ([], [FaultCode.MALFORMED], 0)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"fault":["MISSING_FIELD","what"]}', FaultCode.MISSING_FIELD),
        (b'{"fault":["NO_CODE","what"]}', FaultCode.MALFORMED),
        (b'{"fault":["MISSING_FIELD",""]}', FaultCode.MALFORMED),
        (b'{"lot":1}', FaultCode.WRONG_TYPE),
        (b'{"lott":"1"}', FaultCode.MALFORMED),
        (b'{"lot"', FaultCode.MALFORMED),
        (b'{"lot":"\xff"}', FaultCode.NOT_UTF8),
        (b'{"lot":"' + b"1" * 300_000 + b'"}', FaultCode.OVERSIZE),
    ],
    ids=range(8),
)
def test_a_line_that_no_document_gave(line, code):
    assert decoded(RawRecords.from_lines(line + b"\n \n")) == ([], [code], 1)


# -- Files -----------------------------------------------------------------------------------------


def dropped(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    os.utime(folder / name, ns=((NOW_US - 60_000_000) * 1000,) * 2)


def folder(path: Path, **settings: object) -> LandedFiles:
    return LandedFiles(FolderConfig(path, "*.xml", "b2mml", **settings), lambda: NOW_US)


def polled(files: LandedFiles) -> list[RawRecords]:
    found = []
    while len(raw := files.poll()):
        found.append(raw)
    files.close()
    return found


def test_a_file_is_a_document_and_its_events_are_records(tmp_path):
    data = documents.performance("\n".join(actual("Consumed", str(i)) for i in range(5)))
    dropped(tmp_path, "a.xml", data)
    dropped(tmp_path, "b.xml", b"<broken")
    dropped(tmp_path, "c.xml", b"")
    parts = polled(folder(tmp_path, batch_rows_max=2))
    assert [raw.offsets.tolist() for raw in parts] == [[0, 1], [2, 3], [4], [1 << FILE_SHIFT]]
    assert [row["quantity"] // 1000 for raw in parts[1:3] for row in decoded(raw)[0]] == [2, 3, 4]
    assert decoded(parts[3]) == ([], [FaultCode.TRUNCATED], 0)
    assert parts[3].value(0) == b"<broken", "a dead letter keeps the document"


def test_reading_goes_on_inside_a_document(tmp_path):
    dropped(tmp_path, "a.xml", documents.performance(actual("Consumed", "1") + actual("Consumed", "2")))
    files = folder(tmp_path, batch_rows_max=1)
    files.poll()
    position, state = files.position(), files.state()
    files.close()
    again = folder(tmp_path, batch_rows_max=1)
    again.seek(position, state)
    (rest,) = polled(again)
    assert [row["quantity"] for row in decoded(rest)[0]] == [2_000]


def test_a_document_dropped_again_holds_the_same_events(tmp_path):
    data = documents.performance(actual("Consumed") * 2)
    dropped(tmp_path, "a.xml", data)
    dropped(tmp_path, "b.xml", data)
    ids = [decode(PLANT, raw, Vocabulary(), NOW_US).events["identity"].tolist() for raw in polled(folder(tmp_path))]
    assert ids[0] == ids[1], "its records are duplicates"
    assert len(set(ids[0])) == 2, "two events alike are two"
    assert len(polled(folder(tmp_path, by_content=True))) == 1, "and as a whole it is known by its content"


def test_what_is_replayed_is_read_as_it_was_the_first_time():
    values = [raw.value(row) for data in (documents.performance(actual("Consumed") * 2), b"<broken\n>", b"\xff")
              for raw in [read_landed(data)] for row in range(len(raw))]  # fmt: skip
    files = contents(PLANT, values, [()] * len(values), "0123456789abcdef")
    assert files == [b"\n".join(values[:2]) + b"\n", b"<broken\n>", b"\xff"]
    assert [read_landed(file).value(row) for file in files for row in range(len(read_landed(file)))] == values


# -- Written ---------------------------------------------------------------------------------------


@pytest.mark.elsewhere
@pytest.mark.parametrize("posting", POSTINGS, ids=lambda posting: posting.kind)
def test_what_is_written_is_valid(posting):
    etree = pytest.importorskip("lxml.etree", reason="lxml is not installed, and nothing else here validates")
    if not (schema := documents.SCHEMAS / "B2MML-OperationsPerformance.xsd").is_file():
        pytest.skip(f"the schemas of B2MML V0700 are not at hand: {documents.SCHEMAS}, or set B2MML_SCHEMAS")
    etree.XMLSchema(etree.parse(schema)).assertValid(etree.fromstring(performance(posting)))
