"""Fixtures that every test may ask for."""

import os

import pytest
from hypothesis import settings

from tests import kafka_broker

# CI runs the same examples each time, so that a red run is about the change; elsewhere every run looks further.
# How long an example takes says nothing on a shared machine.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")


LONGEST = ("simulation/test_proof", "e2e/test_erp_day", "torture/test_torture", "e2e/test_erp_away")
"""Modules whose tests take minutes, which go first, so that no processor is left waiting for them at the end."""


def pytest_collection_modifyitems(items):
    """Put the tests of the longest modules before all others; within a module they stay as they stand."""
    places = {f"tests/{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


@pytest.fixture(scope="session")
def kafka():
    """A Kafka broker for the whole run: the one that PLANTSYNC_KAFKA names, else one started here."""
    if servers := os.environ.get("PLANTSYNC_KAFKA"):
        yield kafka_broker.Broker(servers)
        return
    try:
        with kafka_broker.running() as broker:
            yield broker
    except kafka_broker.BrokerUnavailable as error:
        pytest.skip(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """In CI every test must run, or else say by its mark that it may not: a skip would hide what is never tested."""
    report = yield
    skipped = report.skipped and "wasxfail" not in vars(report)
    if skipped and not item.get_closest_marker("elsewhere") and os.environ.get("CI") == "true":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} may not be skipped in CI. {reason}"
    return report
