"""``plantsync demo`` as a newcomer types it: processes, broker, real kills, ERPs that misbehave (M10, M24-M27, M39)."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from dataflows.demo.page import show
from dataflows.demo.report import Report, read_outcome
from dataflows.simulator import Truth, simulate
from sinks.analytics.published import query as ask
from sinks.sqlite import SqliteStreams
from tests.command import plantsync
from tests.peers.debian import needs, refusal
from tests.stream_laws import broken_terms

PLANTSYNC = Path(sys.executable).with_name("plantsync")
RECORDS = 12_000
BROKER = not refusal("mosquitto")  # in time for the demo, which does not install it


def demo(folder, *options):
    command = [PLANTSYNC, "demo", "--folder", folder, "--records", str(RECORDS), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("newcomer") / "demo"


@pytest.fixture(scope="module")
def report(folder):
    done = demo(folder, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_record_is_accounted_for(report):
    plants = report["outcome"]["plants"]
    assert [plant["plant"] for plant in plants] == ["A", "B", "C", "M", *(["P"] if BROKER else [])]
    for plant in plants:
        parts = sum(plant[name] for name in ("released", "late", "duplicates", "faults", "held"))
        assert plant["read"] == parts > 0
        assert plant["held"] == 0
        assert plant["accounted"] == plant["confirmed_events"]
    assert sum(plant["read"] for plant in plants) > RECORDS / 2
    assert report["outcome"]["balanced"]


def test_what_was_made_is_what_was_confirmed(report):
    assert report["outcome"]["differences"] == []
    assert report["outcome"]["truth_matched"]
    assert report["passed"]


def test_confirmations_was_killed_half_way_and_another_process_went_on(report):
    kill = report["kill"]
    assert kill["signal"] == 9
    assert kill["pid"] != kill["restarted_pid"]
    read = sum(plant["read"] for plant in report["outcome"]["plants"])
    assert 0 < kill["committed"] < read


@pytest.mark.usefixtures("report")
def test_what_it_wrote_is_as_the_registry_of_streams_says(folder):
    """M51: of each stream the contract, the form and the key."""
    streams, broken = broken_terms(folder / "state/plantsync.db")
    assert len(streams) >= 13
    assert broken == []


def test_what_edge_nodes_said_was_collected_word_for_word_over_a_kill_of_their_host(report, folder):
    """Plant P: births, data by alias and deaths over a real broker, nothing lost; no payload, no record (A17, M41)."""
    needs("mosquitto")
    kill = report["collect_kill"]
    assert kill["signal"] == 9
    assert kill["pid"] != kill["restarted_pid"]
    said = Said()
    simulate(Truth.load(folder / "truth.json").config, said)
    with closing(SqliteStreams(folder / "state/spool.db")) as spool:
        heard = [stored.value for stored in spool.read("collected:plant-p", 0, 1_000_000)]
    assert sorted(heard) == sorted(record for record in said.records if record.startswith(b"{"))
    assert 0 < kill["committed"] < len(heard)


class Said:
    """A writer that keeps plant P's records."""

    def __init__(self):
        self.records = []

    def write(self, mapping, drop):
        if mapping.plant == "P":
            self.records += [record for _, record in drop.records]

    def flush(self):
        pass


@pytest.mark.usefixtures("report")
def test_a_single_piece_too_few_in_the_store_would_be_found(folder):
    truth = Truth.load(folder / "truth.json")
    plant = truth.plants["A"]
    order = plant.orders[0].model_copy(update={"good": plant.orders[0].good + 1000})
    made = plant.model_copy(update={"orders": (order, *plant.orders[1:])})
    outcome = read_outcome(
        folder / "analytics.duckdb", truth.model_copy(update={"plants": {**truth.plants, "A": made}})
    )
    assert len(outcome.differences) == 1
    assert f"good {order.good - 1000} confirmed, {order.good} made" in outcome.differences[0]
    assert not outcome.truth_matched


@pytest.mark.usefixtures("report")
def test_a_machine_that_stood_still_a_moment_longer_would_be_found(folder):
    """Key figures are those of the truth, exactly: every numerator and denominator (A18, M47)."""
    truth = Truth.load(folder / "truth.json")
    plant = truth.plants["A"]
    first = next(i for i, row in enumerate(plant.states) if row.state == "down" and row.shift)
    states = list(plant.states)
    states[first] = states[first].model_copy(update={"duration_us": states[first].duration_us + 1})
    longer = plant.model_copy(update={"states": tuple(states)})
    outcome = read_outcome(
        folder / "analytics.duckdb", truth.model_copy(update={"plants": {**truth.plants, "A": longer}})
    )
    (told,) = outcome.differences
    assert f"{states[first].shift}, adot: " in told
    assert len(plant.states) > 20
    assert sum(row.planned_us for row in plant.states) > 0 < sum(row.planned_us for row in truth.plants["B"].states)
    assert {row.state for row in truth.plants["M"].states} == {"production", "delay", "down"}
    assert sum(row.state == "production" for row in truth.plants["B"].states) > 10
    assert outcome.differences != read_outcome(folder / "analytics.duckdb", truth).differences == ()


def test_the_queries_shown_work_when_pasted(report):
    for shown in report["queries"]:
        done = subprocess.run(shlex.split(shown), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) > 2


def test_what_was_made_is_in_the_erps_or_waits_under_an_exception(report):
    erps = report["erps"]
    assert erps["differences"] == []
    assert erps["truth_matched"]
    assert [(row["plant"], row["unit"]) for row in erps["plants"]] == [
        ("A", "H87"), ("A", "KGM"), ("B", "H87"), ("B", "KGM")
    ]  # fmt: skip
    for row in erps["plants"]:
        assert row["made"] == row["booked"] + row["waiting"]
        assert row["booked"] > 0
        assert row["confirmations"] > 0 < row["receipts"]
    assert sum(row["confirmations"] for row in erps["plants"]) < erps["documents"]


def test_the_store_says_of_periods_orders_and_exceptions_what_is_true(report, folder):
    """Views on small tables agree with the ERPs' ledgers and with the truth (A14, M37, M47)."""
    plantsync(folder, "run", "analytics", "--until-end", "-q")  # what came after the demo's last look

    def asked(sql):
        return ask(folder / "analytics.duckdb", sql).rows.to_pylist()

    erps = report["erps"]
    close = asked(
        "SELECT plant, erp, unit, sum(good) AS good, sum(open_good) AS open_good, sum(quarantined) AS quarantined,"
        " bool_and(ready) AS ready, sum(posted) AS posted FROM period_close WHERE erp <> '' GROUP BY ALL"
    )
    held = {(row["plant"], row["erp"], row["unit"]): row for row in close}
    for row in erps["plants"]:
        found = held[row["plant"], row["erp"], row["unit"]]
        assert found["good"] * 1000 == row["booked"], row
        assert found["open_good"] * 1000 == row["waiting"], row
        assert found["ready"] is False or row["waiting"] == 0
    assert sum(row["posted"] for row in close) == erps["documents"]
    assert sum(row["quarantined"] for row in close) > 0
    (unready,) = asked("SELECT count(*) AS n FROM period_close WHERE erp = '' AND NOT ready")
    assert unready["n"] > 0, "plant M has no route"

    aged = asked(
        "SELECT code, sum(exceptions) AS n, sum(waiting) AS waiting FROM exception_age"
        " WHERE resolution = 'open' GROUP BY code"
    )
    assert {row["code"]: (row["n"], row["waiting"]) for row in aged} == {
        row["code"]: (row["count"], row["waiting"]) for row in erps["exceptions"]
    }
    closed = asked(f"FROM waiting_case WHERE order_id = '{erps['closed_order']}' AND kind = 'confirmation'")
    assert closed
    assert {row["code"] for row in closed} == {"ORDER_CLOSED"}

    truth = Truth.load(folder / "truth.json")
    made = {}
    for plant in ("A", "B"):
        for order in truth.plants[plant].orders:
            made.setdefault((plant, order.order), []).append(order)
    attained = asked("FROM order_attainment WHERE erp IS NOT NULL AND operation IS NOT NULL")
    assert {(row["plant"], row["order_id"]) for row in attained} == made.keys()
    for row in attained:
        orders = made[row["plant"], row["order_id"]]
        last = max(each.operation for each in orders)
        good = sum(each.good for each in orders if each.operation == last)
        assert (row["operation"], row["good"] * 1000) == (last, good), row
        assert row["scrap"] * 1000 == sum(each.scrap for each in orders)
        assert row["planned"] is not None
        assert row["share"] == pytest.approx(float(row["good"] / row["planned"]))
    families = asked("SELECT sum(good) AS good, sum(orders) AS orders FROM family_output WHERE planned IS NOT NULL")
    assert families[0]["orders"] >= len(attained)
    hops = asked("SELECT hop, sum(postings) AS n FROM hop_latency WHERE erp IN ('north', 'south') GROUP BY hop")
    counted = {row["hop"]: row["n"] for row in hops}
    # Of a document that was found by asking nobody knows any more when it was first tried, if delivery has died since.
    assert counted["whole"] >= counted["queue"] == counted["erp"] >= counted["whole"] - len(erps["found"])
    assert counted["whole"] >= erps["documents"]
    assert counted["gather"] == counted["decide"] >= erps["documents"]


def test_what_waits_finds_its_owner(report):
    waits = {row["code"]: row for row in report["erps"]["exceptions"]}
    assert waits["ORDER_CLOSED"]["owner"] == waits["QUALITY_RELEASE_MISSING"]["owner"] == "plant-supervisor"
    assert report["erps"]["closed_order"] in waits["ORDER_CLOSED"]["message"]
    assert waits["ORDER_CLOSED"]["waiting"] > 0 < sum(row["waiting"] for row in report["erps"]["plants"])
    assert waits["ROUTE_MISSING"]["owner"] == "integration-support"
    assert waits["ROUTE_MISSING"]["waiting"] > 0


def test_the_erps_fail_and_delivery_is_killed_on_the_way(report):
    wrong = report["erps"]["faults"]
    assert wrong == dict.fromkeys(("throttled", "timeout_after", "order_locked", "error_after", "session_expired"), 2)
    assert len(report["erps"]["found"]) >= 2  # each answer that was lost is of one document or more
    kill = report["delivery_kill"]
    assert kill["signal"] == 9
    assert kill["pid"] != kill["restarted_pid"]
    assert 0 < kill["committed"] < report["erps"]["documents"]


def test_the_commands_shown_work_when_pasted(report):
    said = []
    for command in report["commands"]:
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    listed, shown, explained, audited = said
    assert all(waits["code"] in listed for waits in report["erps"]["exceptions"])
    assert report["erps"]["closed_order"] in shown
    assert "found by asking" in explained
    assert "Nothing lost, nothing twice" in audited


def test_the_ten_questions_and_the_worked_analysis_run_on_its_store(report):
    docs, store = Path(__file__).parents[2] / "docs", Path(report["settings"]).with_name("analytics.duckdb")
    questions = re.findall(r"^```sql\n(.*?)^```", (docs / "analysts.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(questions) == 10
    answers = [ask(store, sql).rows for sql in questions]
    assert all(len(answers[number - 1]) for number in (1, 2, 3, 5, 10))
    done = subprocess.run(
        [sys.executable, docs / "notebooks/losses.py", store], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_objective_of_delivery_is_counted(report):
    command = [PLANTSYNC, "slo", "-c", report["settings"]]
    as_json, as_table = (
        subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)
        for options in (["--json"], [])
    )
    said = json.loads(as_json.stdout)
    assert {row["objective"] for row in said["objectives"]} == {"delivery"}
    assert 0 < sum(row["postings"] for row in said["objectives"]) <= report["erps"]["documents"]
    assert said["breaches"] == []
    assert (as_json.returncode, as_table.returncode) == (0, 0)
    assert "95 % in 600 s" in as_table.stdout


def test_the_doctor_knows_what_waits_and_misses_the_erps(report):
    command = [PLANTSYNC, "doctor", "--json", "-c", report["settings"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert [problem.partition(":")[0] for problem in said["problems"]] == ["erp north", "erp south"]
    queues = {shard["shard"]: shard["queue"] for shard in said["shards"] if shard["queue"]}
    exceptions = report["erps"]["exceptions"]
    assert queues["postings"]["exceptions"] == sum(row["count"] for row in exceptions)
    held = sum(row["waiting"] for row in exceptions if row["code"] != "QUALITY_RELEASE_MISSING")
    assert (queues["postings"]["waiting"], queues["postings"]["parked"]) == (0, held)
    for erp in ("erp:north", "erp:south"):
        assert [queues[erp][name] for name in ("waiting", "parked", "following", "away_s")] == [0, 0, 0, None]
    checks = {check["name"]: check for check in said["checks"]}
    assert checks["plant A"]["detail"].startswith("posts to north as 1010")
    assert checks["plant M"]["state"] == "note"
    assert "order " in checks["reference data"]["detail"]


def test_the_page_is_plain_text_no_wider_than_a_terminal(report):
    paper = StringIO()
    show(Report.model_validate(report, extra="ignore"), Console(file=paper, width=160))
    page = paper.getvalue()
    assert "\x1b" not in page
    assert max(map(len, page.partition("ask the store:")[0].splitlines())) <= 80
    read = sum(plant["read"] for plant in report["outcome"]["plants"])
    assert f"{read:,} read = " in page
    assert " ".join(page.split()).count("truth matched yes") == 2
    assert f"{report['erps']['documents']:,}, each once" in page
    assert "▒" in page
    for command in (*report["queries"], *report["commands"]):
        assert command in page


@pytest.mark.usefixtures("report")
def test_ctrl_c_ends_every_process_of_a_demo_that_runs_again_in_its_folder(folder):
    command = [PLANTSYNC, "demo", "--folder", folder, "--records", str(RECORDS)]
    demo = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    with demo:
        for line in demo.stderr:
            if "plants drop" in line:
                break
        assert group(demo.pid) > 4 + 2 * BROKER  # itself, the ERPs and three flows; broker and collect
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal does
        assert demo.wait(60) == 130, demo.stderr.read()
    assert group(demo.pid) == 0


def test_without_a_broker_plant_p_is_left_out_with_the_way_to_get_one(tmp_path):
    program = "import dataflows.demo.broker as b; b.BESIDE = (); from dataflows.cli import main; main()"
    command = [sys.executable, "-c", program, "demo", "--folder", tmp_path / "demo", "--records", str(RECORDS)]
    demo = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PATH": str(tmp_path)})
    with demo:
        told = [demo.stderr.readline(), demo.stderr.readline()]
        demo.terminate()
        assert demo.wait(60) == 128 + signal.SIGTERM
    assert "plant P is left out" in told[0]
    assert "bin/debian mosquitto" in told[0]
    assert "plants A, B, C, M\n" in told[1]


def group(leader):
    """Count the processes of a session."""
    sessions = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            sessions.append(int(place.read_text().rpartition(")")[2].split()[3]))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
    return sessions.count(leader)


@pytest.mark.parametrize("marked", [False, True])
def test_a_folder_with_other_things_in_it_is_refused_and_left_as_it_is(tmp_path, marked):
    if marked:
        (tmp_path / ".plantsync-demo").touch()
        (tmp_path / "landing").mkdir()
        (tmp_path / "landing" / "old.csv").write_text("of an earlier demo")
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("three years of work")
    before = sorted(tmp_path.rglob("*"))
    done = demo(tmp_path)
    assert done.returncode == 1
    assert "--folder" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert thesis.read_text() == "three years of work"
