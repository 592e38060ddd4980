"""Fixtures that every test may ask for."""

import os

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests import kafka_broker

# CI runs the same examples each time, so that a red run is about the change; elsewhere every run looks further.
# How long an example takes says nothing on a shared machine.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")


LONGEST = (
    "tests/simulation/test_proof",
    "tests/e2e/test_erp_day",
    "tests/torture",
    "tests/e2e/test_erp_away",
    "tests/faults",
)
"""Where tests take minutes: they go first, so that no processor is left waiting for them at the end."""


def pytest_collection_modifyitems(items):
    """Put the longest tests before all others, which stay as they stand."""

    def place(item):
        return next((place for place, start in enumerate(LONGEST) if item.nodeid.startswith(start)), len(LONGEST))

    items.sort(key=place)


class Rooms(LoadScopeScheduling):
    """A module's tests run in one process, and so do all that need three brokers: these are started once."""

    def _split_scope(self, nodeid):
        return "tests/faults" if nodeid.startswith("tests/faults/") else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True, wrapper=True)
def pytest_xdist_auto_num_workers():
    """One worker more than processors: tests of brokers, locks and time-outs wait for much of their time."""
    return (yield) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Say which tests run in one process."""
    return Rooms(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.fixture(scope="session")
def kafka():
    """A Kafka broker for the whole run: the one that PLANTSYNC_KAFKA names, else one started here."""
    if servers := os.environ.get("PLANTSYNC_KAFKA"):
        yield kafka_broker.Broker(servers)
        return
    try:
        with kafka_broker.running(brief=True) as broker:
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
