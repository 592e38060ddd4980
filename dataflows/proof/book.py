"""One session's book: its records as sent, its results as committed, and what must be true of both."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, Final

from canonical.contracts.fault import FaultCode
from canonical.mapping import PlantMapping
from canonical.policy import Route
from dataflows.proof.laws import Law, hold
from dataflows.proof.twin import Counted, Event, Row, Session

QUANTITIES: Final = (
    ("good", "good", 1000),
    ("scrap", "scrap", 1000),
    ("rework", "rework", 1000),
    ("setup_us", "setup", 1),
    ("machine_us", "machine", 1),
    ("labour_us", "labour", 1),
    ("energy_mwh", "energy", 1000),
)
"""Field of a confirmation, field of what was sent, and the first in one of the second."""


class Book:
    """A session. ``arrived`` are the first records of each number, ``copies`` how many there were of it."""

    def __init__(self, session: Session, mapping: PlantMapping) -> None:
        self.session = session
        policy = mapping.sequencing
        self.start = policy.start if policy.mode == "number" and policy.start != "any" else None
        """First number of the session; what is smaller came late."""
        self.read = 0
        self.arrived: dict[int, tuple[Event, Route]] = {}
        self.copies: Counter[int] = Counter()
        self.confirmations: list[dict[str, Any]] = []
        self.confirmed_events = 0
        self.confirmed_good = 0
        self.passed_on: dict[int, dict[str, Any]] = {}
        self.gaps: list[tuple[int, int]] = []
        self.declared: set[int] = set()
        self.letters: Counter[tuple[int, FaultCode]] = Counter()
        self.entry: dict[str, Any] = {}
        self._held_max = policy.held_rows_max
        self._keys = [name for name in mapping.aggregation.split_by if name not in {"reason", "rework", "shift"}]
        self._apart = mapping.aggregation.is_side_by_side
        self._newest: defaultdict[tuple[str, str], int] = defaultdict(lambda: -1)

    def __str__(self) -> str:
        return f"source {self.session[0]} session {self.session[1]!r}"

    # -- as it comes -------------------------------------------------------------------------------

    def arrive(self, row: Row) -> None:
        """Enter a record that was read."""
        assert row.event is not None
        assert row.route is not None
        self.read += 1
        if row.number >= 0:
            self.start = row.number if self.start is None else self.start
            self.copies[row.number] += 1
            if row.first:
                self.arrived[row.number] = (row.event, row.route)

    def declare(self, first: int, last: int) -> None:
        """Enter a gap."""
        numbers = set(range(first, last + 1))
        twice, came = sorted(numbers & self.declared), sorted(numbers & self.arrived.keys())
        hold(Law.ORDER, not twice, f"{self}: each number declared missing once", twice)
        hold(
            Law.ORDER, not came, f"{self}: gaps only where nothing has arrived", f"{first}..{last}, but {came} had come"
        )
        self.declared |= numbers
        self.gaps.append((first, last))

    def confirm(self, line: dict[str, Any]) -> None:
        """Enter a confirmation."""
        self.confirmations.append(line)
        self.confirmed_events += line["events"]
        self.confirmed_good += line["good"]
        if line["kind"] == "confirmation":
            self._in_order("confirmation", line["first_seq"], line["last_seq"], self._place(line))

    def pass_on(self, line: dict[str, Any]) -> None:
        """Enter an event that was passed on by itself."""
        number = line["seq"]
        hold(Law.ONCE, number not in self.passed_on, f"{self}: number {number} passed on once", "twice")
        hold(Law.CONSERVATION, number in self.arrived, f"{self}: only records that came are passed on", number)
        self.passed_on[number] = line
        if not self._is_late(number):
            self._in_order("event", number, number, "")

    def set_aside(self, number: int, code: FaultCode) -> None:
        """Enter a dead letter."""
        self.letters[number, code] += 1

    def agree(self) -> None:
        """Compare the newest entry of the ledger with what has been read and committed so far."""
        entry = self.entry
        for name, expected in (
            ("read", self.read),
            ("faults", self.letters.total()),
            ("gaps", len(self.gaps)),
            ("operational", len(self.passed_on)),
            ("accounted", self.confirmed_events + entry["open"]),
            ("good", self.confirmed_good),
        ):
            hold(Law.CONSERVATION, entry[name] == expected, f"{self}: {name} {expected} in the ledger", entry[name])

        hold(Law.BOUNDS, entry["held"] <= self._held_max, f"{self}: at most {self._held_max} held", entry["held"])

    def _in_order(self, what: str, first: int, last: int, place: str) -> None:
        newest = self._newest[what, place]
        law = Law.TILING if what == "confirmation" else Law.ORDER
        hold(law, first > newest, f"{self}: {what}s ascend {place}, after {newest}", f"{first}..{last}")
        self._newest[what, place] = last

    def _place(self, said: Event) -> str:
        """Return where ranges exclude each other: a work centre, or the session as a whole."""
        place: str = said.get("work_center", "") if self._apart else ""
        return place

    # -- in the end --------------------------------------------------------------------------------

    def close(self, mapping: PlantMapping) -> None:
        """Check that every number has one fate, and every confirmation the sum of its own."""
        entry = self.entry
        hold(Law.CONSERVATION, bool(entry), f"{self}: an entry in the ledger", "none")
        hold(Law.CONSERVATION, entry["held"] == 0, f"{self}: nothing held in the end", entry["held"])
        self._reach()
        late = {number for number in self.arrived if self._is_late(number)}
        refused = {n for n, copies in self.copies.items() if self.letters[n, FaultCode.TOO_LATE] == copies}
        added = self._counted(mapping, late | refused)
        covering = self._covering()
        sums: dict[str, Counter[str]] = {}
        accounted, missing, analytics, still_open = 0, 0, 0, []
        for number in sorted(self.declared | self.arrived.keys()):
            by = self._confirming(covering.get(number, {}), number, is_late=number in late)
            if number not in self.arrived or number in refused or number in added[1]:
                why = "never came" if number not in self.arrived else "was refused"
                hold(Law.TILING, by is None or number in added[1], f"{self}: {number} {why} and is not confirmed", by)
                hold(Law.ONCE, number not in self.passed_on, f"{self}: {number} {why}, is not passed on", "it was")
                missing += number not in added[1] and number >= self._first()
                continue
            event, route = self.arrived[number]
            if by is not None:
                kind = "supplementary" if number in late else "confirmation"
                hold(Law.TILING, by["kind"] == kind, f"{self}: {number} in a {kind}", by["kind"])
            passed = number in self.passed_on
            hold(Law.CONSERVATION, passed == (route is Route.OPERATIONAL), f"{self}: {number} is {route}", passed)
            analytics += route is Route.ANALYTICS_ONLY
            if route is not Route.AGGREGATED:
                continue
            accounted += 1
            if by is None:
                still_open.append(number)
                continue
            wrong = [name for name in self._keys if name in event and by[name] != event[name]]
            hold(Law.TILING, not wrong, f"{self}: {number} confirmed under its own keys", wrong)
            amounts = sums.setdefault(by["posting_id"], Counter())
            amounts["events"] += 1
            for name, sent, factor in QUANTITIES:
                amounts[name] += event.get(sent, 0) * factor + added[0].get(number, {}).get(name, 0)
        self._open(still_open, mapping)
        for c in self.confirmations:
            amounts = sums.get(c["posting_id"], Counter())
            for name in ("events", *(name for name, _, _ in QUANTITIES)):
                due = f"{self}: {name} {amounts[name]} in {c['first_seq']}..{c['last_seq']}"
                hold(Law.TILING, c[name] == amounts[name], due, c[name])
        for name, expected in (("accounted", accounted), ("missing", missing), ("analytics_only", analytics)):
            hold(Law.CONSERVATION, entry[name] == expected, f"{self}: {name} {expected} in the end", entry[name])

    def _reach(self) -> None:
        """See that between start and end each number has arrived or is declared missing."""
        first, end = self._first(), self.entry["next_seq"]
        silent = [n for n in range(first, end) if n not in self.arrived and n not in self.declared]
        hold(Law.ORDER, not silent, f"{self}: a gap for each number that never came", silent)
        beyond = [n for n in self.arrived if n >= end]
        hold(Law.ORDER, not beyond, f"{self}: nothing arrived from {end} on", beyond)

    def _is_late(self, number: int) -> bool:
        return number in self.declared or number < self._first()

    def _first(self) -> int:
        assert self.start is not None, "nothing has arrived"
        return self.start

    def _counted(self, mapping: PlantMapping, beside: set[int]) -> tuple[dict[int, dict[str, int]], set[int]]:
        """Return what readings add to each number, and the numbers with an absurd one; check that they are faults."""
        counters: defaultdict[str, Counted] = defaultdict(lambda: Counted(mapping))
        added: dict[int, dict[str, int]] = {}
        absurd: set[int] = set()
        for number in sorted(self.arrived.keys() - beside):
            event, route = self.arrived[number]
            meter = event.get("work_center", "") if mapping.counters.by_work_center else ""
            more = counters[meter].row(event, confirmed=route is Route.AGGREGATED)
            if more is None:
                absurd.add(number)
            else:
                added[number] = more
        lettered = {number for number, code in self.letters if code is FaultCode.ABSURD_QUANTITY}
        hold(Law.CONSERVATION, lettered == absurd, f"{self}: {sorted(absurd)} refused by a counter", sorted(lettered))
        return added, absurd

    def _covering(self) -> dict[int, dict[str, dict[str, Any]]]:
        """Return the confirmations that cover each number, by place; of late numbers there is one."""
        covering: defaultdict[int, dict[str, dict[str, Any]]] = defaultdict(dict)
        for c in self.confirmations:
            place = self._place(c) if c["kind"] == "confirmation" else ""
            for number in range(c["first_seq"], c["last_seq"] + 1):
                due = f"{self}: no two confirmations of {number} {place}"
                hold(Law.TILING, place not in covering[number], due, c["posting_id"])
                covering[number][place] = c
        return covering

    def _confirming(
        self, covering: Mapping[str, dict[str, Any]], number: int, *, is_late: bool
    ) -> dict[str, Any] | None:
        """Return the confirmation that a number is in; of one that never came, or came late, any that covers it."""
        if number not in self.arrived or is_late:
            return min(covering.values(), key=lambda c: str(c["kind"]), default=None)
        return covering.get(self._place(self.arrived[number][0]))

    def _open(self, numbers: list[int], mapping: PlantMapping) -> None:
        """See that what is not confirmed is the open run, where nothing ends it."""
        hold(Law.CONSERVATION, len(numbers) == self.entry["open"], f"{self}: open {self.entry['open']}", numbers)
        if not numbers:
            return
        hold(
            Law.TILING,
            mapping.aggregation.idle_s is None,
            f"{self}: no open run after {mapping.aggregation.idle_s} s",
            numbers,
        )
        for number in numbers:
            place = self._place(self.arrived[number][0])
            last = self._newest["confirmation", place]
            hold(Law.TILING, number > last, f"{self}: the open run {place} comes after {last}", numbers)
