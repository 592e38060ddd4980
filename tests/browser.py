"""A real Chromium without a window, driven by its driver over the W3C WebDriver protocol.

Plain HTTP and no library: a dozen calls of the protocol are all that is needed. ``bin/debian`` installs the browser
where it may.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import requests

ROOT = Path(__file__).parents[1]
SHOTS = ROOT / "test-artefacts" / "tower"
"""Where pictures of pages are kept; not under version control."""
START_S = 60
INSTALL_S = 600
PROGRAMS = ("chromium", "chromedriver")
PACKAGES = ("chromium", "chromium-driver", "fonts-dejavu-core")
WAIT_S = 30
AXE = ROOT / "tests" / "axe"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --force-color-profile=srgb --hide-scrollbars"
)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class BrowserUnavailable(Exception):
    """No browser can be started here; the message says what is missing."""


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plantsync"


def axe() -> str:
    """The axe-core script, fetched once with npm by tests/axe/package-lock.json and kept in the user's cache.

    Raises: BrowserUnavailable.
    """
    version = json.loads((AXE / "package.json").read_text())["devDependencies"]["axe-core"]
    script = _cache() / f"axe-core-{version}.js"
    if not script.exists():
        if shutil.which("npm") is None:
            raise BrowserUnavailable("npm is not installed, and axe-core comes from there")
        script.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=script.parent) as scratch:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(AXE / name, scratch)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=INSTALL_S, check=False)
            if done.returncode:
                raise BrowserUnavailable(f"npm could not fetch axe-core {version}: {done.stderr[-500:]}")
            # A rename, so that parallel runs see all of it or none.
            (Path(scratch) / "node_modules/axe-core/axe.min.js").rename(script)
    return script.read_text()


class Browser:
    """One window."""

    def __init__(self, driver: str, profile: Path) -> None:
        options = {"args": [*FLAGS.split(), f"--user-data-dir={profile}"], "binary": shutil.which("chromium")}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
            "acceptInsecureCerts": True,  # Tests make their own.
        }
        self._http = requests.Session()
        said = self._told("POST", f"{driver}/session", {"capabilities": {"alwaysMatch": wanted}})
        self._url = f"{driver}/session/{said['sessionId']}"

    def _told(self, method: str, url: str, body: object = None):
        answer = self._http.request(method, url, json=body, timeout=120)
        value = answer.json()["value"]
        assert answer.ok, f"{method} {url}: {value['message']}"
        return value

    def _ask(self, method: str, what: str, body: object = None):
        return self._told(method, f"{self._url}/{what}", body)

    def open(self, url: str) -> None:
        self._ask("POST", "url", {"url": url})

    @property
    def url(self) -> str:
        return self._ask("GET", "url")

    def find(self, css: str) -> str:
        """Wait for an element and return its name."""
        return self.until(lambda: self.all(css), f"there is no {css}")[0]

    def all(self, css: str) -> list[str]:
        found = self._ask("POST", "elements", {"using": "css selector", "value": css})
        return [each[ELEMENT] for each in found]

    def click(self, css: str) -> None:
        self._ask("POST", f"element/{self.find(css)}/click", {})

    def type(self, css: str, text: str) -> None:
        self._ask("POST", f"element/{self.find(css)}/value", {"text": text})

    def text(self, css: str) -> str:
        return self._ask("GET", f"element/{self.find(css)}/text")

    def run(self, script: str, *arguments: object):
        """Run a script in the page, as an extension would: the page's policy does not bind it."""
        return self._ask("POST", "execute/sync", {"script": script, "args": list(arguments)})

    def promised(self, script: str, *arguments: object):
        """The same of a script that calls ``done`` with its result."""
        body = {"script": f"const done = arguments[arguments.length - 1]; {script}", "args": list(arguments)}
        return self._ask("POST", "execute/async", body)

    def size(self, width: int, height: int) -> None:
        """Show pages as a screen of this size does, a phone's too."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._devtools("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, name: str) -> None:
        """Prefer ``light`` or ``dark``."""
        self._devtools("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": name}]})

    def _devtools(self, command: str, parameters: dict) -> dict:
        return self._ask("POST", "goog/cdp/execute", {"cmd": command, "params": parameters})

    def shot(self, name: str, *, whole: bool = False) -> Path:
        """Keep a picture of what is shown, or of the whole page."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = SHOTS / f"{name}.png"
        taken = self._devtools("Page.captureScreenshot", {"captureBeyondViewport": whole})
        path.write_bytes(base64.b64decode(taken["data"]))
        return path

    def serious(self, script: str) -> list[str]:
        """What axe finds that is serious or critical."""
        self.run(script + ";window.axe = axe;")
        found = self.promised(
            "window.axe.run(document, {resultTypes: ['violations']}).then((r) => done(r.violations));"
        )
        return [
            f"{each['id']} ({each['impact']}): {node['html'][:160]} {node['failureSummary'][:200]}"
            for each in found
            if each["impact"] in {"serious", "critical"}
            for node in each["nodes"]
        ]

    def until(self, ready, what: str = "it did not happen"):
        """Wait until something holds, and return it."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            if value := ready():
                return value
            time.sleep(0.05)
        raise AssertionError(f"{what} at {self.url}: {self.run('return document.body.innerText')[:2000]}")

    def said(self) -> list[str]:
        """What the console was told since the last time that is wrong: errors of scripts, what a policy refused."""
        told = self._ask("POST", "se/log", {"type": "browser"})
        return [each["message"] for each in told if each["level"] == "SEVERE"]

    def forget(self) -> None:
        """Lose all cookies."""
        self._devtools("Network.clearBrowserCookies", {})

    def close(self) -> None:
        self._told("DELETE", self._url)
        self._http.close()


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    """A browser while the block runs. Raises: BrowserUnavailable."""
    if not all(map(shutil.which, PROGRAMS)):
        command = [ROOT / "bin/debian", *PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        if done.returncode:
            raise BrowserUnavailable(done.stderr.strip()[-500:])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}", "--silent"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{url}/status", timeout=5).json()["value"]["ready"]:
                    break
            if driver.poll() is not None or time.monotonic() > deadline:
                raise BrowserUnavailable("chromedriver does not start")
            time.sleep(0.05)
        with tempfile.TemporaryDirectory(prefix="plantsync-chromium-", ignore_cleanup_errors=True) as profile:
            browser = Browser(url, Path(profile))
            try:
                yield browser
            finally:
                browser.close()
    finally:
        driver.terminate()
        driver.wait(20)
