"""The control tower in a real Chromium, over real flows and a simulated ERP (M35, M39, M40, A19).

One plant works: an order is released in its ERP, another not yet as far as plantsync was told. The tests follow each
other: a viewer sees that order get stuck, nobody but the plant's own supervisor lets it through, and it posts.
Pictures of the pages stay in test-artefacts/tower.
"""

from __future__ import annotations

import json
import re
import secrets
import signal
import time
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime, timedelta

import pytest

from canonical.contracts import OrderOperation
from canonical.plants import shipped
from dataflows.tower.person import Grant, Role
from dataflows.tower.token_file import add_token
from sinks.commit_log import CommitLogUnavailable
from sinks.sqlite import SqliteStreams
from tests import browser as chromium
from tests.certificates import self_signed
from tests.command import started, told
from tests.conformance.erp_places import PLANT, PRODUCT, SECRET, SapPlace, Simulator
from tests.postings_world import material, order, period, reason, route, work_center
from tests.tower_site import in_days, until

SETTINGS = """\
landing = "landing"
plants = ["a.toml"]
[pace]
settle_s = 0
commit_interval_s = 0.1
[store]
publish_interval_s = 0.3
[reference]
folder = "reference"
systems = ["sap"]
[postings]
release_timeout_s = 0.2
patience_s = 0.2
[alerts]
every_s = 1
[tower]
tokens = "tokens.toml"
certificate = "cert.pem"
key = "key.pem"
refresh_s = 0.1
health_interval_s = 2
requests_per_s = 1000
[erps.sap]
rate_per_s = 100
lease_s = 0.3
settle_s = 3
[erps.sap.adapter]
kind = "sap"
base_url = "{url}"
user = "plantsync"
password = "{secret}"
read_timeout_s = 2
answer_timeout_s = 2.5
"""
FLOWS = ("confirmations", "postings", "delivery", "analytics")
TAB, ENTER = "\ue004", "\ue007"
HOURS = 30
STUCK = 12
PAGES = {
    "overview": "/",
    "exceptions": "/exceptions?ended=1",
    "orders": "/orders",
    "order": "/order?plant=A&order={released}",
    "story": "/story?plant=A&of={stuck}",
    "production": "/production?plant=A",
    "trail": "/trail",
}


class Plant:
    """A plant that works in a folder, its ERP, its flows and their control tower, each a process."""

    def __init__(self, folder, stack):
        self.folder = folder
        self.simulator = Simulator(folder, ["sap"])
        stack.callback(self.simulator.stop)
        self.sap = SapPlace(self.simulator)
        self.released, self.stuck = self.sap.order(), self.sap.order()
        (made,) = [path for path in shipped() if path.stem == "plant_a"]
        (folder / "a.toml").write_text(re.sub(r"^idle_s = \d+", "idle_s = 0.3", made.read_text(), flags=re.MULTILINE))
        (folder / "plantsync.toml").write_text(SETTINGS.format(url=self.sap.url, secret=SECRET))
        self_signed(folder)
        self.number = 0
        self.tell(*self.references())
        now = datetime.now(UTC)
        hourly = [(now - timedelta(hours=HOURS - n), 20 + n * 7 % 23, n % 5 // 4) for n in range(HOURS)]
        self.make(self.released, *hourly)
        self.processes = [started(folder, "run", flow, "-q") for flow in FLOWS]
        said = folder / "tower-output", folder / "tower-errors"
        self.server = started(folder, "tower", "--listen", "127.0.0.1:0", "--json", said=said)
        self.processes.append(self.server)
        stack.callback(self.stop)
        self.url = json.loads(self.server.line(said[0]))["url"]

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(30) for process in self.processes]
        assert codes == [0] * len(codes)

    def references(self):
        first, last = (datetime.now(UTC).date() - timedelta(days=days) for days in (3, 0))
        steps = tuple(
            OrderOperation(operation=name, work_center=at, quantity=1_000_000)
            for name, at in (("0010", "PRESS-1"), ("0020", "PACK-1"))
        )
        common = {"erp": "sap", "material": PRODUCT, "quantity": 1_000_000, "operations": steps, "changed_us": 2}
        months = {day.replace(day=1) for day in (first, last, last + timedelta(days=20))}
        return [
            order(self.released, **common),
            order(self.stuck, "created", **common),
            work_center("PRESS-1"),
            work_center("PACK-1"),
            material(PRODUCT),
            reason("TOOL"),
            route("sap", erp_plant=PLANT),
            *(period(erp="sap", first=month, last=_last(month)) for month in sorted(months)),
        ]

    def tell(self, *records):
        """What the ERP tells of its data."""
        folder = self.folder / "reference/sap"
        folder.mkdir(parents=True, exist_ok=True)
        _put(folder, f"{time.time_ns()}.ndjson", [record.model_dump_json() for record in records])

    def make(self, name, *parts):
        """Have a machine make some of an order: (when, good, scrap) of each part."""
        folder = self.folder / "landing/plant-a"
        folder.mkdir(parents=True, exist_ok=True)
        lines = []
        for at, good, scrap in parts:
            for kind, more in (
                ("CYCLE", {"good": good}),
                *([("SCRAP", {"scrap": scrap, "reason": "TOOL"})] * bool(scrap)),
            ):
                common = {
                    "machine": "m1",
                    "boot": "b",
                    "n": self.number,
                    "kind": kind,
                    "ts": at.isoformat(),
                    "order": name,
                }
                lines.append(
                    json.dumps(common | {"op": "0010", "wc": "PRESS-1", "material": PRODUCT, "unit": "PCE"} | more)
                )
                self.number += 1
        _put(folder, f"{time.time_ns()}.ndjson", lines)

    def stored(self, stream):
        try:
            with closing(SqliteStreams(self.folder / "state/plantsync.db")) as log:
                return [json.loads(record.value) for record in log.read(stream, 0, 10_000)]
        except CommitLogUnavailable:
            return []


def _put(folder, name, lines):
    """Let a file appear whole."""
    (folder / f".{name}").write_text("".join(f"{line}\n" for line in lines))
    (folder / f".{name}").rename(folder / name)


def _last(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    with ExitStack() as stack:
        yield Plant(tmp_path_factory.mktemp("plant"), stack)


@pytest.fixture(scope="module")
def window():
    try:
        with chromium.running() as browser:
            browser.axe = chromium.axe()
            yield browser
    except chromium.BrowserUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def browser(window):
    """A window on a desk, in which nobody is signed in."""
    window.forget()
    window.size(1440, 900)
    window.scheme("light")
    yield window
    # Errors of pages, and what their policy refused.
    assert [said for said in window.said() if "favicon" not in said] == []


def token(plant, role, *plants, subject, days=30):
    return add_token(
        plant.folder / "tokens.toml", subject, Grant(Role(role), plants), in_days(days), secrets.token_bytes
    )[1]


def sign_in(browser, plant, made, to="/"):
    browser.open(f"{plant.url}{to}")
    browser.type("#token", made)
    browser.click("form button[type=submit]")


def open_exception(plant):
    (found,) = {each["exception_id"] for each in plant.stored("exceptions") if each["order"] == plant.stuck}
    return f"/exceptions/{found}"


def test_a_viewer_sees_an_order_get_stuck_without_loading_anew_and_follows_it_to_its_story(browser, plant):
    made = told(plant.folder, "tower", "token", "--role", "viewer", "--subject", "vera")["token"]
    sign_in(browser, plant, made)
    browser.until(lambda: "The plant flows" in browser.text("h1"))
    until(lambda: sum(each["status"] == "accepted" for each in plant.stored("receipts")) >= HOURS // 2, 60)
    browser.run("window.mark = 1; document.querySelector('.brand').focus();")

    plant.make(plant.stuck, *[(datetime.now(UTC), 1, 0)] * STUCK)

    browser.until(lambda: browser.all("#hop-A-checked.stop"), "the order does not get stuck")
    assert "1 of 1 plant stuck" in browser.text("h1")
    assert browser.text("#nav-open") == "1"
    assert browser.run("return [window.mark, document.activeElement.className]") == [1, "brand"]  # The same page still.
    cookie = browser.run("return document.cookie")
    assert cookie == ""  # No script sees it.

    browser.click("#hop-A-checked a")
    browser.click("#list tbody th a")
    assert "Order not released" in browser.text("h1")
    assert browser.all("form[action^='/exceptions/']") == []
    assert "you may look, and decide nothing" in browser.run(
        "return document.querySelector('#decide-release').textContent"
    )
    browser.click("#story")
    assert "Not posted yet" in browser.text("main")
    assert plant.stuck in browser.text("main")


def test_others_cannot_let_it_through(browser, plant):
    page = open_exception(plant)
    sign_in(browser, plant, token(plant, "plant-supervisor", "B", subject="bert"), page)
    browser.until(lambda: browser.url.endswith(page))
    text = browser.run("return document.querySelector('main').textContent")
    assert "you decide for plant B only" in text
    assert browser.all("form[action^='/exceptions/']") == []
    # Nor by a form that she makes herself.
    status = browser.promised(
        "const form_token = document.querySelector('[name=form_token]').value;"
        "fetch(arguments[0] + '/release', {method: 'POST', body: new URLSearchParams({form_token, reason: 'mine'})})"
        ".then((answer) => done(answer.status));",
        page,
    )
    assert status == 403
    browser.said()  # The console tells of that answer.

    browser.forget()
    sign_in(browser, plant, token(plant, "plant-supervisor", "A", subject="anna", days=-1))
    assert "unknown, or past its day" in browser.text("[role=alert]")
    browser.said()
    assert plant.stored("actions") == []


def test_its_supervisor_lets_it_through_and_it_posts(browser, plant):
    page = open_exception(plant)
    sign_in(browser, plant, token(plant, "plant-supervisor", "A", subject="anna"), page)
    browser.click("#decide-release summary")
    browser.shot("decide")
    browser.type("#why-release", "the ERP has released it, the message is late")
    browser.click("#decide-release button")
    browser.until(lambda: browser.run("return document.querySelector('#state').textContent.trim()") == "Released")
    assert "written down" in browser.text("[role=status]")

    until(lambda: any(each["order"] == plant.stuck for each in plant.stored("receipts")), 30)
    assert sum(document["yield_quantity"] for document in plant.sap.documents(plant.stuck)) == STUCK * 1000
    browser.open(f"{plant.url}/story?plant=A&of={plant.stuck}")
    (receipt,) = [each for each in plant.stored("receipts") if each["order"] == plant.stuck]
    assert receipt["document"] in browser.text("main")
    assert "Release by anna: the ERP has released it" in browser.text("main")
    (action,) = plant.stored("actions")
    entries = [entry for entry in plant.stored("trail") if entry["chain"] == "operator"]
    assert [(entry["action"], entry["actor"], entry["reason"]) for entry in entries] == [
        ("release", "anna", action["reason"]),
    ]


def test_pages_are_fit_for_a_desk_a_phone_a_wall_and_for_everybody(browser, plant):
    sign_in(browser, plant, token(plant, "integration-support", subject="sara"))
    browser.until(lambda: "sara" in browser.text(".who"))
    browser.type("body", TAB)
    assert browser.run("return document.activeElement.className") == "skip"
    browser.type(".skip", ENTER)
    browser.until(lambda: browser.run("return document.activeElement.id") == "main")
    names = {"released": plant.released, "stuck": plant.stuck}
    found = {}

    def look(name, path):
        browser.open(plant.url + path.format(**names))
        browser.until(lambda: browser.run("return document.fonts.check('1em Inter') && !!document.querySelector('h1')"))
        browser.shot(name, whole=not name.startswith("wall"))
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), (
            f"{name} is wider than its screen"
        )
        found[name] = browser.serious(browser.axe)

    browser.until(lambda: "1 objective missed" in browser.text("h1"))  # Hours passed before the ERP had most of it.
    assert plant.released in browser.text(".breach")
    browser.until(lambda: browser.all("#erp-sap.fine") and browser.all("#flow-delivery"), "nobody asks the ERP")
    for name, path in PAGES.items():
        look(f"wide-{name}", path)
    browser.size(390, 844)
    for name in ("overview", "exceptions", "story"):
        look(f"phone-{name}", PAGES[name])
    browser.size(1920, 1080)
    browser.scheme("dark")
    look("wall-dark", "/?wall=1")
    look("dark-production", PAGES["production"])
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_when_the_server_is_gone_the_page_says_so(browser, plant):
    sign_in(browser, plant, token(plant, "viewer", subject="vera"))
    browser.until(lambda: browser.all("#live"))
    assert browser.run("return document.querySelector('#stale').hidden")
    plant.server.send_signal(signal.SIGTERM)
    assert plant.server.wait(20) == 0

    browser.until(
        lambda: "The connection is lost" in browser.run("return document.querySelector('#stale').textContent")
    )
    assert not browser.run("return document.querySelector('#stale').hidden")
    browser.said()
