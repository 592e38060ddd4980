"""The command line as an operator uses it: real processes over a folder, embedded mode."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Self

import pytest
import typer
from typer.testing import CliRunner

from canonical.plants import shipped
from dataflows.cli.app import app
from sinks.commit_log import CommitLogUnavailable
from sinks.sqlite import SqliteStreams
from tests.command import PLANTSYNC, Ended, ran
from tests.scrape import Samples, free_ports, scrape

WAIT_S = 60
SETTINGS = """\
landing = "landing"
plants = ["plants/plant_a.toml", "shipped:plant_b", "shipped:plant_c", "shipped:plant_m"]
[pace]
commit_interval_s = 0.2
settle_s = 0
[kafka.properties]
bootstrap.servers = "nowhere:9092"
sasl.username = "plantsync"
sasl.password = { env = "TEST_PASSWORD" }
ssl.key.password = "geheim-in-the-file"
[metrics.listen]
confirmations = "127.0.0.1:0"
analytics = "127.0.0.1:0"
"""
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PLANTSYNC_")},
    "TEST_PASSWORD": "geheim-in-the-environment",
    "COLUMNS": "120",
}


def plantsync(folder: Path, *arguments: object, code: int = 0) -> Ended:
    """Run a command to its end in a folder; it must end with this code and show no secret."""
    done = ran(folder, *arguments, environment=ENVIRONMENT)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "geheim" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


class Service:
    """A command that runs until it is stopped; its messages are in ``log``."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self.log = folder / f"{'-'.join(map(str, arguments)).replace('/', '_').replace(':', '_')}.log"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [str(PLANTSYNC), *map(str, arguments)], cwd=folder, env=ENVIRONMENT, stdout=out, stderr=out
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)

    def said(self) -> str:
        return self.log.read_text()


def until(happened: Callable[[], object], service: Service) -> None:
    """Wait until something has happened while a service runs."""
    deadline = time.monotonic() + WAIT_S
    while not happened():
        assert service.process.poll() is None, service.said()
        assert time.monotonic() < deadline, service.said()
        time.sleep(0.05)


def scraped(service: Service) -> Samples:
    """Return what Prometheus reads of a service."""
    (url,) = re.findall(r"metrics at (http://127\.0\.0\.1:\d+/metrics)", service.said())
    return scrape(url)


def committed(folder: Path, stream: str) -> list[bytes]:
    """Values of a stream of the embedded log, in order of their bytes; none while there is no log."""
    try:
        with closing(SqliteStreams(folder / "state/plantsync.db")) as log:
            return sorted(stored.value for stored in log.read(stream, 0, 1_000_000))
    except CommitLogUnavailable:
        return []


def configure(folder: Path) -> None:
    """Write settings and a mapping of plant A that waits for missing numbers longer than any test lasts.

    Otherwise a slow machine would declare gaps in one run that it does not declare in another.
    """
    (folder / "plantsync.toml").write_text(SETTINGS)
    (folder / "plants").mkdir()
    (mapping,) = [path for path in shipped() if path.stem == "plant_a"]
    text, count = re.subn(r"(?m)^gap_timeout_s = \d+", "gap_timeout_s = 3600", mapping.read_text())
    assert count == 1
    (folder / "plants/plant_a.toml").write_text(text)


@pytest.fixture(scope="module")
def traffic(tmp_path_factory) -> Path:
    """A landing folder of simulated plants."""
    folder = tmp_path_factory.mktemp("traffic")
    done = plantsync(folder, "simulate", "--out", "landing", "--preset", "small", "--seed", 7, "--json")
    assert json.loads(done.stdout)["records"] > 4_000
    return folder / "landing"


@pytest.fixture
def folder(tmp_path, traffic) -> Path:
    """A folder with settings and landed files, in which nothing has run."""
    configure(tmp_path)
    shutil.copytree(traffic, tmp_path / "landing")
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory, traffic) -> Path:
    """A folder in which both flows have run to the end, each as one process."""
    folder = tmp_path_factory.mktemp("whole")
    configure(folder)
    shutil.copytree(traffic, folder / "landing")
    run = json.loads(plantsync(folder, "run", "confirmations", "--until-end", "--json").stdout)
    assert run["read"] > 4_000
    assert run["written"]["confirmations"] == len(committed(folder, "confirmations"))
    plantsync(folder, "run", "analytics", "--until-end")
    return folder


def test_a_query_sees_what_was_confirmed(whole):
    sql = "SELECT count(*) AS n, CAST(sum(events) AS BIGINT) AS events FROM confirmation WHERE plant = $plant"
    (row,) = json.loads(plantsync(whole, "query", sql, "--param", "plant=A", "--json").stdout)
    confirmed = [json.loads(value) for value in committed(whole, "confirmations")]

    assert row["n"] == sum(c["plant"] == "A" for c in confirmed) > 10
    assert row["events"] == sum(c["events"] for c in confirmed if c["plant"] == "A")


def test_a_query_has_three_outputs(whole):
    sql = "SELECT plant, count(*) AS n FROM ledger GROUP BY plant ORDER BY plant"

    table = plantsync(whole, "query", sql).stdout
    lines = plantsync(whole, "query", sql, "--csv").stdout.splitlines()
    cut = plantsync(whole, "query", sql, "--json", "--limit", 1)

    assert "plant" in table
    assert lines[0] == "plant,n"
    assert [line[0] for line in lines[1:]] == ["A", "B", "C", "M"]
    assert len(json.loads(cut.stdout)) == 1
    assert "more rows" in cut.stderr


def test_a_query_that_is_wrong_says_so(whole):
    assert "nowhere" in plantsync(whole, "query", "FROM nowhere", code=1).stderr
    assert "--param" in plantsync(whole, "query", "SELECT 1", "--param", "x", code=2).stderr


def test_running_again_adds_nothing(whole):
    before = {stream: committed(whole, stream) for stream in ("confirmations", "events", "dead-letters", "gaps")}

    run = json.loads(plantsync(whole, "run", "confirmations", "--until-end", "--json").stdout)
    stored = json.loads(plantsync(whole, "run", "analytics", "--until-end", "--json").stdout)

    assert run["read"] == 0
    assert "confirmations" not in run["written"]
    assert {stream: committed(whole, stream) for stream in before} == before
    assert stored["written"].keys() <= {"ledger"}


def test_dead_letters_are_listed_and_shown_with_their_bytes(whole):
    listed = json.loads(plantsync(whole, "dead-letters", "list", "--limit", 10_000, "--json").stdout)
    letters = committed(whole, "dead-letters")
    assert sum(listed["codes"].values()) == len(listed["letters"]) == len(letters) > 20

    only = json.loads(plantsync(whole, "dead-letters", "list", "--code", "NOT_UTF8", "--plant", "A", "--json").stdout)[
        "letters"
    ]
    assert {(letter["code"], letter["plant"]) for letter in only} == {("NOT_UTF8", "A")}

    shown = json.loads(plantsync(whole, "dead-letters", "show", only[0]["place"], "--json").stdout)
    original = base64.b64decode(shown["value_base64"])
    assert original in letters
    assert any(original in path.read_bytes() for path in (whole / "landing/plant-a").iterdir())
    text = plantsync(whole, "dead-letters", "show", only[0]["place"]).stdout
    assert "NOT_UTF8" in text
    assert "to do" in text
    assert original[:8].hex(" ") in text
    assert "there is no dead letter 99999" in plantsync(whole, "dead-letters", "show", 99999, code=1).stderr


def test_the_doctor_finds_a_healthy_system_healthy_and_disturbs_nobody(whole):
    document = json.loads(plantsync(whole, "doctor", "--json").stdout)
    assert document["fine"]
    assert document["problems"] == []
    assert document["settings"]["kafka"]["properties"]["sasl.password"] == "**********"
    assert [w.split(": ")[1] for w in document["warnings"]] == ["kafka.properties.ssl.key.password"]
    assert document["checks"][0]["name"] == "kernels"

    shards = {shard["shard"]: shard for shard in document["shards"]}
    assert {"folder:plant-a", "folder:plant-b", "folder:plant-c", "folder:plant-m"} < shards.keys()
    for name, shard in shards.items():
        assert shard["behind"] == 0, name
        if shard["flow"] == "confirmations":
            totals = shard["totals"]
            assert totals["read"] == sum(totals[n] for n in ("released", "late", "duplicates", "faults", "held")) > 0
    assert shards["folder:plant-a"]["totals"]["held"] > 0
    assert shards["folder:plant-a"]["open_runs"] > 0
    assert "All is well." in plantsync(whole, "doctor").stdout


def test_the_doctor_says_what_is_wrong(folder):
    plantsync(folder, "run", "confirmations", "--until-end", "-q", "--share", "0/4")
    (folder / "landing/plant-a/999.ndjson").write_bytes(b"x" * 1000)
    assert "folder:plant-a: 1,000 behind" in plantsync(folder, "doctor", "--behind-max", 999, code=1).stdout

    (folder / "state/plantsync.db").write_bytes(b"no database" * 100)
    document = json.loads(plantsync(folder, "doctor", "--json", code=1).stdout)
    assert not document["fine"]
    assert "not a database" in document["problems"][0]


def test_a_fresh_configuration_is_healthy(tmp_path):
    configure(tmp_path)

    document = json.loads(plantsync(tmp_path, "doctor", "--json").stdout)

    assert document["fine"]
    assert not (tmp_path / "landing").exists()
    assert not (tmp_path / "state").exists()


def test_sigterm_commits_and_the_next_run_goes_on(folder, whole):
    later = sorted((folder / "landing/plant-a").iterdir())[5:]
    aside = folder / "aside"
    aside.mkdir()
    for path in later:
        path.rename(aside / path.name)
    with Service(folder, "run", "confirmations") as service:
        until(lambda: committed(folder, "ledger"), service)
        for path in later:
            (aside / path.name).rename(path)
        until(lambda: b'"plant":"A"' in b"".join(committed(folder, "confirmations")), service)
        assert service.stop() == 0, service.said()
        assert "SIGTERM" in service.said()
    assert committed(folder, "ledger")

    plantsync(folder, "run", "confirmations", "--until-end")

    assert committed(folder, "confirmations") == committed(whole, "confirmations")
    assert committed(folder, "dead-letters") == committed(whole, "dead-letters")


def test_two_processes_with_a_share_each_confirm_what_one_does(folder, whole):
    with (
        Service(folder, "run", "confirmations", "--until-end", "--share", "0/2") as first,
        Service(folder, "run", "confirmations", "--until-end", "--share", "1/2") as second,
    ):
        assert first.process.wait(WAIT_S) == second.process.wait(WAIT_S) == 0
        assert "runs 2 shards: folder:plant-a, folder:plant-c" in first.said()
        assert "runs 2 shards: folder:plant-b, folder:plant-m" in second.said()

    assert committed(folder, "confirmations") == committed(whole, "confirmations")
    assert committed(folder, "dead-letters") == committed(whole, "dead-letters")


def test_a_cluster_of_two_processes_confirms_what_one_does(folder, whole):
    addresses = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
    options = ("--until-end", "--addresses", addresses, "--process")
    with (
        Service(folder, "run", "confirmations", *options, 0) as first,
        Service(folder, "run", "confirmations", *options, 1) as second,
    ):
        assert first.process.wait(WAIT_S) == second.process.wait(WAIT_S) == 0, first.said() + second.said()
        assert ": 0 records read" not in first.said() + second.said()

    assert committed(folder, "confirmations") == committed(whole, "confirmations")


def test_the_older_of_two_processes_on_one_shard_is_fenced(folder):
    with Service(folder, "run", "confirmations") as older:
        until(lambda: committed(folder, "ledger"), older)
        with Service(folder, "run", "confirmations") as newer:
            until(lambda: "runs 4 shards" in newer.said(), newer)
            time.sleep(1)  # until it has restored
            (folder / "landing/plant-c/zzz.jsonl").write_bytes(b"no record\n")
            assert older.process.wait(WAIT_S) == 3
            assert "give each its own shards" in older.said()
            until(lambda: b"no record" in committed(folder, "dead-letters"), newer)
            assert newer.stop() == 0
    letters = committed(folder, "dead-letters")

    assert letters.count(b"no record") == 1


def test_an_outage_of_one_folder_stops_its_shard_alone(folder):
    plants = folder / "landing"
    with Service(folder, "run", "confirmations") as service:
        until(lambda: b'"plant":"C"' in b"".join(committed(folder, "ledger")), service)
        (plants / "plant-b").rename(folder / "away")
        (plants / "plant-b").write_bytes(b"")  # A folder of that name cannot be made now.
        until(lambda: "folder:plant-b: reading" in service.said(), service)
        at = ("plantsync_source_away", "confirmations")
        assert (scraped(service)[*at, "folder:plant-b"], scraped(service)[*at, "folder:plant-c"]) == (1, 0)
        (plants / "plant-c/zzz.jsonl").write_bytes(b"no record of C\n")
        until(lambda: b"no record of C" in committed(folder, "dead-letters"), service)
        (plants / "plant-b").unlink()
        (folder / "away").rename(plants / "plant-b")
        (plants / "plant-b/zzz.csv").write_bytes("kaputt ÿ\n".encode("cp1252"))
        until(lambda: b"kaputt \xff" in committed(folder, "dead-letters"), service)
        assert scraped(service)[*at, "folder:plant-b"] == 0
        as_the_doctor_says(folder, service)
        assert service.stop() == 0
    letters = committed(folder, "dead-letters")

    assert letters.count(b"kaputt \xff") == 1


def as_the_doctor_says(folder: Path, service: Service) -> None:
    """Compare the metrics of a service with what can be seen from outside."""
    until(lambda: scraped(service)["plantsync_lag_bytes", "confirmations", "folder:plant-b"] == 0, service)
    shards = {s["shard"]: s for s in json.loads(plantsync(folder, "doctor", "--json").stdout)["shards"]}
    told = scraped(service)
    assert told["plantsync_build_info", "confirmations", version("plantsync")] == 1
    for name, plant in (("folder:plant-a", "A"), ("folder:plant-b", "B"), ("folder:plant-c", "C")):
        totals = shards[name]["totals"]
        for fate in ("released", "late", "duplicates", "faults"):
            assert told["plantsync_rows_total", fate, plant, name] == totals[fate], (name, fate)
        assert told["plantsync_rows_held", plant, name] == totals["held"]
        assert told["plantsync_lag_seconds", "confirmations", name] == 0
        assert told["plantsync_commits_total", "confirmations", name] >= 1
        assert told["plantsync_state_bytes", "confirmations", name] > 1_000
        assert abs(time.time() - told["plantsync_last_commit_timestamp_seconds", "confirmations", name]) < WAIT_S
        hop = ("confirmations", "occurred-ingested", plant)
        assert told["plantsync_hop_latency_seconds_count", *hop] > 0
        assert told["plantsync_hop_latency_seconds_sum", *hop] > 3_600  # It was simulated to be of an earlier day.
    letters = sum(value for (name, *_), value in told.items() if name == "plantsync_dead_letters_total")
    assert letters == len(committed(folder, "dead-letters")) == told[
        "plantsync_records_written_total", "confirmations", "dead-letters"
    ]  # fmt: skip
    duration = "plantsync_commit_duration_seconds_count", "confirmations"
    assert told[duration] == sum(v for (name, *_), v in told.items() if name == "plantsync_commits_total")


def test_an_outage_of_the_log_is_waited_out(folder):
    (folder / "state/plantsync.db").mkdir(parents=True)  # No file of that name can be opened now.
    plantsync(folder, "run", "confirmations", "--until-end", code=75)

    with Service(folder, "run", "confirmations") as service:
        until(lambda: "Going on from the last commit" in service.said(), service)
        (folder / "state/plantsync.db").rmdir()
        until(lambda: committed(folder, "ledger"), service)
        assert scraped(service)["plantsync_restarts_total", "confirmations"] >= 1
        assert service.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("run", "confirmations", "-c", "none.toml"), 1, "none.toml: No such file or directory"),
        (("run", "nothing"), 2, "nothing"),
        (("run", "confirmations", "--share", "2/2"), 2, "1/2"),
        (("run", "confirmations", "--process", "0"), 2, "--addresses"),
        (("run", "analytics", "--share", "0/2"), 2, "one process"),
        (("run", "analytics", "--until-end"), 75, "no such file yet"),
        (("query", "SELECT 1"), 75, "nothing has been published"),
        (("dead-letters", "list"), 75, "no such file yet"),
        (("dead-letters", "show", "x"), 1, "'x' is not an offset"),
        (("lint", "none.toml"), 1, ""),
        (("simulate",), 2, "--kafka"),
    ],
)
def test_exit_codes(tmp_path, arguments, code, said):
    configure(tmp_path)

    assert said in plantsync(tmp_path, *arguments, code=code).stderr


def test_simulating_into_a_used_folder_is_refused(folder):
    assert "not empty" in plantsync(folder, "simulate", "--out", "landing", code=1).stderr


def test_lint_tells_every_problem_and_shows_no_secret(folder):
    assert "a secret stands in the file" in plantsync(folder, "lint", "plantsync.toml").stdout

    (folder / "bad.toml").write_text('plant = "X"\nformat = "jsn"\n[input]\nfoldr = "x"\n')
    document = json.loads(plantsync(folder, "lint", "plantsync.toml", "bad.toml", "--json", code=1).stdout)
    assert [(p["file"], p["line"], p["key"]) for p in document["problems"]] == [
        ("bad.toml", 2, "format"),
        ("bad.toml", 4, "input.foldr"),
    ]
    assert "bad.toml:2: format" in plantsync(folder, "lint", "bad.toml", code=1).stdout

    shipped_c = (Path(__file__).parents[2] / "canonical/plants/plant_c.toml").read_text("utf-8")
    (folder / "c.toml").write_text(shipped_c.replace('quality = "hold" }', 'quality = "release" }'))
    settings = (folder / "plantsync.toml").read_text("utf-8")
    (folder / "c-only.toml").write_text(re.sub(r"(?m)^plants = .*$", 'plants = ["c.toml"]', settings))
    told = plantsync(folder, "lint", "c-only.toml", code=1).stdout
    assert "examples.0.event.quality: is 'hold', and not 'release'" in told


def test_lint_shows_what_a_payload_becomes(folder):
    mapping = Path(__file__).parents[2] / "canonical/plants/plant_c.toml"
    record = min((folder / "landing/plant-c").iterdir()).read_bytes().splitlines()[0]
    (folder / "sample.jsonl").write_bytes(record + b"\nno record\n")

    sample = json.loads(plantsync(folder, "lint", mapping, "--sample", "sample.jsonl", "--json").stdout)["sample"]
    table = plantsync(folder, "lint", mapping, "--sample", "sample.jsonl").stdout

    (row,) = sample["rows"]
    assert (row["plant"], sample["records"], sample["events"]) == ("C", 2, 1)
    assert [(fault["line"], fault["code"], fault["original"]) for fault in sample["faults"]] == [
        (2, "MALFORMED", "no record")
    ]
    assert "line 2: MALFORMED" in table


def commands(group=None, path=()):
    """Every command there is, with the groups that hold some."""
    group = group or typer.main.get_command(app)
    yield path
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_every_command_explains_itself(command):
    told = CliRunner().invoke(app, [*command, "--help"])
    said = " ".join(told.stdout.split())

    assert told.exit_code == 0
    wanted = "Exit codes: 0 fine" if not command else "Commands" if ("Commands" in said) else "Example: plantsync"
    assert wanted in said
