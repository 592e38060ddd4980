"""A control tower for tests: settings and log in a folder, the real server in a thread, and visitors."""

from __future__ import annotations

import contextlib
import re
import secrets
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import orjson
import requests
import uvicorn

from canonical.contracts import Action, BusinessException, ExceptionCode, TrailEntry
from canonical.contracts.business_exception import OWNERS, SEVERITIES
from canonical.identity import posting_id
from dataflows.settings import load
from dataflows.tower.person import Grant, Role
from dataflows.tower.server import application
from dataflows.tower.site import Site
from dataflows.tower.token_file import add_token
from sinks.commit_log import Record
from sinks.sqlite import SqliteLog, SqliteStreams
from sinks.streams import ACTIONS, EXCEPTIONS

SETTINGS = """\
landing = "landing"
plants = ["shipped:plant_a", "shipped:plant_b"]
[tower]
tokens = "tokens.toml"
refresh_s = 0.05
health_interval_s = 3600
requests_per_s = 1000
requests_max = 1000
sign_ins_max = 1000
"""
EXPIRES = datetime(2036, 1, 1, tzinfo=UTC)


class Clock:
    """The system's clock, moved by ``ahead_us``."""

    def __init__(self):
        self.ahead_us = 0

    def __call__(self):
        return time.time_ns() // 1000 + self.ahead_us


class Tower:
    """A control tower that serves, and what it stands on."""

    def __init__(self, folder, settings=SETTINGS):
        self.folder, self.clock = folder, Clock()
        (folder / "state").mkdir(exist_ok=True)
        (folder / "plantsync.toml").write_text(settings)
        self.settings = load(folder / "plantsync.toml")
        self.site = Site(self.settings, "operator@here", self.clock, secrets.token_bytes)

    def token(self, role, *plants, subject="anna", expires=EXPIRES):
        return add_token(self.folder / "tokens.toml", subject, Grant(Role(role), plants), expires, secrets.token_bytes)[
            1
        ]

    def write(self, *records):
        with contextlib.closing(SqliteLog(self.folder / "state/plantsync.db")) as log:
            log.restore("test")
            log.commit("test", "", {}, list(records))

    def put(self, *exceptions):
        """Write exceptions into the log, and wait until the tower has seen them."""
        self.write(*(Record(EXCEPTIONS, b"", each.model_dump_json().encode()) for each in exceptions))
        names = {str(each.exception_id): each for each in exceptions}
        self.site.watch.soon()
        until(lambda: names.items() <= self.site.watch.picture.box.exceptions.items())

    def stored(self, stream):
        with contextlib.closing(SqliteStreams(self.folder / "state/plantsync.db")) as log:
            return [orjson.loads(record.value) for record in log.read(stream, 0, 10_000)]

    def actions(self):
        return [Action.model_validate(row) for row in self.stored(ACTIONS)]

    def trail(self):
        return [TrailEntry.model_validate(row) for row in self.stored("trail")]

    @contextlib.contextmanager
    def serving(self):
        """Serve in a thread; ``url`` says where."""
        bound = socket.create_server(("127.0.0.1", 0))
        app = application(self.site, "127.0.0.1")
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="on", server_header=False))
        thread = threading.Thread(target=server.run, args=([bound],))
        thread.start()
        until(lambda: server.started)
        self.url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        try:
            yield self
        finally:
            app.live.end()
            server.should_exit = True
            thread.join(20)
            bound.close()

    def visitor(self, token=""):
        return Visitor(self.url, token)


class Visitor:
    """Somebody with a browser: cookies, the headers that browsers send, and the token of the forms."""

    def __init__(self, url, token=""):
        self.url = url
        self.http = requests.Session()
        self.http.headers["sec-fetch-site"] = "same-origin"
        if token:
            assert self.sign_in(token).status_code == 200

    def sign_in(self, token, to="/"):
        return self.post("/sign-in", token=token, to=to)

    def get(self, path, **more):
        return self.http.get(self.url + path, allow_redirects=False, timeout=20, **more)

    def post(self, path, headers=None, **form):
        origin = {"origin": self.url} | (headers or {})
        return self.http.post(self.url + path, data=form, headers=origin, allow_redirects=False, timeout=20)

    def form_token(self):
        return re.search(r'name="form_token" value="(\w+)"', self.get("/").text)[1]

    def decide(self, about, kind="release", reason="seen", **more):
        path = f"/exceptions/{about.exception_id}/{kind}"
        return self.post(path, form_token=self.form_token(), reason=reason, **more)


def exception(code="ORDER_NOT_RELEASED", plant="A", number=0, **fields):
    now_us = time.time_ns() // 1000
    given = {
        "exception_id": posting_id("exception", plant, code, number, "test"),
        "code": code,
        "owner": OWNERS[ExceptionCode(code)],
        "severity": SEVERITIES[ExceptionCode(code)],
        "plant": plant,
        "order": f"47{number:02d}",
        "message": f"order 47{number:02d} is not released",
        "waiting": 3,
        "opened_us": now_us - 3_600_000_000,
        "changed_us": now_us - 3_600_000_000,
    }
    return BusinessException.model_validate(given | fields)


def sent(answer):
    """What the page that an answer leads to is told."""
    assert answer.status_code == 303, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def until(ready, seconds=20):
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def in_days(days):
    return datetime.now(UTC) + timedelta(days=days)
