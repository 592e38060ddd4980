"""``plantsync run delivery`` against the simulated ERPs over HTTP: faults, kills, persons (M24-M27, M42)."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from contextlib import closing

import pytest

from canonical.contracts import Posting
from canonical.posting_wire import encode_posting
from sinks.commit_log import Record
from sinks.dead_letters import parse
from sinks.sqlite import SqliteLog, SqliteStreams
from sinks.streams import ACTIONS, DEAD_LETTERS, EXCEPTIONS, RECEIPTS, postings
from tests.collector import collecting
from tests.command import plantsync, started, told
from tests.conformance.erp_places import SECRET, DropPlace, SapPlace, Simulator
from tests.conformance.erp_places import posting as confirmation
from tests.forked import Forked
from tests.scrape import free_ports, scrape

SETTINGS = """
landing = "landing"
plants = ["shipped:plant_a"]

[pace]
commit_interval_s = 0.1
urgent_interval_s = 0.05

[erps.sap]
rate_per_s = 500
burst = 20
lease_s = 0.5
settle_s = 1.5
backoff_s = 0.1
backoff_max_s = 0.5
probe_s = 0.2
probe_max_s = 0.5
attempts_max = 20
movement_s = 0.2
movement_max_s = 0.5
end_wait_s = 5
{more}

[erps.sap.adapter]
kind = "sap"
base_url = "{url}"
user = "plantsync"
password = {{ env = "ERP_PASSWORD" }}
read_timeout_s = 1
answer_timeout_s = 2
failed_movements = "ProdnOrdConfFailedGdsMvt"
"""
DROP = """
[erps.drop]
lease_s = 0.5
settle_s = 3
[erps.drop.adapter]
kind = "drop"
folder = "{folder}/drop/in"
acknowledgements = "{folder}/drop/ack"
acknowledgement_wait_s = 2
"""


@pytest.fixture
def simulator(tmp_path):
    process = Simulator(tmp_path, ["sap", "drop"])
    yield process
    process.stop()


@pytest.fixture
def sap(simulator):
    place = SapPlace(simulator)
    yield place
    place.close()


@pytest.fixture
def folder(tmp_path, sap, simulator, monkeypatch):
    """A folder with settings for both ERPs; commands are run in it."""
    monkeypatch.setenv("ERP_PASSWORD", SECRET)
    (tmp_path / "state").mkdir()
    text = SETTINGS.format(url=sap.url, more="bulk_max = 4") + DROP.format(folder=simulator.drop)
    (tmp_path / "plantsync.toml").write_text(text)
    return tmp_path


def queue(folder, made: list[Posting]) -> None:
    """Put postings into the queues of their ERPs, as the flow postings does."""
    now_us = time.time_ns() // 1000
    records(folder, [Record(postings(p.erp), *encode_posting(p, p.model_dump_json().encode(), now_us)) for p in made])


def records(folder, written: list[Record]) -> None:
    with closing(SqliteLog(folder / "state/plantsync.db")) as log:
        log.restore("test")
        log.commit("test", "", {}, written)


def stored(folder, stream: str) -> list[dict]:
    with closing(SqliteStreams(folder / "state/plantsync.db")) as log:
        return [json.loads(record.value) for record in log.read(stream, 0, 1_000_000)]


def orders_of(place, erp: str, orders: int, each: int) -> list[Posting]:
    names = [place.order(unlimited_over_delivery=True) for _ in range(orders)]
    return [confirmation(name, erp=erp, number=n, good=1000 * (n + 1)) for n in range(each) for name in names]


def start(folder) -> Forked:
    return started(folder, "run", "delivery", "-q")


def looked(folder) -> tuple[dict, dict, list]:
    """What the doctor says of shards and of everything else, by name, and its problems."""
    said = told(folder, "doctor", "--oldest-max", 0, code=1)
    return (
        {shard["shard"]: shard for shard in said["shards"]},
        {check["name"]: check for check in said["checks"]},
        said["problems"],
    )


def test_postings_become_documents_and_receipts_tell_of_each(folder, sap, simulator):
    made = orders_of(sap, "sap", 4, 5) + orders_of(DropPlace(simulator), "drop", 2, 3)
    queue(folder, made[:7])
    bad = (b"no posting", made[0].model_dump_json(exclude={"plant"}).encode(), made[-1].model_dump_json().encode())
    letter = (("ce_recordedtime", b"yesterday"),)
    records(folder, [Record(postings("sap"), b"A/1", value, letter) for value in bad] + [Record(ACTIONS, b"", b"{}")])
    queue(folder, made[7:])
    plantsync(folder, "run", "delivery", "--until-end", "-q")

    receipts = {r["posting_id"]: r for r in stored(folder, RECEIPTS) if r["status"] == "accepted"}
    assert receipts.keys() == {str(p.posting_id) for p in made}
    for order in {p.order for p in made if p.erp == "sap"}:
        documents = sap.documents(order)
        assert [d["yield_quantity"] for d in documents] == [1000, 2000, 3000, 4000, 5000]
    one = receipts[str(made[0].posting_id)]
    assert one["occurred_us"] < one["enqueued_us"] <= one["first_sent_us"] <= one["sent_us"] <= one["answered_us"]
    assert one["document"]
    assert stored(folder, EXCEPTIONS) == []
    with closing(SqliteStreams(folder / "state/plantsync.db")) as log:
        letters = [parse(record) for record in log.read(DEAD_LETTERS, 0, 100)]
    # What is not for this queue stops nothing and is kept (law 6); an action concerns each of the two ERPs.
    codes = ["MALFORMED", "MISSING_FIELD", "MISSING_FIELD", "MISSING_FIELD", "NOT_OWNER"]
    assert sorted(letter.fault.code for letter in letters) == codes
    assert {letter.value for letter in letters} == {*bad, b"{}"}
    plantsync(folder, "run", "delivery", "--until-end", "-q")  # and once more changes nothing
    assert len(stored(folder, RECEIPTS)) == len(receipts)


def test_one_document_each_whatever_the_faults_and_the_kills(folder, sap):
    sap.ask("PUT", "profile", {"rates": dict.fromkeys(FAULTS, 0.03), "slow_s": 0.1, "hang_s": 3, "lock_s": 0.5})
    made = orders_of(sap, "sap", 8, 12)
    queue(folder, made)
    for after_s in (1.5, 2.0, 2.5):
        process = start(folder)
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        process.wait()
    accepted: list[str] = []
    for _ in range(20):  # A run ends, too, while the ERP says that it is away.
        plantsync(folder, "run", "delivery", "--until-end", "-q")
        accepted = [r["posting_id"] for r in stored(folder, RECEIPTS) if r["status"] == "accepted"]
        if len(accepted) >= len(made):
            break
    assert sorted(accepted) == sorted(str(p.posting_id) for p in made), stored(folder, EXCEPTIONS)[-5:]
    for order in {p.order for p in made}:
        assert [d["yield_quantity"] for d in sap.documents(order)] == [1000 * (n + 1) for n in range(12)]


def ended_early(folder, port: int) -> tuple[dict, list[dict]]:
    """Run delivery until it has delivered some; return its metrics then, and its receipts."""
    process = start(folder)
    while not (folder / "state/plantsync.db").exists() or len(stored(folder, RECEIPTS)) < 20:
        time.sleep(0.05)
    told = scrape(f"http://127.0.0.1:{port}/metrics")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    return told, stored(folder, RECEIPTS)


DELIVERED = ("enqueued-sent", "sent-answered", "occurred-answered")
FAULTS = (
    *("slow", "server_error", "bad_gateway", "unavailable", "throttled", "reset_before", "reset_after"),
    *("timeout_before", "timeout_after", "error_after", "session_expired", "token_expired", "order_locked"),
)


def test_a_flow_that_is_told_to_end_waits_for_its_answers(folder, sap):
    made = orders_of(sap, "sap", 20, 10)
    queue(folder, made)
    (port,) = free_ports(1)
    settings = folder / "plantsync.toml"
    settings.write_text(f'{settings.read_text()}\n[metrics.listen]\ndelivery = "127.0.0.1:{port}"\n')
    with collecting() as collector:
        settings.write_text(f'{settings.read_text()}\n[traces]\nendpoint = "{collector.url}"\n')
        told, receipts = ended_early(folder, port)
    traced = Counter(span.name for span in collector.spans)
    assert traced == dict.fromkeys(("posting confirmation", "occurred-enqueued", *DELIVERED[:2]), len(receipts))
    assert {s.end_time_unix_nano for s in collector.spans if s.name == "sent-answered"} == {
        r["answered_us"] * 1000 for r in receipts
    }

    assert 20 <= told["plantsync_erp_receipts_total", "sap", "accepted"] < len(made)
    assert told["plantsync_erp_calls_total", "send", "sap", "accepted"] >= 20
    assert told["plantsync_erp_requests_total", "sap"] > 0
    assert told["plantsync_erp_call_duration_seconds_count", "send", "sap"] >= 5
    assert told["plantsync_erp_requests_per_second_max", "sap"] == 500
    assert told["plantsync_queue_depth", "delivery", "erp:sap", "waiting"] >= 0
    assert told["plantsync_erp_circuit_open", "sap"] == told["plantsync_exceptions_open", "delivery", "erp:sap"] == 0
    hops = [told["plantsync_hop_latency_seconds_count", "delivery", hop, made[0].plant] for hop in DELIVERED]
    assert hops == [told["plantsync_erp_receipts_total", "sap", "accepted"]] * 3
    assert len(receipts) < len(made)
    assert sum(len(sap.documents(order)) for order in {p.order for p in made}) == len(receipts)
    plantsync(folder, "run", "delivery", "--until-end", "-q")
    assert not any(r["found"] for r in stored(folder, RECEIPTS))
    assert len(stored(folder, RECEIPTS)) == len(made)


def test_a_rejected_posting_waits_alone_and_a_person_settles_it(folder, sap):
    good, refused = sap.order(), sap.order(status="closed")
    made = [confirmation(refused, erp="sap", number=n) for n in range(3)] + [confirmation(good, erp="sap", number=0)]
    queue(folder, made)
    plantsync(folder, "run", "delivery", "--until-end", "-q")

    assert len(sap.documents(good)) == 1
    (opened,) = told(folder, "exceptions", "list", "--order", refused)["exceptions"]
    name = opened["exception_id"]
    assert (opened["code"], opened["order"], opened["waiting"]) == ("ERP_REJECTED", refused, 3)
    assert name[:8] in plantsync(folder, "exceptions", "list", "--owner", "integration-support")
    assert told(folder, "exceptions", "list", "--code", "LOT_MISSING")["exceptions"] == []
    shards, checks, problems = looked(folder)
    sap_queue, drop_queue = shards["erp:sap"]["queue"], shards["erp:drop"]["queue"]
    assert (sap_queue["waiting"], sap_queue["parked"], sap_queue["exceptions"]) == (0, 3, 1)
    assert sap_queue["oldest_s"] > 0
    assert shards["erp:sap"]["age_s"] > 0
    assert (drop_queue["waiting"], drop_queue["parked"], drop_queue["oldest_s"]) == (0, 0, None)
    assert (checks["erp sap"]["state"], checks["erp drop"]["state"]) == ("fine", "fine")
    missing, old = problems
    assert "add a table [reference]" in missing
    assert "erp:sap: something waits" in old
    shown = told(folder, "exceptions", "show", name[:8])
    assert shown["posting"]["posting_id"] == str(made[0].posting_id)
    assert "sent to sap again, and the 2 behind it" in shown["would"]["reprocess"]

    assert "Nothing has been changed" in plantsync(folder, "exceptions", "reprocess", name)  # a dry run
    assert stored(folder, ACTIONS) == []
    plantsync(folder, "exceptions", "reprocess", name, "--apply", code=2)  # without a reason
    plantsync(folder, "exceptions", "release", code=2)  # all of them is not meant by nothing
    plantsync(folder, "exceptions", "reprocess", "ffff", "--apply", "--reason", "x", code=1)

    known = sap.ask("GET", "master-data")["orders"]
    mended = [{**each, "status": "released"} for each in known if each["order"] == refused]
    sap.ask("PATCH", "master-data", {"orders": mended})
    told(folder, "exceptions", "reprocess", name, "--apply", "--reason", "released again", "--actor", "anna")
    plantsync(folder, "run", "delivery", "--until-end", "-q")

    assert [d["yield_quantity"] for d in sap.documents(refused)] == [12_345] * 3
    (ended,) = told(folder, "exceptions", "list", "--all")["exceptions"]
    assert (ended["resolution"], ended["actor"], ended["reason"]) == ("reprocessed", "anna", "released again")
    assert ended["resolved_after_s"] > 0
    told(folder, "exceptions", "reprocess", name, "--apply", "--reason", "again", code=1)  # it has ended
    assert json.loads(plantsync(folder, "audit", "--trail", "--json"))["clean"]


def test_what_a_person_discards_is_withdrawn_and_its_story_is_told(folder, sap):
    refused = sap.order(status="closed")
    made = [confirmation(refused, erp="sap", number=n, good=1000 * (n + 1)) for n in range(2)]
    queue(folder, made)
    plantsync(folder, "run", "delivery", "--until-end", "-q")
    told(folder, "exceptions", "discard", "--order", refused, "--apply", "--reason", "made for a test")
    plantsync(folder, "run", "delivery", "--until-end", "-q")

    story = told(folder, "explain", refused)
    assert [(p["number"], p["status"], p["document"]) for p in story["postings"]] == [
        (0, "withdrawn", ""),
        (1, "rejected", ""),
    ]
    assert [each["resolution"] for each in story["exceptions"]] == ["discarded", "open"]
    assert [each["reason"] for each in story["actions"]] == ["made for a test"]
    text = plantsync(folder, "explain", made[0].posting_id)
    assert "discard by " in text
    assert "made for a test" in text
    assert sap.documents(refused) == []
    plantsync(folder, "explain", "nothing", code=1)


def test_the_story_of_a_document_has_its_posting_and_every_hop(folder, sap):
    (made,) = orders_of(sap, "sap", 1, 1)
    queue(folder, [made])
    plantsync(folder, "run", "delivery", "--until-end", "-q")
    (receipt,) = stored(folder, RECEIPTS)

    by_document = told(folder, "explain", receipt["document"].partition("/")[0])
    assert by_document["postings"] == told(folder, "explain", made.order)["postings"]
    (posting,) = by_document["postings"]
    hops = posting["hops_us"]
    assert posting["posting_id"] == str(made.posting_id)
    assert hops["occurred"] < hops["enqueued"] <= hops["first_sent"] <= hops["sent"] <= hops["answered"]
    assert "document " + receipt["document"] in plantsync(folder, "explain", made.order)


def test_an_erp_that_is_away_does_not_slow_another(folder, sap, simulator):
    settings = (folder / "plantsync.toml").read_text()
    (folder / "plantsync.toml").write_text(settings.replace(sap.url, "http://127.0.0.1:1/nobody"))
    made = orders_of(sap, "sap", 3, 2) + orders_of(DropPlace(simulator), "drop", 3, 2)
    queue(folder, made)
    plantsync(folder, "run", "delivery", "--until-end", "-q")  # ends although an ERP is away

    accepted = {r["posting_id"] for r in stored(folder, RECEIPTS)}
    assert accepted == {str(p.posting_id) for p in made if p.erp == "drop"}
    assert {(e["code"], e["erp"]) for e in stored(folder, EXCEPTIONS)} == {("ERP_UNAVAILABLE", "sap")}
    shards, checks, problems = looked(folder)
    assert checks["erp sap"]["state"] == "problem"
    assert "erps.sap.adapter" in checks["erp sap"]["detail"]
    assert shards["erp:sap"]["queue"]["away_s"] > 0
    assert any("erp:sap: left alone since" in problem and "6 postings wait" in problem for problem in problems)
    (folder / "plantsync.toml").write_text(settings)
    (away,) = told(folder, "exceptions", "list")["exceptions"]
    told(folder, "exceptions", "reprocess", away["exception_id"], "--apply", "--reason", "it is back")
    process = start(folder)
    deadline = time.monotonic() + 60
    while len(stored(folder, RECEIPTS)) < len(made) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0

    assert len(stored(folder, RECEIPTS)) == len(made)
    assert stored(folder, EXCEPTIONS)[-1]["resolution"] == "revalidated"


def test_without_an_erp_there_is_nothing_to_run(tmp_path):
    (tmp_path / "plantsync.toml").write_text('landing = "landing"\nplants = ["shipped:plant_a"]\n')
    plantsync(tmp_path, "run", "delivery", code=1)
