"""ERPs to post to: the real simulator process, spoken to over HTTP, with its ledger and its faults at hand."""

import itertools
import json
from collections import Counter
from datetime import date
from types import MappingProxyType
from uuid import NAMESPACE_OID, uuid5

import requests

from canonical.contracts.posting import Movement, Posting, PostingKind
from sinks.erp.adapters import open_adapter
from sinks.erp.settings import ERP_SETTINGS
from tests.command import started

PLANT = "1010"
PRODUCT, RAW = "FG-1", "RAW-1"
SECRET = "simulated"
NOON_US = 1_772_452_800_000_000  # 2026-03-02T12:00Z
NUMBERS = itertools.count(1)

MASTER_DATA = {
    "materials": [{"material": PRODUCT, "base_unit": "H87"}, {"material": RAW, "base_unit": "KGM"}],
    "work_centers": [{"work_center": "PRESS-1", "plant": PLANT}, {"work_center": "PACK-1", "plant": PLANT}],
}


class Simulator:
    """One process with an ERP of each kind; where its clock is ``simulated`` it stands until ``advance`` moves it."""

    def __init__(self, folder, kinds, *, simulated=False):
        data = folder / "master.json"
        data.write_text(json.dumps(MASTER_DATA))
        self.drop = folder / "drop"
        erps = [argument for kind in kinds for argument in ("--erp", kind)]
        options = ["--drop", self.drop] if "drop" in kinds else []
        options += ["--simulated", "--start", "2026-03-02T12:00"] if simulated else []
        said = folder / "simulator-output", folder / "simulator-errors"
        command = ["erp-sim", *erps, "--port", "0", "--data", data, "--json", *options]
        self.process = started(folder, *command, said=said)
        told = json.loads(self.process.line(said[0]))
        self.control, self.erps = told["control"], told["erps"]

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0

    def ask(self, method, what, body=None):
        answer = requests.request(method, f"{self.control}/{what}", json=body, timeout=20)
        assert answer.ok, answer.text
        return answer.json()

    def advance(self, seconds):
        self.ask("POST", "clock", {"advance_s": seconds})


class ErpPlace:
    """One ERP of a simulator: its faults and its ledger. ``kind`` decides the protocol."""

    settings = MappingProxyType({})
    http = True  # Whether it is spoken to over HTTP.
    basic = True  # Whether it takes a password.
    idempotent = True  # Whether the same posting sent twice makes one document.
    later = False  # Whether it accepts first and works afterwards.
    dated = False  # Whether it says when it made a document.
    sessions = False  # Whether it has sessions that end.
    bulk = False  # Whether it takes several postings in one request.
    rework = True  # Whether it has a quantity for rework.
    before = ("server_error", "bad_gateway", "reset_before")
    after = ("error_after", "reset_after", "timeout_after")

    def __init__(self, simulator):
        self.simulator = simulator
        self.url = simulator.erps[self.kind]["url"]
        self.adapters = []

    def adapter(self, **others):
        raw = {"kind": self.kind, **self.access(), **self.settings, **others}
        adapter = open_adapter(ERP_SETTINGS.validate_python(raw))
        self.adapters.append(adapter)
        return adapter

    def access(self):
        return {"base_url": self.url, "user": "plantsync", "password": SECRET}

    def oauth(self, secret=SECRET):
        grant = {"token_url": f"{self.url}{self.token_path}", "client_id": "plantsync", "client_secret": secret}
        return {"user": "", "password": None, "oauth": grant}

    def nowhere(self):
        """Settings that lead to nobody."""
        return {"base_url": "http://127.0.0.1:1/nobody"}

    def patience(self, seconds):
        """Settings that wait so long for an answer."""
        return {"read_timeout_s": seconds}

    def close(self):
        for adapter in self.adapters:
            adapter.close()
        self.ask("DELETE", "faults")
        self.ask("DELETE", "locks")
        self.ask("PUT", "profile", {})

    def ask(self, method, what, body=None):
        return self.simulator.ask(method, f"{self.kind}/{what}", body)

    def fault(self, fault, **others):
        """Order a fault for the next request that fits, by default the next that changes something."""
        self.ask("POST", "faults", {"fault": fault, **({"path": "POST"} | others)})

    def settle(self):
        """Let the ERP do what it has put off."""

    def order(self, **others):
        """A new order of 1000 pieces with the operations 0010 and 0020."""
        name = f"9{next(NUMBERS):06d}"
        operations = [
            {"operation": "0010", "work_center": "PRESS-1", "planned_thousandths": 10**6, "unit": "H87"},
            {"operation": "0020", "work_center": "PACK-1", "planned_thousandths": 10**6, "unit": "H87"},
        ]
        component = {"item": 10, "material": RAW, "required_thousandths": 1000, "unit": "KGM", "operation": "0010"}
        order = {
            "order": name,
            "plant": PLANT,
            "material": PRODUCT,
            "planned_thousandths": 10**6,
            "unit": "H87",
            "operations": operations,
            "components": [component],
            **others,
        }
        self.ask("PATCH", "master-data", {"orders": [order]})
        return name

    def documents(self, order):
        """The documents of an order in the ledger, oldest first."""
        self.settle()
        return self.ask("GET", f"documents?order={order}&limit=1000")["rows"]

    def stock(self, lot):
        """What lies there of a lot, by stock type."""
        self.settle()
        sums = Counter()
        for row in self.ask("GET", "stocks"):
            if row["lot"] == lot:
                sums[row["stock_type"]] += row["quantity"]
        return {name: quantity for name, quantity in sums.items() if quantity}

    def net(self, order):
        """What the documents of an order come to: quantities confirmed, and moved by movement type."""
        sums = Counter()
        for document in self.documents(order):
            sign = -1 if document["reverses"] else 1
            for made in ("yield", "scrap", "rework"):
                sums[made] += sign * document[f"{made}_quantity"]
            for line in document["lines"]:
                reverses = line["movement_type"] in {"102", "262"}
                forward = str(int(line["movement_type"]) - reverses)
                sums[forward] += -line["entry_quantity"] if reverses else line["entry_quantity"]
        return {name: quantity for name, quantity in sums.items() if quantity}


class SapPlace(ErpPlace):
    kind = "sap"
    settings = MappingProxyType({"failed_movements": "ProdnOrdConfFailedGdsMvt"})
    dated = True
    sessions = True
    bulk = True
    token_path = "/sap/bc/sec/oauth2/token"


class OraclePlace(ErpPlace):
    kind = "oracle"
    settings = MappingProxyType(
        {
            "history_path": "/fscmRestApi/resources/11.13.18.05/workOrderTransactionHistory",
            "subinventories": {"quality": {"FG01": "FG01Q"}, "blocked": {"FG01": "FG01B"}},
        }
    )
    idempotent = False
    token_path = "/oauth2/v1/token"


class D365Place(ErpPlace):
    kind = "d365"
    settings = MappingProxyType(
        {
            "company": "1010",
            "messages_path": "/api/services/SysMessageServices/SysMessageService/Messages",
            "inventory_statuses": {"unrestricted": "Available", "quality": "Quality", "blocked": "Blocking"},
            "transfer_message": "InventoryTransfer",
        }
    )
    basic = False
    idempotent = False
    later = True
    rework = False
    token_path = "/oauth2/v2.0/token"

    def access(self):
        return {"base_url": self.url, **self.oauth()}

    def settle(self):
        # Three attempts, with the pauses between them.
        self.simulator.advance(30)


class DropPlace(ErpPlace):
    kind = "drop"
    http = False
    before = ("timeout_before",)
    after = ("timeout_after",)

    def access(self):
        folder = self.simulator.drop / self.kind
        return {"folder": folder / "in", "acknowledgements": folder / "ack"}

    def nowhere(self):
        return {"folder": self.simulator.drop / "nobody"}

    def patience(self, seconds):
        return {"acknowledgement_wait_s": seconds}

    def fault(self, fault, **others):
        self.ask("POST", "faults", {"fault": fault, **others})


PLACES = {place.kind: place for place in (SapPlace, OraclePlace, D365Place, DropPlace)}


def posting(order, **others):
    """A confirmation of 12.345 pieces at operation 0010, one of its own each time."""
    number = next(NUMBERS)
    values = {
        "posting_id": uuid5(NAMESPACE_OID, f"posting {number}"),
        "kind": PostingKind.CONFIRMATION,
        "erp": "erp",
        "plant": "north",
        "erp_plant": PLANT,
        "order": order,
        "number": 0,
        "operation": "0010",
        "work_center": "PRESS-1",
        "material": PRODUCT,
        "lot": "L1",
        "posting_date": date(2026, 3, 2),
        "document_date": date(2026, 3, 2),
        "good": 12_345,
        "machine_us": 90_000_000,
        "start_us": NOON_US - 600_000_000,
        "end_us": NOON_US,
    }
    return Posting(**(values | others))


def issue(order, *lines, **others):
    """A goods issue of 0.410 kg, or of the lines."""
    lines = lines or (movement("261", quantity=410, unit="KGM", material=RAW),)
    return posting(order, kind=PostingKind.GOODS_ISSUE, movements=lines, good=0, machine_us=0, unit="KGM", **others)


def receipt(order, quantity=5_000, lot="L1", stock_type="unrestricted", **others):
    lines = (movement("101", quantity=quantity, lot=lot, storage_location="FG01", stock_type=stock_type),)
    return posting(order, kind=PostingKind.GOODS_RECEIPT, operation="", movements=lines, good=0, machine_us=0, **others)


def transfer(movement_type, **others):
    """A transfer of a piece between places or stock types, without an order."""
    lines = (movement(movement_type, **others),)
    return posting("", kind=PostingKind.STOCK_TRANSFER, operation="", movements=lines, good=0, machine_us=0)


def movement(movement_type, **others):
    values = {"material": PRODUCT, "quantity": 1000, "unit": "H87", "storage_location": "RM01"}
    return Movement(movement_type=movement_type, **(values | others))


def reversal(original, **others):
    """The posting that takes another back, with the movement types that reverse its own."""
    lines = tuple(
        line.model_copy(update={"movement_type": str(int(line.movement_type) + 1)}) for line in original.movements
    )
    values = {
        "posting_id": uuid5(NAMESPACE_OID, f"reversal of {original.posting_id}"),
        "kind": PostingKind.REVERSAL,
        "reverses": str(original.posting_id),
        "movements": lines,
        "number": original.number + 1,
    }
    return original.model_copy(update=values | others)
