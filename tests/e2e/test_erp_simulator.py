"""The simulated ERPs as a real process over real HTTP (M24-M27, M32, M49)."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session

from tests.command import plantsync
from tests.erp_process import Simulator, running
from tests.erp_world import CONFIRMATIONS, master_data

KEY = "11111111-2222-3333-4444-5555555555"
ORACLE = "/fscmRestApi/resources/11.13.18.05/operationTransactions"
D365 = "/api/services/SysMessageServices/SysMessageService"


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "master.json"
    path.write_text(master_data(periods=()).model_dump_json())
    return path


def _confirmation(number, **changes):
    return {
        "OrderID": "1000020",
        "OrderOperation": "0010",
        "ConfirmationYieldQuantity": "1.5",
        "ConfirmationUnit": "PC",
        "ExternalSystemConfirmation": f"{KEY}{number:02d}",
        **changes,
    }


def _confirm(simulator, session, number, *, timeout=10, **changes):
    return session.post(
        f"{simulator.url('sap')}{CONFIRMATIONS}/ProdnOrdConf2", json=_confirmation(number, **changes), timeout=timeout
    )


def _found(simulator, session, number):
    query = {"$filter": f"ExternalSystemConfirmation eq guid'{KEY}{number:02d}'"}
    said = session.get(f"{simulator.url('sap')}{CONFIRMATIONS}/ProdnOrdConf2", params=query, timeout=10)
    return said.json()["d"]["results"]


def test_every_protocol_in_one_process(data, tmp_path):
    kinds = (
        "--erp",
        "sap",
        "--erp",
        "oracle:fusion",
        "--erp",
        "d365",
        "--erp",
        "drop:legacy",
        "--drop",
        tmp_path / "d",
    )
    with running(*kinds, "--data", data) as simulator:
        assert _confirm(simulator, simulator.sap(), 1).status_code == 201
        detail = {
            "WorkOrderNumber": "1000020",
            "WoOperationSequenceNumber": 10,
            "TransactionQuantity": 2,
            "FromDispatchState": "READY",
            "ToDispatchState": "COMPLETE",
        }
        said = requests.post(
            f"{simulator.url('fusion')}{ORACLE}",
            json={"SourceSystemCode": "P", "OperationTransactionDetail": [detail]},
            auth=("plantsync", "simulated"),
            timeout=10,
        )
        assert (said.status_code, said.json()["ErrorsExistFlag"]) == (201, "false")
        with OAuth2Session("plantsync", "simulated") as session:
            session.fetch_token(f"{simulator.url('d365')}/oauth2/v2.0/token", grant_type="client_credentials")
            content = {
                "ProductionOrderNumber": "1000020",
                "RouteCardLines": [{"GoodQuantity": 3, "OperationNumber": 10}],
            }
            body = {
                "_companyId": "USMF",
                "_messageQueue": "JmgMES3P",
                "_messageType": "ProdProductionOrderRouteCard",
                "_messageContent": json.dumps(content),
            }
            assert session.post(f"{simulator.url('d365')}{D365}/SendMessage", json=body, timeout=10).status_code == 200
        (tmp_path / "d/legacy/in/new.tmp").write_text(
            json.dumps({"type": "confirmation", "order": "1000020", "operation": "0010", "yield": "4"})
        )
        (tmp_path / "d/legacy/in/new.tmp").rename(tmp_path / "d/legacy/in/1.json")
        made = _waited(lambda: [_made(simulator, name) for name in ("sap", "fusion", "d365", "legacy")], until=all)

    assert made == [1_500, 2_000, 3_000, 4_000]


def _made(simulator, name):
    return sum(row["yield"] for row in simulator.truth(name, "totals")["operations"])


def _waited(look, until, seconds=10):
    deadline = time.monotonic() + seconds
    while not until(seen := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return seen


def test_an_answer_that_never_comes_is_found_by_asking(data):
    with running("--erp", "sap", "--data", data) as simulator:
        session = simulator.sap()
        simulator.order("POST", "sap/faults", fault="timeout_after", path="POST")
        with pytest.raises(requests.exceptions.ReadTimeout):
            _confirm(simulator, session, 1, timeout=0.5)
        simulator.order("POST", "sap/faults", fault="timeout_before", path="POST")
        with pytest.raises(requests.exceptions.ReadTimeout):
            _confirm(simulator, session, 2, timeout=0.5)

        assert len(_found(simulator, session, 1)) == 1
        assert _found(simulator, session, 2) == []
        assert simulator.truth("sap", "faults")["counts"] == {"timeout_after": 1, "timeout_before": 1}


@pytest.mark.parametrize(("fault", "booked"), [("reset_before", 0), ("reset_after", 1)])
def test_a_connection_is_reset(data, fault, booked):
    with running("--erp", "sap", "--data", data) as simulator:
        session = simulator.sap()
        simulator.order("POST", "sap/faults", fault=fault, path="POST")

        with pytest.raises(requests.exceptions.ConnectionError, match="reset by peer"):
            _confirm(simulator, session, 1)

        assert len(_found(simulator, session, 1)) == booked
        assert _confirm(simulator, session, 2).status_code == 201


def test_what_was_booked_survives_a_kill(data, tmp_path):
    arguments = ("--erp", "sap", "--data", data, "--ledger", tmp_path / "ledger.sqlite")
    first = Simulator(arguments)
    session = first.sap()
    headers = {"RequestID": "A" * 32, "RepeatabilityCreation": "Tue, 10 Mar 2026 08:00:00 GMT"}
    url = f"{first.url('sap')}{CONFIRMATIONS}/ProdnOrdConf2"
    told = session.post(url, json=_confirmation(1), headers=headers, timeout=10)
    before = [first.truth("sap", what) for what in ("documents", "totals", "stocks")]
    first.kill()

    with running(*arguments) as simulator:
        assert [simulator.truth("sap", what) for what in ("documents", "totals", "stocks")] == before
        url = f"{simulator.url('sap')}{CONFIRMATIONS}/ProdnOrdConf2"
        assert session.post(url, json=_confirmation(1), headers=headers, timeout=10).status_code == 403  # session gone
        session = simulator.sap()
        again = session.post(url, json=_confirmation(1), headers=headers, timeout=10)
        assert (again.status_code, again.json()) == (201, told.json())
        assert _confirm(simulator, session, 1).json()["error"]["code"] == "RU/363"
        assert simulator.truth("sap", "duplicates") == {"external_ids": {}, "request_ids": {}}


def test_hours_pass_in_no_time(data):
    with running("--erp", "sap", "--data", data, "--simulated", "--start", "2026-03-10T08:00") as simulator:
        session = simulator.sap()
        simulator.order("PUT", "sap/profile", rates={"movement_fails": 1}, movement_fails_after_s=7200)
        simulator.order("POST", "sap/locks", order="1000021", user="SMITH", seconds=3600)
        assert _confirm(simulator, session, 1).status_code == 201
        assert "SMITH" in _confirm(simulator, session, 2, OrderID="1000021").text

        assert simulator.order("POST", "clock", advance_s=7200)["now"] == "2026-03-10T10:00:00+00:00"
        session = simulator.sap()  # the old one has expired

        assert _confirm(simulator, session, 2, OrderID="1000021").status_code == 201
        (failed,) = [m for m in simulator.truth("sap", "open-movements")["rows"] if m["state"] == "failed"]
        simulator.order("POST", "sap/open-movements", confirmation=failed["confirmation"])
        assert simulator.truth("sap", "totals")["issued"] == [
            {"order": "1000020", "material": "STEEL", "quantity": 750}
        ]


def test_a_crowd_never_gets_more_than_the_limit(data):
    with running("--erp", "sap", "--data", data, "--rate", "20", "--burst", "5") as simulator:
        session = simulator.sap()
        started = time.monotonic()
        with ThreadPoolExecutor(8) as crowd:
            said = list(crowd.map(lambda n: _confirm(simulator, session, n), range(60)))
        spent_s = time.monotonic() - started
        rate = simulator.truth("sap", "rate")

        passed = [answer for answer in said if answer.status_code != 429]
        refused = [answer for answer in said if answer.status_code == 429]
        assert len(passed) <= 5 + 20 * spent_s
        assert refused
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
        assert rate["violations"] == len(refused) == simulator.truth("sap", "violations")["count"]


def test_pages_join_without_a_hole(data):
    with running("--erp", "sap", "--data", data) as simulator:
        session = simulator.sap()
        for number in range(7):
            _confirm(simulator, session, number)
        after, rows = 0, []
        while after is not None:
            page = simulator.truth("sap", "documents", after=after, limit=3, kind="confirmation")
            rows += page["rows"]
            after = page["next_after"]

    assert [row["external_id"][-2:] for row in rows] == [f"{n:02d}" for n in range(7)]
    assert [row["number_of_acceptance"] for row in rows] == sorted(row["number_of_acceptance"] for row in rows)


def test_the_same_seed_gives_the_same_faults(data):
    def faults():
        with running("--erp", "sap", "--data", data, "--faults", "hostile", "--seed", "5") as simulator:
            simulator.order("PUT", "sap/profile", rates={"server_error": 0.3, "error_after": 0.3})
            session = simulator.sap()
            said = [_confirm(simulator, session, n).status_code for n in range(20)]
            return said, [(f["subject"], f["fault"]) for f in simulator.truth("sap", "faults")["rows"]]

    first = faults()

    assert 500 in first[0]
    assert 201 in first[0]
    assert faults() == first


def test_large_and_broken_requests_do_not_hurt(data):
    with running("--erp", "sap", "--data", data) as simulator:
        session = simulator.sap()
        url = f"{simulator.url('sap')}{CONFIRMATIONS}/ProdnOrdConf2"
        assert session.post(url, data=b" " * (9 * 1024 * 1024), timeout=10).status_code == 413
        assert session.post(url, data=b'{"a":' * 5000, timeout=10).status_code == 400
        assert session.post(url, json={"to_ProdnOrdConfMatlDocItm": _nested(50)}, timeout=10).status_code == 400
        assert requests.get(f"{simulator.control}/nobody/totals", timeout=10).status_code == 404
        assert requests.post(f"{simulator.control}/sap/faults", data=b"{", timeout=10).status_code == 422
        assert requests.post(f"{simulator.control}/clock", json={"advance_s": 1}, timeout=10).status_code == 409
        host, port = simulator.control.removeprefix("http://").partition("/")[0].split(":")
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(b"POST /sap/ HTTP/1.1\r\nHost: erp\r\nContent-Length: 100\r\n\r\nhalf")
        assert _confirm(simulator, session, 1).status_code == 201


def _nested(depth):
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def test_released_later_is_accepted_later(data):
    with running("--erp", "sap", "--data", data) as simulator:
        session = simulator.sap()
        assert _confirm(simulator, session, 1, OrderID="2000000").json()["error"]["code"] == "BS/013"
        orders = [o for o in simulator.truth("sap", "master-data")["orders"] if o["order"] == "2000000"]

        simulator.order("PATCH", "sap/master-data", orders=[{**orders[0], "status": "released"}])

        assert _confirm(simulator, session, 1, OrderID="2000000").status_code == 201


def test_each_erp_may_have_its_own_master_data(data, tmp_path):
    south = tmp_path / "south.json"
    south.write_text(master_data(orders=()).model_dump_json())
    arguments = ("--erp", "sap:north", "--erp", "sap:south", "--data", data, "--data", f"south={south}")
    with running(*arguments) as simulator:
        assert len(simulator.truth("north", "master-data")["orders"]) > 0
        assert simulator.truth("south", "master-data")["orders"] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--erp", "navision"), 2),
        (("--erp", "sap", "--erp", "sap"), 2),
        (("--erp", "sap", "--start", "2026-03-10"), 2),
        (("--erp", "drop"), 2),
        (("--erp", "sap", "--data", "a.json", "--data", "b.json"), 2),
        (("--erp", "sap", "--faults", "nowhere"), 1),
        (("--erp", "sap", "--data", "nowhere.json"), 1),
        (("--erp", "sap", "--ledger", "nowhere/l.sqlite"), 1),
    ],
)
def test_what_cannot_be_started_says_why(tmp_path, arguments, code):
    plantsync(tmp_path, "erp-sim", "--port", "0", *arguments, code=code)


def test_a_taken_port_says_so(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        plantsync(tmp_path, "erp-sim", "--erp", "sap", "--port", taken.getsockname()[1], code=75)
