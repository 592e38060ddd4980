"""The settings of the Kafka log: every problem at once, and no secret shown (M50)."""

import pytest

from sinks.kafka_settings import RESERVED, KafkaSettings

SERVERS = {"bootstrap.servers": "localhost:9092"}


def test_secrets_are_not_shown():
    secrets = {
        "sasl.password": "hunter2",
        "ssl.key.password": "hunter2",
        "ssl.keystore.password": "hunter2",
        "sasl.oauthbearer.client.secret": "hunter2",
        "ssl.key.pem": "hunter2",
        "SASL.OAUTHBEARER.TOKEN": "hunter2",
    }
    kafka = KafkaSettings({**SERVERS, **secrets, "sasl.username": "plant"})
    for shown in (repr(kafka), str(kafka), f"{kafka}"):
        assert "hunter2" not in shown
        assert "localhost:9092" in shown
        assert "'sasl.username': 'plant'" in shown


def test_every_problem_is_named_at_once():
    with pytest.raises(ValueError, match="Kafka settings") as raised:
        KafkaSettings(
            {"transactional.id": "mine", "acks": "1"},
            prefix="plant sync/",
            partitions=0,
            state_chunk_bytes=2_000,
            record_bytes_max=1_000,
            transaction_timeout_ms=5_000,
            restore_timeout_ms=5_000,
        )
    for problem in (
        "bootstrap.servers",
        "transactional.id",
        "acks",
        "prefix",
        "partitions is 0",
        "state_chunk_bytes",
        "restore_timeout_ms",
    ):
        assert problem in str(raised.value)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_what_the_guarantees_rest_on_is_not_to_be_set(name):
    with pytest.raises(ValueError, match=name):
        KafkaSettings({**SERVERS, name: "x"})


def test_other_properties_pass_through_and_win_over_defaults():
    kafka = KafkaSettings({**SERVERS, "sasl.mechanism": "PLAIN", "reconnect.backoff.ms": "7"})
    client = kafka.client({"group.id": "g"})
    assert client == {**SERVERS, "sasl.mechanism": "PLAIN", "reconnect.backoff.ms": "7", "group.id": "g"}


def test_names_begin_with_the_prefix():
    kafka = KafkaSettings(SERVERS, prefix="north.")
    assert (kafka.topic("confirmations"), kafka.state_topic("flow")) == ("north.confirmations", "north.flow-state")


def test_only_the_audit_trail_is_kept_for_ever():
    settings = KafkaSettings({"bootstrap.servers": "x"}, retention_ms=5)

    assert settings.record_topic("trail")["retention.ms"] == "-1"
    assert settings.record_topic("ledger")["retention.ms"] == "5"
