"""A small world of simulated ERPs for tests: master data, and an ERP without a network around it."""

import json
from base64 import b64encode
from datetime import UTC, date, datetime

from dataflows.erp_simulator.clock import Clock
from dataflows.erp_simulator.exchange import parsed
from dataflows.erp_simulator.ledger import Ledger
from dataflows.erp_simulator.master_data import (
    Component,
    Lot,
    MasterData,
    Material,
    Operation,
    Order,
    OrderStatus,
    Period,
    Stock,
    WorkCenter,
)
from dataflows.erp_simulator.world import Options, World

NOW_US = int(datetime(2026, 3, 10, 8, tzinfo=UTC).timestamp() * 1e6)
TODAY = date(2026, 3, 10)
BASIC = {"authorization": "Basic " + b64encode(b"plantsync:simulated").decode()}
CONFIRMATIONS = "/sap/opu/odata/sap/API_PROD_ORDER_CONFIRMATION_2_SRV"
MATERIAL_DOCUMENTS = "/sap/opu/odata/sap/API_MATERIAL_DOCUMENT_SRV"
INSPECTION_LOTS = "/sap/opu/odata/sap/API_INSPECTIONLOT_SRV"
ORDERS = "/sap/opu/odata/sap/API_PRODUCTION_ORDER_2_SRV"


def order(number, status=OrderStatus.RELEASED, **changes):
    """An order for 100 pieces of PUMP: 0010 at TURN, then 0020 at PACK, which receives into stock."""
    values = {
        "order": number,
        "plant": "1010",
        "material": "PUMP",
        "status": status,
        "planned_thousandths": 100_000,
        "unit": "H87",
        "over_delivery_permille": 100,
        "operations": (
            Operation(operation="0010", work_center="TURN", planned_thousandths=100_000, unit="H87"),
            Operation(operation="0020", work_center="PACK", planned_thousandths=100_000, unit="H87", receipt=True),
        ),
        "components": (
            Component(
                item=10,
                material="STEEL",
                required_thousandths=50_000,
                unit="KGM",
                operation="0010",
                backflush=True,
                storage_location="RM01",
            ),
        ),
    }
    return Order(**(values | changes))


def master_data(**changes):
    """Two released orders, one in each other status, and open periods from February to March 2026."""
    values = {
        "orders": (
            order("1000020"),
            order("1000021"),
            *(
                order(f"200000{n}", status)
                for n, status in enumerate(OrderStatus)
                if status is not OrderStatus.RELEASED
            ),
        ),
        "work_centers": (WorkCenter(work_center="TURN", plant="1010"), WorkCenter(work_center="PACK", plant="1010")),
        "materials": (
            Material(material="PUMP", base_unit="H87", inspected=True),
            Material(material="STEEL", base_unit="KGM"),
            Material(material="RESIN", base_unit="KGM", lot_managed=True),
            Material(material="SCREW", base_unit="H87", factors={"CEN": 100_000}),
        ),
        "lots": (
            Lot(material="RESIN", lot="R1"),
            Lot(material="RESIN", lot="OLD", valid_until=datetime(2026, 1, 1, tzinfo=UTC)),
        ),
        "periods": (
            Period(first=date(2026, 1, 1), last=date(2026, 1, 31), open=False),
            Period(first=date(2026, 2, 1), last=date(2026, 2, 28)),
            Period(first=date(2026, 3, 1), last=date(2026, 3, 31)),
        ),
        "stocks": (
            Stock(material="STEEL", plant="1010", storage_location="RM01", quantity_thousandths=1_000_000),
            Stock(material="RESIN", plant="1010", storage_location="RM01", lot="R1", quantity_thousandths=10_000),
        ),
    }
    return MasterData(**(values | changes))


def world(kind="sap", *, path=None, data=None, now_us=NOW_US, **options):
    """One simulated ERP of a kind, its clock standing still."""
    ledger = Ledger(path)
    made = World(
        [(kind, kind)],
        data or master_data(),
        Clock(lambda: now_us, now_us),
        ledger,
        Options("plantsync", "simulated", **options),
    )
    return made, made.instances[kind]


class Client:
    """Asks an instance as a client over HTTP would, and keeps cookie and CSRF token."""

    def __init__(self, instance, headers=BASIC):
        self.instance, self.headers = instance, dict(headers)

    def ask(self, method, target, body=None, **headers):
        """The outcome of a request; a dictionary as body goes as JSON."""
        path, _, query = target.partition("?")
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        return self.instance.handle(method, path, parsed(query), self.headers | given, sent, target)

    def get(self, target, **headers):
        """The answer to a GET."""
        return self.ask("GET", target, **headers).answer

    def post(self, target, body=None, **headers):
        """The answer to a POST."""
        return self.ask("POST", target, body, **headers).answer

    def log_on(self):
        """Fetch a CSRF token, as SAP wants it."""
        said = self.get(f"{CONFIRMATIONS}/", x_csrf_token="Fetch")
        self.headers["x-csrf-token"] = said.headers["x-csrf-token"]
        self.headers["cookie"] = said.headers["set-cookie"].partition(";")[0]
        return self

    def token(self, path):
        """Log on with OAuth2 client credentials."""
        form = b"grant_type=client_credentials&client_id=plantsync&client_secret=simulated"
        said = json.loads(self.post(path, form).body)
        self.headers["authorization"] = f"Bearer {said['access_token']}"
        return self


def body_of(answer):
    """The JSON of an answer."""
    return json.loads(answer.body)
