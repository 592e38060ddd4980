"""Laws of an outcome by itself, whatever time decided: balance, tiling, sums, no posting twice (DESIGN 1, 2, 3, 5)."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict

from benchmarks.workload import as_peers_row, canon
from canonical.contracts.ledger import imbalances
from dataflows.simulator.truth import compare
from sinks.streams import CONFIRMATIONS, EVENTS, GAPS, LEDGER
from tests.torture.outcome import doubles


def broken(outcome, source):
    """Return the laws that an outcome breaks, a sentence each.

    Once all is settled: nothing is held, and every event accounted for is confirmed.
    """
    problems = doubles(outcome) + _unbalanced(outcome) + _untiled(outcome)
    if source.truth:
        problems += _untrue(outcome, source.truth)
    if source.oracle:
        got = canon(as_peers_row(record.value) for record in outcome.stored(CONFIRMATIONS))
        if got != (source.oracle.rows, source.oracle.digest):
            problems.append(f"workload W's oracle has {source.oracle.rows} rows, the log {got[0]}, or they differ")
    return problems


def _unbalanced(outcome):
    """Every entry ever written balances: one belongs to each commit."""
    problems = []
    for record in outcome.stored(LEDGER):
        for entry in map(json.loads, record.value.splitlines()):
            # Records without a source are refused before there is a session.
            wrong = imbalances(entry) if entry["source"] else []
            problems += [f"ledger of {entry['source']} {entry['session']}: {sentence}" for sentence in wrong]
    newest = outcome.ledger().values()
    problems += [f"{e['source']} {e['session']}: {e['held']} still held" for e in newest if e["held"]]
    letters = len(outcome.letters())
    faults = sum(entry["faults"] for entry in newest)
    return problems + ([f"{letters} dead letters, {faults} faults in the ledger"] if letters != faults else [])


def _untiled(outcome):
    problems = []
    found = defaultdict(lambda: {CONFIRMATIONS: [], GAPS: [], EVENTS: []})
    for stream in (CONFIRMATIONS, GAPS, EVENTS):
        for row in outcome.documents(stream):
            found[row["plant"], row["source"], row["session"]][stream].append(row)
    entries = {key[1:]: entry for key, entry in outcome.ledger().items()}
    for key, rows in found.items():
        confirmations = sorted(rows[CONFIRMATIONS], key=lambda c: c["first_seq"])
        for one, other in itertools.pairwise(confirmations):
            if one["last_seq"] >= other["first_seq"]:
                problems.append(f"{key}: confirmations from {one['first_seq']} and {other['first_seq']} overlap")
        declared = Counter(n for gap in rows[GAPS] for n in range(gap["first_seq"], gap["last_seq"] + 1))
        problems += [f"{key}: number {n} is declared missing {c} times" for n, c in declared.items() if c > 1]
        for c in confirmations:
            spanned = declared.keys() & set(range(c["first_seq"], c["last_seq"] + 1))
            if c["kind"] == "confirmation" and spanned:
                problems.append(f"{key}: the confirmation from {c['first_seq']} spans missing numbers {spanned}")
        entry = entries[key]
        numbers = [event["seq"] for event in rows[EVENTS]]
        if len(numbers) != len(set(numbers)):
            problems.append(f"{key}: an event was passed on twice")
        if len(numbers) != entry["operational"]:
            problems.append(f"{key}: {len(numbers)} events passed on, {entry['operational']} in the ledger")
        if len(rows[GAPS]) != entry["gaps"]:
            problems.append(f"{key}: {len(rows[GAPS])} gaps, {entry['gaps']} in the ledger")
    return problems


def _untrue(outcome, truth):
    ledger, faults = defaultdict(Counter), defaultdict(Counter)
    for entry in outcome.ledger().values():
        ledger[entry["plant"]].update({name: n for name, n in entry.items() if isinstance(n, int)})
    for letter in outcome.letters():
        faults[letter.fault.plant][letter.fault.code] += 1
    confirmations = outcome.documents(CONFIRMATIONS)
    confirmed = Counter()
    for c in confirmations:
        confirmed[c["plant"]] += c["events"]
    problems = [
        f"plant {plant}: {confirmed[plant]} events confirmed, {totals['accounted']} accounted for"
        for plant, totals in ledger.items()
        if confirmed[plant] != totals["accounted"]
    ]
    return problems + compare(truth, confirmations, ledger, faults)
