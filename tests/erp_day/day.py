"""A day of the plants, from raw records to documents in ERPs that misbehave, with kills of every flow (issue D, M49).

Everything is a process of its own, as in a plant: the flows, and the ERPs behind real HTTP. All clocks run ``speed``
times as fast as the world's, so that hours of waiting, locks and maintenance pass in seconds. What the ERPs have at
the end is held against what the simulated plants made.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from canonical.contracts import OWNERS, AnyReference, ExceptionCode, RouteReference
from dataflows.demo.replay import Replay
from dataflows.simulator import FolderWriter, SimulationConfig
from dataflows.simulator.booked import Booked, compare_booked
from dataflows.simulator.erp_orders import master_data, references
from sinks.commit_log import CommitLogUnavailable
from sinks.sqlite import SqliteStreams
from tests.erp_day.erps import main as serve_erps
from tests.erp_day.hurried import HurriedClock, up
from tests.erp_day.hurried import main as run_hurried
from tests.forked import Forked

FLOWS = ("confirmations", "postings", "delivery")
RATE, BURST = 0.05, 10
"""Requests a second and at once that each ERP takes, by the hurried clock.

Requests under way while the ERP stands still arrive at once with those that follow, so both together are not above it.
"""
NATURAL = {ExceptionCode.QUALITY_RELEASE_MISSING}
"""What may stay open: lots on which the quality system has said nothing when the day ends, or said no."""
DOCUMENTS = "documents.ndjson"
"""What the ERPs have at the end of the day, for an audit."""
QUIET_S = 4.0
"""Nothing new for so long, and all is as it should be: done."""
STUCK_S = 30.0
"""Nothing new for so long: whatever is missing will not come."""


def plants(start: datetime, seed: int) -> SimulationConfig:
    """Return a day of three plants; a longer one for ``make torture``."""
    records = 20_000 if "PLANTSYNC_TORTURE" in os.environ else 8_000
    return SimulationConfig(
        seed=seed, start=start, hours=24, plants=("A", "B", "C"), machines=3, orders=4, records=records
    )


@dataclass(frozen=True, slots=True)
class Erp:
    """Which plant posts to an ERP of which kind, from one hour of the day to another."""

    kind: str
    plant: str
    hours: tuple[float, float] = (-48.0, 1000.0)


TWO = {"s4": Erp("sap", "A"), "s5": Erp("sap", "B")}
THREE = {
    "s4": Erp("sap", "A", (-48.0, 11.0)),
    "fusion": Erp("oracle", "A", (11.0, 1000.0)),
    "dynamics": Erp("d365", "B"),
}
"""Plant A goes over from one ERP to another in the middle of the day (M33)."""
OAUTH = """
[erps.{erp}.adapter.oauth]
token_url = "http://127.0.0.1:{port}/{erp}/oauth2/v2.0/token"
client_id = "plantsync"
client_secret = "simulated"
"""
ADAPTERS = {
    "sap": 'failed_movements = "ProdnOrdConfFailedGdsMvt"\nuser = "plantsync"\npassword = "simulated"',
    "oracle": """
user = "plantsync"
password = "simulated"
history_path = "/fscmRestApi/resources/11.13.18.05/workOrderTransactionHistory"
subinventories = { quality = { FG01 = "FG01Q" } }""",
    "d365": """
company = "1010"
messages_path = "/api/services/SysMessageServices/SysMessageService/Messages"
rework = "error"
inventory_statuses = { quality = "Quality" }
transfer_message = "InventoryTransfer"
"""
    + OAUTH,
}
"""What each kind of ERP wants to be told beyond its address."""


FAULTS_OF = {"d365": {"lock_s": 4.0}}
"""Dynamics tries a message three times within seconds, and would give up one of an order that is locked longer."""


@dataclass(frozen=True, slots=True)
class Day:
    """One such day in a folder.

    Args:
        erps: by name.
        faults: of the ERPs, as ``FaultProfile``.
        away: ERPs that are down, from one hour of the day to another.
        kills: of each flow, at random instants.
        patience_s: of the world's, for everything to be settled.
    """

    folder: Path
    config: SimulationConfig
    speed: float
    erps: Mapping[str, Erp] = field(default_factory=lambda: TWO)
    faults: Mapping[str, Any] = field(default_factory=dict)
    away: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    kills: int = 0
    seed: int = 1
    patience_s: float = 240.0

    def run(self) -> Outcome:
        """Let the day pass; return what came of it."""
        replay = Replay(self.config)
        clock = HurriedClock(self.folder, self.config.start_us, self.speed)
        port = free_port()
        self._configure(port)
        with ExitStack() as processes:
            kinds = ",".join(f"{erp.kind}:{name}" for name, erp in self.erps.items())
            erps = Service(self, "erps", serve_erps, [str(self.folder), str(port), f"{RATE}/{BURST}", kinds], clock)
            processes.enter_context(erps.running())
            flows = {
                name: Service(self, name, run_hurried, [name, str(self.folder / "plantsync.toml")], clock)
                for name in FLOWS
            }
            for flow in flows.values():
                processes.enter_context(flow.running())
            wait_for(port, [up(self.folder, flow) for flow in FLOWS])
            clock.begin()
            person = Person(port, [name for name, erp in self.erps.items() if erp.kind == "d365"])
            self._pass(replay, clock, flows, person)
            return self._settled(flows, lambda: self._outcome(replay, port, person, flows), person)

    def _pass(self, replay: Replay, clock: HurriedClock, flows: Mapping[str, Service], person: Person) -> None:
        """Drop each hour's files when it is over, and kill flows at random instants."""
        rng = random.Random(self.seed)
        span = self.config.end_us - self.config.start_us
        kills = sorted(
            (self.config.start_us + int(span * rng.uniform(0.05, 1.0)), name)
            for name in FLOWS
            for _ in range(self.kills)
        )
        for number, _hour in enumerate(replay.hourly(FolderWriter(self.folder / "landing")), 1):
            self._dated(self.folder / "landing", clock())
            due_us = self.config.start_us + number * 3_600_000_000
            while (now_us := clock()) < due_us:
                while kills and kills[0][0] <= now_us:
                    flows[kills.pop(0)[1]].kill()
                for flow in flows.values():
                    flow.alive()
                time.sleep(0.05)
            person.look()
        for _, name in kills:
            flows[name].kill()
            time.sleep(0.5)

    def _dated(self, folder: Path, now_us: int) -> None:
        """Let what has just been dropped be of now, by the hurried clock."""
        for path in folder.rglob("*.*"):
            if path.is_file() and path.stat().st_mtime > self.config.end_us / 1e6 + 1e6:
                os.utime(path, (now_us / 1e6, now_us / 1e6))

    def _settled(self, flows: Mapping[str, Service], outcome: Callable[[], Outcome], person: Person) -> Outcome:
        """Wait until nothing new has come for a while, and all is there or nothing more will come; return it."""
        seen: object = None
        since = began = time.monotonic()
        while True:
            assert time.monotonic() - began < self.patience_s, f"not settled: {seen}"
            for flow in flows.values():
                flow.alive()
            person.look()
            now = self._ends()
            if now != seen or not now:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > QUIET_S:
                there = outcome()
                if there.complete() or time.monotonic() - since > STUCK_S:
                    return there
                time.sleep(1)
            time.sleep(0.3)

    def _ends(self) -> dict[str, int]:
        """Return how long each stream is; nothing before there is a log."""
        try:
            with streams(self.folder) as log:
                return {stream: log.end(stream) for stream in log.streams()}
        except CommitLogUnavailable:
            return {}

    def _outcome(self, replay: Replay, port: int, person: Person, flows: Mapping[str, Service]) -> Outcome:
        with streams(self.folder) as log:
            read = {
                stream: [json.loads(record.value) for record in log.read(stream, 0, 10_000_000)]
                for stream in log.streams()
                if not stream.startswith(("ledger", "ranges", "trail", "dead", "gaps", "states", "telemetry"))
            }
        asked = {
            erp: {what: control(port, erp, what) for what in ("totals", "stocks", "duplicates", "rate", "faults")}
            for erp in self.erps
        }
        for erp in self.erps:
            asked[erp]["documents"] = documents(port, erp)
        exported = (requests.get(f"http://127.0.0.1:{port}/_control/{erp}/export", timeout=30) for erp in asked)
        (self.folder / DOCUMENTS).write_bytes(b"".join(answer.content for answer in exported))
        return Outcome(
            replay, self.erps, person.helped, read, asked, {name: flow.killed for name, flow in flows.items()}
        )

    def _maintenance(self, erp: str) -> list[dict[str, str]]:
        if erp not in self.away:
            return []
        begin, end = (self.config.start + timedelta(hours=hour) for hour in self.away[erp])
        return [{"begin": begin.isoformat(), "end": end.isoformat()}]

    def _in_force(self, record: AnyReference, erp: Erp) -> AnyReference:
        """Return a record; a route holds from the ERP's first hour to its last."""
        if not isinstance(record, RouteReference):
            return record
        begin_us, end_us = (self.config.start_us + int(hour * 3_600_000_000) for hour in erp.hours)
        return record.model_copy(update={"valid_from_us": begin_us, "valid_to_us": end_us})

    def _configure(self, port: int) -> None:
        folder, commit_s = self.folder, 0.2 * self.speed
        profiles = {
            name: {**self.faults, **FAULTS_OF.get(erp.kind, {}), "maintenance": self._maintenance(name)}
            for name, erp in self.erps.items()
        }
        (folder / "faults.json").write_text(json.dumps(profiles))
        plants = sorted({erp.plant for erp in self.erps.values()})
        (folder / "master.json").write_text(master_data(self.config, *plants).model_dump_json())
        for name, erp in self.erps.items():
            place = folder / "reference" / name
            place.mkdir(parents=True)
            lines = (
                self._in_force(record, erp).model_dump_json() for record in references(self.config, name, erp.plant)
            )
            (place / "all.ndjson").write_text("".join(f"{line}\n" for line in lines))
            self._dated(place, self.config.start_us)
        common = f"""
rate_per_s = {RATE}
burst = {BURST // 2}
in_flight_max = {BURST // 2 - 1}
lease_s = {4 * self.speed}
settle_s = {5 * self.speed}
backoff_s = {0.1 * self.speed}
backoff_max_s = {2 * self.speed}
locked_after_s = {60 * self.speed}
probe_s = {0.5 * self.speed}
probe_max_s = {3 * self.speed}
attempts_max = 1000
"""
        erps = "".join(
            f"""
[erps.{name}]
{common}
[erps.{name}.adapter]
kind = "{erp.kind}"
base_url = "http://127.0.0.1:{port}/{name}"
read_timeout_s = 2
answer_timeout_s = 3
{ADAPTERS[erp.kind].replace("{erp}", name).replace("{port}", str(port))}
"""
            for name, erp in self.erps.items()
        )
        (folder / "plantsync.toml").write_text(f"""
landing = "landing"
plants = ["shipped:plant_a", "shipped:plant_b", "shipped:plant_c"]

[log]
path = "log.db"

[pace]
commit_interval_s = {commit_s}
urgent_interval_s = {commit_s / 4}
settle_s = 0

[reference]
folder = "reference"
systems = {json.dumps(list(self.erps))}

[postings]
quality_timeout_s = {6 * self.speed}

{erps}
""")


@dataclass(frozen=True, slots=True)
class Person:
    """Who queues messages again that Dynamics has given up, behind the others of their order: nobody else can."""

    port: int
    erps: Sequence[str]
    helped: set[str] = field(default_factory=set)

    def look(self) -> None:
        for erp in self.erps:
            for row in paged(self.port, erp, "messages"):
                if row["state"] == "Failed":
                    self.helped.add(json.loads(row["content"])["PostingId"])
                    body = {"number": row["number"]}
                    requests.post(f"{address(self.port, erp)}/messages", json=body, timeout=30).raise_for_status()


@dataclass(slots=True)
class Service:
    """A process of the day, started again after each kill."""

    day: Day
    name: str
    main: Callable[..., None]
    arguments: list[str]
    clock: HurriedClock
    process: Forked | None = None
    killed: int = 0

    def start(self) -> None:
        output = self.day.folder / f"{self.name}.txt"
        self.process = Forked(self.main, *self.arguments, *self.clock.arguments(), said=(output, output))

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL, "it had ended before"
        self.killed += 1
        self.start()

    def alive(self) -> None:
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}"

    @contextmanager
    def running(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            assert self.process is not None
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the log holds by stream, and what each ERP says."""

    replay: Replay
    kinds: Mapping[str, Erp]
    helped: set[str]
    streams: Mapping[str, list[dict[str, Any]]]
    erps: Mapping[str, Mapping[str, Any]]
    kills: Mapping[str, int]

    def complete(self) -> bool:
        """Return whether all that was made is in the ERPs, and nobody is waited for who could still come."""
        return not self.differences() and self.unsettled() <= NATURAL

    def answered(self, erp: str, day: Day, hours: tuple[float, float]) -> int:
        """Return how many receipts an ERP gave from one hour of the day to another."""
        begin_us, end_us = (day.config.start_us + int(hour * 3_600_000_000) for hour in hours)
        receipts = (row for row in self.streams["receipts"] if row["erp"] == erp)
        return sum(begin_us < row["answered_us"] < end_us for row in receipts)

    def unsettled(self) -> set[str]:
        """Return the codes of exceptions that are open; each has the owner of its code."""
        newest = {row["exception_id"]: row for row in self.streams.get("exceptions", [])}
        for row in newest.values():
            assert row["owner"] == OWNERS[ExceptionCode(row["code"])], row
        return {row["code"] for row in newest.values() if row["resolution"] == "open"}

    def differences(self) -> list[str]:
        """Return where the ERPs have something else than the plants made, a sentence each."""
        found: list[str] = []
        for plant in sorted({erp.plant for erp in self.kinds.values()}):
            said = [self.erps[name] for name, erp in self.kinds.items() if erp.plant == plant]
            booked = Booked(
                [row for one in said for row in one["totals"]["operations"]],
                [row for one in said for row in one["documents"]],
                [row for one in said for row in one["stocks"]],
            )
            found += [f"{plant} {words}" for words in compare_booked(self.replay.truth.plants[plant], booked)]
        for erp, one in self.erps.items():
            if one["rate"]["violations"]:
                found.append(f"{erp}: {one['rate']['violations']} requests above the limit")
            found += [f"{erp}: {what} twice: {twice}" for what, twice in one["duplicates"].items() if twice]
            found += self._disorder(erp)
        return found

    def _disorder(self, erp: str) -> Iterator[str]:
        """Yield where the documents of an order were not made in the order of its postings."""
        postings = {row["posting_id"]: row for row in self.streams.get(f"postings-{erp}", [])}
        receipts = {row["posting_id"]: row for row in self.streams.get("receipts", []) if row["erp"] == erp}
        unsettled = sorted(postings.keys() - receipts.keys())
        if unsettled:
            yield f"{erp}: {len(unsettled)} of {len(postings)} postings without receipt, {unsettled[:3]}"
        place: dict[str, int] = {}
        for row in self.erps[erp]["documents"]:
            for key in {row["number"], row["external_id"]} - {""}:
                place.setdefault(key, row["number_of_acceptance"])
        last: dict[str, tuple[int, int]] = {}
        for row in sorted(postings.values(), key=lambda row: (row["order"], row["number"])):
            number, before = last.get(row["order"], (-1, 0))
            if row["number"] != number + 1:
                yield f"{erp} {row['order']}: posting {row['number']} follows {number}"
            made = receipts.get(row["posting_id"], {}).get("document", "")
            at = place.get(row["posting_id"]) or place.get(made) if made else before
            if at is None:
                yield f"{erp} {row['order']}: posting {row['number']} has no document"
            elif at < before and row["posting_id"] not in self.helped:
                yield f"{erp} {row['order']}: document of posting {row['number']} was made before that of {number}"
            last[row["order"]] = (row["number"], before if row["posting_id"] in self.helped else max(at or 0, before))


def wait_for(port: int, files: Sequence[Path]) -> None:
    """Wait until the ERPs listen and these files are there."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0 and all(file.exists() for file in files):
                return
        time.sleep(0.05)
    raise TimeoutError(f"the simulated ERPs do not listen, or one of {files} is not there")


def address(port: int, erp: str) -> str:
    return f"http://127.0.0.1:{port}/_control/{erp}"


def control(port: int, erp: str, what: str) -> Any:
    answer = requests.get(f"{address(port, erp)}/{what}", timeout=30)
    answer.raise_for_status()
    return answer.json()


def documents(port: int, erp: str) -> list[dict[str, Any]]:
    return paged(port, erp, "documents")


def paged(port: int, erp: str, what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = control(port, erp, f"{what}?limit=5000&after={after}")
        found += page["rows"]
        after = page["next_after"]
    return found


@contextmanager
def streams(folder: Path) -> Iterator[SqliteStreams]:
    log = SqliteStreams(folder / "log.db")
    try:
        yield log
    finally:
        log.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
