"""The conformance suite: whether a plant's mapping does on a sample what the flow promises (M45).

A check has *passed*, has *failed*, or *notes* what only a person can judge. The sample is read as a flow would read
it, by the flow's own stages; what is compared are confirmations and the ledger's totals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np

from canonical.columns import EventBatch, Vocabulary
from canonical.decoders import decode
from canonical.mapping import PlantMapping
from canonical.records import RawRecords
from canonical.units import UNITS
from dataflows.onboarding.damage import Damaged, damaged
from dataflows.onboarding.report import Check, FaultKind, Report, Status
from dataflows.onboarding.trial import Trial, read_at, tried

_EXAMPLES_MAX: Final = 3
_DAMAGED_FROM: Final = 100
"""So many accepted records are looked through for one that carries each field."""
_STRIDE: Final = 7_919
"""A prime: the records are shuffled by steps of it, the same way each time."""
_PIECES: Final = 7


def examined(mapping: PlantMapping, raw: RawRecords, now_us: int, expected: Collection[str] = ()) -> Report:
    """Return what becomes of a sample, and whether it does what it should.

    Args:
        mapping: of the plant.
        raw: RAW[n], the sample.
        now_us: the present, int64 UTC microseconds; the sample is taken to be read just after its newest record.
        expected: codes of faults that somebody has explained; they fail nothing.
    """
    at_us = read_at(mapping, raw, now_us)
    whole = tried(mapping, [raw], at_us)
    decoded = decode(mapping, raw, Vocabulary(), at_us).events
    report = Report(mapping.plant, len(raw), dict(whole.totals), _kinds(whole, expected))
    report.checks = [
        _decodes(whole, report),
        _conservation(whole),
        _dedup(mapping, raw, at_us, whole),
        _order(mapping, raw, at_us, decoded),
        _cut(mapping, raw, at_us, whole),
        _shifts(mapping, whole),
        _units(mapping, whole, report),
        _bad_records(mapping, raw, at_us, decoded),
        _confirmations(mapping, whole),
    ]
    return report


def _kinds(trial: Trial, expected: Collection[str]) -> list[FaultKind]:
    counts = Counter(fault.code for fault in trial.faults)
    return [
        FaultKind(code, count, code in expected, [f for f in trial.faults if f.code == code][:_EXAMPLES_MAX])
        for code, count in counts.most_common()
    ]


def _decodes(trial: Trial, report: Report) -> Check:
    unexplained = sum(kind.count for kind in report.faults if not kind.is_expected)
    told = (
        f"{trial.totals['read']:,} records, {trial.totals['faults']:,} faults, {trial.totals['skipped']:,} no records"
    )
    if not trial.totals["read"]:
        return Check("decodes", Status.FAILED, "the sample holds no record")
    return Check("decodes", Status.FAILED if unexplained else Status.PASSED, told)


def _conservation(trial: Trial) -> Check:
    totals = trial.totals
    names = ("accounted", "operational", "analytics_only", "duplicates", "held", "faults")
    told = ", ".join(f"{totals[name]:,} {name.replace('_', ' ')}" for name in names if totals[name])
    told = f"{totals['read']:,} read: {told or 'nothing'}"
    if trial.open_events:
        told += f", {trial.open_events:,} in runs that nothing closes: set aggregation.idle_s"
    return Check("conservation", Status.PASSED if trial.is_balanced else Status.FAILED, told)


def _dedup(mapping: PlantMapping, raw: RawRecords, at_us: int, once: Trial) -> Check:
    twice = tried(mapping, [raw, _picked(raw, range(len(raw)))], at_us)
    added = twice.totals["accounted"] + twice.totals["operational"] + twice.totals["analytics_only"]
    added -= once.totals["accounted"] + once.totals["operational"] + once.totals["analytics_only"]
    same = twice.amounts == once.amounts and added == 0
    told = f"{once.totals['duplicates']:,} repetitions in the sample; read twice it adds {added:,} records"
    if not same:
        return Check("dedup", Status.FAILED, f"{told}, and confirmations differ")
    return Check("dedup", Status.PASSED, told)


def _order(mapping: PlantMapping, raw: RawRecords, at_us: int, decoded: EventBatch) -> Check:
    if mapping.sequencing.mode != "number":
        return Check("order", Status.NOTED, "the records have no numbers: the order of arrival is all there is")
    first: dict[tuple[int, int, int], int] = {}
    lowest: dict[tuple[int, int], tuple[int, int]] = {}
    keys = zip(decoded["source"].tolist(), decoded["session"].tolist(), decoded["seq"].tolist(), strict=True)
    for (source, session, seq), row in zip(keys, decoded["row"].tolist(), strict=True):
        first.setdefault((source, session, seq), row)
        lowest[source, session] = min(lowest.get((source, session), (seq, row)), (seq, row))
    rows = sorted(first.values())
    # Where the first to arrive begins a session, it has to arrive first, or the others are late.
    heads = {row for _, row in lowest.values()} if mapping.sequencing.start == "any" else set()
    rest = [row for row in rows if row not in heads]
    block = max(1, min(mapping.sequencing.held_rows_max // 2, len(rest)))
    mixed = [row for at in range(0, len(rest), block) for row in _shuffled(rest[at : at + block])]
    ordered = tried(mapping, [_picked(raw, [*sorted(heads), *rest])], at_us)
    shuffled = tried(mapping, [_picked(raw, [*sorted(heads), *mixed])], at_us)
    missing = sum(gap["last_seq"] - gap["first_seq"] + 1 for gap in ordered.gaps)
    told = f"{len(lowest):,} sessions, {missing:,} numbers missing"
    if _made(ordered) != _made(shuffled):
        return Check("order", Status.FAILED, f"{told}; shuffled, the sample gives other confirmations")
    status = Status.NOTED if missing else Status.PASSED
    return Check("order", status, f"{told}; shuffled, the sample gives the same confirmations")


def _cut(mapping: PlantMapping, raw: RawRecords, at_us: int, whole: Trial) -> Check:
    pieces = [part.tolist() for part in np.array_split(np.arange(len(raw)), _PIECES) if len(part)]
    in_pieces = tried(mapping, [_picked(raw, part) for part in pieces], at_us)
    same = _made(in_pieces) == _made(whole)
    told = f"read in {len(pieces)} pieces it gives {'the same' if same else 'other'} confirmations"
    return Check("pieces", Status.PASSED if same else Status.FAILED, told)


def _shifts(mapping: PlantMapping, trial: Trial) -> Check:
    counts: Counter[tuple[str, str]] = Counter()
    for row in trial.confirmations:
        counts[row["posting_date"], row["shift"]] += row["events"]
    details = [f"{day} {shift or '(no shift)'}: {events:,} events" for (day, shift), events in sorted(counts.items())]
    outside = sum(events for (_, shift), events in counts.items() if not shift)
    if not mapping.shifts:
        told = f"no shifts are named; posting dates are calendar days of {mapping.time_zone}"
        return Check("shifts", Status.NOTED, told, details)
    if outside:
        return Check("shifts", Status.NOTED, f"{outside:,} events were made in no shift", details)
    return Check(
        "shifts", Status.PASSED, f"every event was made in a shift, by the clocks of {mapping.time_zone}", details
    )


def _units(mapping: PlantMapping, trial: Trial, report: Report) -> Check:
    counts = Counter(row["unit"] for row in trial.confirmations)
    details = [f"{code} ({UNITS[code].name}): {n:,} confirmations" for code, n in counts.most_common()]
    unknown = sum(kind.count for kind in report.faults if kind.code == "UNKNOWN_UNIT" and not kind.is_expected)
    if unknown:
        return Check("units", Status.FAILED, f"{unknown:,} records name a unit that nobody knows", details)
    if "unit" not in mapping.sources:
        return Check("units", Status.NOTED, f"no record names its unit; all are taken for {mapping.unit}", details)
    return Check("units", Status.PASSED, "every unit is known", details)


def _bad_records(mapping: PlantMapping, raw: RawRecords, at_us: int, decoded: EventBatch) -> Check:
    good = decoded["row"][:_DAMAGED_FROM].tolist()
    kinds: dict[str, tuple[Damaged, int]] = {}
    for row in good:
        for each in damaged(mapping, raw.value(row)):
            kinds.setdefault(each.what, (each, row))
    if not kinds:
        return Check("bad records", Status.NOTED, "there is no accepted record to damage")
    tests = list(kinds.values())
    values = [raw.value(row) for row in good] + [each.record for each, _ in tests]
    rows = [*good, *(row for _, row in tests)]
    done = decode(mapping, _with_values(raw, rows, values), Vocabulary(), at_us)
    codes = {fault.row: fault.code for fault in done.faults}
    details, wrong = [], 0
    for at, (each, _) in enumerate(tests, len(good)):
        code = codes.get(at)
        is_right = code in each.codes
        wrong += not is_right
        want = "" if is_right else f", not {' or '.join(sorted(each.codes))}"
        details.append(f"{each.what}: {code or 'accepted'}{want}")
    harmed = [at for at in range(len(good)) if at in codes]
    if harmed:
        return Check("bad records", Status.FAILED, f"{len(harmed)} good records beside them were refused too", details)
    told = f"{len(tests) - wrong} of {len(tests)} kinds of damage are refused with their code"
    return Check("bad records", Status.FAILED if wrong else Status.PASSED, told, details)


def _confirmations(mapping: PlantMapping, trial: Trial) -> Check:
    made = {name: sum(row[name] for row in trial.confirmations) / 1000 for name in ("good", "scrap", "rework")}
    amounts = ", ".join(f"{amount:,g} {name}" for name, amount in made.items() if amount) or "no quantities"
    told = f"{len(trial.confirmations):,} confirmations: {amounts}; {len(trial.events):,} events passed on one by one"
    counts = any(name.endswith("_counter") or name in made for name in mapping.sources)
    if counts and not trial.confirmations:
        return Check("confirmations", Status.FAILED, f"{told}; quantities are mapped, and nothing comes of them")
    if not trial.confirmations and not trial.events:
        return Check("confirmations", Status.NOTED, f"{told}: nothing of it reaches an ERP")
    orders = sum(not row["order"] for row in trial.confirmations)
    details = [f"{orders:,} confirmations name no order"] if orders else []
    return Check("confirmations", Status.NOTED if orders else Status.PASSED, told, details)


def _made(trial: Trial) -> list[tuple[object, ...]]:
    names = ("posting_id", "last_seq", "events", "good", "scrap", "rework", "shift", "posting_date", "unit")
    return sorted(tuple(row[name] for name in names) for row in trial.confirmations)


def _shuffled(rows: Sequence[int]) -> list[int]:
    n = len(rows)
    return sorted(rows, key=lambda row: (row * _STRIDE) % 10_007) if n > 1 else list(rows)


def _picked(raw: RawRecords, rows: Sequence[int]) -> RawRecords:
    return _with_values(raw, rows, [raw.value(row) for row in rows])


def _with_values(raw: RawRecords, rows: Sequence[int], values: Sequence[bytes]) -> RawRecords:
    """Return records with these bytes, and the headers of the rows they were made of."""
    headers = None if raw.headers is None else [raw.headers[row] for row in rows]
    return RawRecords.from_values(values, np.arange(len(values), dtype=np.int64), raw.topic, headers=headers)
