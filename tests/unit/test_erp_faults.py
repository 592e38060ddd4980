"""Faults: each in its own way, recorded, and the same for the same seed (M27, M49)."""

import json
from datetime import UTC, datetime

import pytest

from dataflows.erp_simulator.faults import (
    PROFILES,
    Fault,
    FaultProfile,
    Plan,
    ProfileUnusable,
    Schedule,
    Window,
    profile,
)
from dataflows.erp_simulator.throttle import Limit
from tests.erp_world import CONFIRMATIONS, NOW_US, Client, world

FINE = {
    "OrderID": "1000020",
    "OrderOperation": "0010",
    "ConfirmationYieldQuantity": "1",
    "ExternalSystemConfirmation": "11111111-2222-3333-4444-555555555555",
}


def _planned(fault, **options):
    sap = world(**options)[1]
    client = Client(sap).log_on()
    sap.schedule.plans.append(Plan(fault=fault, path="ProdnOrdConf2"))
    return sap, client.ask("POST", f"{CONFIRMATIONS}/ProdnOrdConf2", FINE), client


@pytest.mark.parametrize(
    ("fault", "status", "booked"),
    [
        ("server_error", 500, False),
        ("bad_gateway", 502, False),
        ("unavailable", 503, False),
        ("throttled", 429, False),
        ("order_locked", 400, False),
        ("session_expired", 403, False),
        ("error_after", 500, True),
        ("slow", 201, True),
        ("movement_fails", 201, True),
    ],
)
def test_a_fault_answers_and_is_recorded(fault, status, booked):
    sap, outcome, client = _planned(fault)

    assert outcome.answer.status == status
    assert bool(sap.book.by_external) is booked
    assert [f["fault"] for f in sap.book.faults] == [fault]
    assert ("Retry-After" in outcome.answer.headers) is (status in {429, 503})
    assert outcome.delay_s == (1.0 if fault == "slow" else 0.0)
    again = client.log_on().ask("POST", f"{CONFIRMATIONS}/ProdnOrdConf2", FINE)
    assert again.answer.status == (400 if booked or fault == "order_locked" else 201)


@pytest.mark.parametrize(
    ("fault", "hang_s", "booked"),
    [("reset_before", 0, False), ("timeout_before", 60, False), ("reset_after", 0, True), ("timeout_after", 60, True)],
)
def test_an_answer_never_comes(fault, hang_s, booked):
    sap, outcome, _ = _planned(fault)

    assert (outcome.answer, outcome.hang_s) == (None, hang_s)
    assert bool(sap.book.by_external) is booked


def test_a_token_expires():
    sap = world()[1]
    client = Client(sap, {}).token("/sap/bc/sec/oauth2/token")
    sap.schedule.plans.append(Plan(fault="token_expired"))

    assert client.get(f"{CONFIRMATIONS}/").status == 401
    assert client.get(f"{CONFIRMATIONS}/").status == 401
    assert client.token("/sap/bc/sec/oauth2/token").get(f"{CONFIRMATIONS}/").status == 200


def test_a_batch_is_the_same_request_whatever_its_boundaries():
    sap = world()[1]
    client = Client(sap).log_on()
    sap.schedule.profile = FaultProfile(rates={"server_error": 1.0}, per_request_max=1)

    def sent(outer, inner):
        body = (
            f"--{outer}\r\nContent-Type: multipart/mixed; boundary={inner}\r\n\r\n--{inner}\r\n"
            f"Content-Type: application/http\r\n\r\nPOST ProdnOrdConf2 HTTP/1.1\r\n\r\n{json.dumps(FINE)}\r\n"
            f"--{inner}--\r\n--{outer}--\r\n"
        )
        kind = f"multipart/mixed; boundary={outer}"
        return client.post(f"{CONFIRMATIONS}/$batch", body.encode(), content_type=kind).status

    assert [sent("b1", "c1"), sent("b2", "c2")] == [500, 202]


def test_an_order_with_leading_zeros_is_locked_too():
    sap = world()[1]
    client = Client(sap).log_on()
    sap.schedule.plans.append(Plan(fault="order_locked"))

    said = client.post(f"{CONFIRMATIONS}/ProdnOrdConf2", FINE | {"OrderID": "000001000020"})

    assert b"CO/469" in said.body


def test_plans_wait_for_what_fits_and_count():
    sap = world()[1]
    sap.schedule.plans.append(Plan(fault="server_error", path="POST", body="1000020", skip=1, count=2))
    client = Client(sap).log_on()

    said = [
        client.post(
            f"{CONFIRMATIONS}/ProdnOrdConf2",
            {**FINE, "ExternalSystemConfirmation": FINE["ExternalSystemConfirmation"][:-1] + str(n)},
        ).status
        for n in range(4)
    ]

    assert said == [201, 500, 500, 201]


def test_chance_stops_after_some_faults():
    sap = world(faults=FaultProfile(rates={"server_error": 1.0}, per_request_max=2))[1]
    client = Client(sap)

    assert [client.get(f"{CONFIRMATIONS}/").status for _ in range(4)] == [500, 500, 200, 200]


def test_chance_differs_by_request_by_attempt_and_by_seed():
    def drawn(seed, met=0):
        schedule = Schedule(seed, "sap", FaultProfile(rates={"server_error": 0.5}))
        possible = frozenset({Fault.SERVER_ERROR})
        return [schedule.draw(f"request {n}", met, "", "", possible) is not None for n in range(400)]

    first = drawn(1)

    assert 150 < sum(first) < 250
    assert first == drawn(1)
    assert first != drawn(2)
    assert first != drawn(1, met=1)


def test_a_restart_does_not_begin_the_faults_again(tmp_path):
    faults = FaultProfile(rates={"server_error": 1.0}, per_request_max=2)
    first, sap = world(path=tmp_path / "l", faults=faults)
    assert Client(sap).get(f"{CONFIRMATIONS}/").status == 500
    first.ledger.close()

    client = Client(world(path=tmp_path / "l", faults=faults)[1])

    assert [client.get(f"{CONFIRMATIONS}/").status for _ in range(2)] == [500, 200]


def test_maintenance_answers_nothing_else():
    begin, end = datetime(2026, 3, 10, 8, tzinfo=UTC), datetime(2026, 3, 10, 9, tzinfo=UTC)
    sap = world(faults=FaultProfile(maintenance=(Window(begin=begin, end=end),)))[1]

    said = Client(sap).get(f"{CONFIRMATIONS}/")
    sap.clock.set(NOW_US + 3600 * 10**6)

    assert (said.status, said.headers["Retry-After"]) == (503, "3600")
    assert Client(sap).get(f"{CONFIRMATIONS}/").status == 200


@pytest.mark.parametrize(("at", "open_s"), [("08:00", 900), ("07:50", 300), ("08:01", 0), ("07:45", 0), ("23:00", 0)])
def test_maintenance_comes_every_day(at, open_s):
    assert FaultProfile(daily_maintenance_utc=at).maintenance_s(NOW_US) == open_s


def test_maintenance_goes_on_over_midnight():
    midnight_us = int(datetime(2026, 3, 10, 0, 5, tzinfo=UTC).timestamp() * 1e6)

    assert FaultProfile(daily_maintenance_utc="23:55").maintenance_s(midnight_us) == 300


def test_the_rate_limit_refuses_and_records():
    sap = world(limit=Limit(rate_per_s=1, burst=2))[1]
    client = Client(sap)

    said = [client.get(f"{CONFIRMATIONS}/") for _ in range(3)]

    assert [answer.status for answer in said] == [200, 200, 429]
    assert said[2].headers["Retry-After"] == "1"
    assert [v["request"] for v in sap.book.violations] == [f"GET {CONFIRMATIONS}/"]
    assert sap.bucket.let_through == 2


def test_token_and_credentials_are_in_no_record(tmp_path):
    made, sap = world(path=tmp_path / "l", limit=Limit(rate_per_s=1, burst=3), faults=PROFILES["hostile"])
    client = Client(sap, {}).token("/sap/bc/sec/oauth2/token")
    token = client.headers["authorization"].removeprefix("Bearer ")
    for _ in range(20):
        client.get(f"{CONFIRMATIONS}/")
    made.ledger.close()

    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert kept
    assert token.encode() not in kept
    assert b"simulated" not in kept


def test_profiles_are_named_or_files(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"rates": {"slow": 0.5}}))

    assert profile("mild") is PROFILES["mild"]
    assert profile(str(path)).rates == {Fault.SLOW: 0.5}
    path.write_text('{"rates": {"slow": 2}}')
    for wrong in (str(path), "nowhere"):
        with pytest.raises(ProfileUnusable, match="fault profile"):
            profile(wrong)


def test_hostile_has_every_fault():
    assert set(PROFILES["hostile"].rates) == set(Fault)
