"""The file drop: one file a posting, one answer a file, each name answered once (M32)."""

import json

import pytest

from dataflows.erp_simulator.faults import Plan
from tests.erp_world import NOW_US, world

FINE = {
    "type": "confirmation",
    "order": "1000020",
    "operation": "0010",
    "posting_date": "2026-03-10",
    "yield": "10",
    "unit": "PC",
    "external_id": "a",
}


@pytest.fixture
def drop(tmp_path):
    return world("drop", drop_folder=tmp_path)[1]


def _put(folder, name, content):
    written = folder / f"{name}.tmp"
    written.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    written.rename(folder / "drop/in" / name)


def _ack(folder, name):
    path = folder / "drop/ack" / f"{name}.ack.json"
    return json.loads(path.read_text()) if path.exists() else None


def test_a_file_is_booked_and_answered(drop, tmp_path):
    _put(tmp_path, "1.json", FINE)

    drop.wake()

    assert _ack(tmp_path, "1.json")["document"] == "0000000001/00000001"
    assert [p.name for p in (tmp_path / "drop/done").iterdir()] == ["1.json"]
    assert not list((tmp_path / "drop/in").iterdir())


def test_a_name_is_answered_once(drop, tmp_path):
    for _ in range(2):
        _put(tmp_path, "1.json", FINE)
        drop.wake()

    assert _ack(tmp_path, "1.json")["status"] == "accepted"
    assert len([d for d in drop.book.documents if d.kind == "confirmation"]) == 1


def test_files_are_taken_in_order_of_their_names(drop, tmp_path):
    for name in ("3", "1", "2"):
        _put(tmp_path, f"{name}.json", FINE | {"external_id": name})

    drop.wake()

    assert [d.external_id for d in drop.book.documents if d.external_id] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", "field_wrong"),
        (FINE | {"order": "2000000"}, "order_not_released"),
        (FINE | {"colour": "red"}, "field_wrong"),
        (FINE | {"type": "poem"}, "field_wrong"),
    ],
)
def test_a_refusal_is_answered(drop, tmp_path, content, code):
    _put(tmp_path, "1.json", content)

    drop.wake()

    assert (_ack(tmp_path, "1.json")["status"], _ack(tmp_path, "1.json")["code"]) == ("rejected", code)
    assert _ack(tmp_path, "1.json")["retry"] is False


def test_segments_say_the_same_as_json(drop, tmp_path):
    conf = "".join(
        value.ljust(width)
        for value, width in [
            ("Z1CONF", 30), ("1000020", 12), ("0010", 4), ("", 8), ("1010", 4), ("2026-03-10", 10), ("10.000", 17),
            ("2.000", 17), ("", 17), ("PC", 3), ("", 4), ("X", 1), ("a", 36), ("", 10),
        ]
    )  # fmt: skip
    item = "".join(
        value.ljust(width)
        for value, width in [
            ("Z1ITEM", 30),
            ("261", 3),
            ("RESIN", 40),
            ("1.500", 17),
            ("KG", 3),
            ("1010", 4),
            ("RM01", 4),
            ("R1", 10),
        ]
    )
    _put(tmp_path, "1.idoc", f"{conf}\n{item}\n".encode())

    drop.wake()

    made, issued = drop.book.documents
    assert (made.yield_quantity, made.scrap_quantity, made.final) == (10_000, 2_000, True)
    assert (issued.lines[0].material, issued.lines[0].quantity, issued.lines[0].lot) == ("RESIN", 1_500, "R1")


def test_an_answer_may_be_lost_after_the_commit_and_comes_when_asked_again(drop, tmp_path):
    drop.schedule.plans.append(Plan(fault="timeout_after"))
    _put(tmp_path, "1.json", FINE)
    drop.wake()
    assert (_ack(tmp_path, "1.json"), len(drop.book.by_external)) == (None, 1)

    _put(tmp_path, "1.json", FINE)
    drop.wake()

    assert _ack(tmp_path, "1.json")["status"] == "accepted"
    assert len(drop.book.by_external["a"]) == 1


def test_a_locked_order_may_be_tried_again(drop, tmp_path):
    drop.schedule.plans.append(Plan(fault="order_locked"))
    _put(tmp_path, "1.json", FINE)
    drop.wake()
    assert _ack(tmp_path, "1.json")["retry"] is True
    drop.clock.set(NOW_US + 60 * 10**6)

    _put(tmp_path, "1.json", FINE)
    drop.wake()

    assert _ack(tmp_path, "1.json")["status"] == "accepted"
