"""Breaking the protocol on purpose makes the simulation fail (DESIGN law 3): each mutant, and the law that sees it."""

import logging
from functools import partial

import pytest

from dataflows.confirmations import STAGES
from dataflows.flow_names import CONFIRMATIONS
from dataflows.proof import Campaign, Law
from tests.simulation import mutants
from tests.simulation.plants import PLANTS

SEEDS_MAX = 400
"""Schedules, the plants in turn, within which every mutant must be seen."""

LOGS = {
    mutants.RecordsFirst: {Law.ONCE, Law.CONSERVATION},
    mutants.PositionFirst: {Law.CONSERVATION, Law.TILING},
    mutants.StateOfTheCommitBefore: {Law.ONCE, Law.CONSERVATION},
    mutants.FencedAfterReading: {Law.ONCE, Law.CONSERVATION},
    mutants.FencedOnlyEarly: {Law.ONCE, Law.CONSERVATION},
    mutants.Unfenced: {Law.ONCE, Law.CONSERVATION},
    mutants.InDoubtTakenForDone: {Law.CONSERVATION, Law.TILING, Law.PROGRESS},
    mutants.FailedInFlightForgotten: {Law.CONSERVATION, Law.TILING, Law.PROGRESS},
}
FLIGHTS = {
    mutants.NextBegunBeforeTheLastLanded: {Law.CONSERVATION, Law.ONCE},
    mutants.LastLeftBehind: {Law.CONSERVATION},
}
STATES = {
    mutants.OneHeldRowDropped: ("sequence", {Law.CONSERVATION, Law.ORDER}),
    mutants.NewestIdentitiesForgotten: ("sequence", {Law.CONSERVATION, Law.ORDER}),
    mutants.BodiesForgotten: ("sequence", {Law.INDIFFERENCE}),
    mutants.OpenRunsForgotten: ("aggregate", {Law.CONSERVATION, Law.TILING}),
    mutants.ReadingsForgotten: ("counter", {Law.TILING, Law.CONSERVATION}),
    mutants.Repeating: ("ledger", {Law.ONCE}),
    mutants.GapAgain: ("ledger", {Law.ORDER}),
}


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.ERROR, "dataflows")


def seen(**broken):
    """Return the first verdict with a broken law, and how many schedules that took."""
    ways = [Campaign([plant], **broken) for plant in PLANTS]
    for seed in range(SEEDS_MAX):
        verdict = ways[seed % len(ways)].run(seed)
        if verdict.broken:
            return verdict, seed + 1
    pytest.fail(f"no law notices it in {SEEDS_MAX} schedules")
    return None


@pytest.mark.parametrize("mutant", LOGS, ids=lambda mutant: mutant.__name__)
def test_a_broken_log_is_noticed(mutant):
    verdict, tried = seen(open_log=mutant)
    print(f"\n{mutant.__name__}: {verdict.broken.law} after {tried} schedules")
    assert verdict.broken.law in LOGS[mutant], str(verdict)


@pytest.mark.parametrize("mutant", FLIGHTS, ids=lambda mutant: mutant.__name__)
def test_commits_that_do_not_wait_for_each_other_are_noticed(mutant):
    verdict, tried = seen(open_flight=mutant)
    print(f"\n{mutant.__name__}: {verdict.broken.law} after {tried} schedules")
    assert verdict.broken.law in FLIGHTS[mutant], str(verdict)


@pytest.mark.parametrize("mutant", STATES, ids=lambda mutant: mutant.__name__)
def test_a_broken_state_is_noticed(mutant):
    place, laws = STATES[mutant]
    build = partial(mutant, flow=CONFIRMATIONS) if place == "ledger" else mutant
    verdict, tried = seen(stages=tuple((STAGES | {place: build}).values()))
    print(f"\n{mutant.__name__}: {verdict.broken.law} after {tried} schedules")
    assert verdict.broken.law in laws, str(verdict)
