"""The Kafka log through TLS and SASL, with librdkafka's own properties passed through (M50)."""

import logging
import time
import uuid

import pytest

from sinks.commit_log import CommitLogError, Record, Snapshot
from sinks.kafka import KafkaLog
from sinks.kafka_settings import KafkaSettings
from tests import kafka_broker

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def secure():
    """Properties for a broker whose listener demands SASL over TLS."""
    try:
        with kafka_broker.running(secure=True, brief=True) as broker:
            yield dict(broker.secure)
    except kafka_broker.BrokerUnavailable as error:
        pytest.skip(str(error))


def opened(properties):
    prefix = f"t{uuid.uuid4().hex}."
    return KafkaLog("flow", KafkaSettings(properties, prefix=prefix, state_partitions=2, restore_timeout_ms=31_000))


def test_commits_travel_through_tls_and_sasl(secure):
    log = opened(secure)
    assert log.restore("a") is None
    log.commit("a", "1", {"x": b"1"}, [Record("s", b"k", b"v")])
    assert log.restore("a") == Snapshot("1", {"x": b"1"})


REFUSED = [
    ({"sasl.password": "hunter2"}, "check sasl.mechanism, sasl.username and sasl.password"),
    ({"sasl.username": "stranger"}, "check sasl.mechanism, sasl.username and sasl.password"),
    ({"ssl.ca.location": None}, "check ssl.ca.location"),
]


@pytest.mark.parametrize(("change", "hint"), REFUSED)
def test_a_refusal_is_told_at_once_and_without_the_secret(secure, change, hint, caplog):
    properties = {name: value for name, value in (secure | change).items() if value is not None}
    started = time.monotonic()
    with caplog.at_level(logging.DEBUG), pytest.raises(CommitLogError, match=hint) as raised:
        opened(properties).restore("a")
    assert time.monotonic() - started < 10  # Not only when the restore times out.
    assert not raised.value.retryable
    assert secure["bootstrap.servers"] in str(raised.value)
    for secret in (secure["sasl.password"], "hunter2"):
        assert secret not in str(raised.value)
        assert secret not in caplog.text
