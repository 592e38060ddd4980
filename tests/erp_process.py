"""The simulator as a process of its own, started by its command."""

import json
import tempfile
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.command import started
from tests.erp_world import CONFIRMATIONS

START_S = 30


class Simulator:
    """A running ``plantsync erp-sim`` and where it listens."""

    def __init__(self, arguments):
        self._folder = tempfile.TemporaryDirectory(prefix="plantsync-erp-sim-")
        output, self._errors = (Path(self._folder.name) / name for name in ("output", "errors"))
        self.process = started(
            Path(self._folder.name), "erp-sim", "--port", "0", "--json", *arguments, said=(output, self._errors)
        )
        self.said = json.loads(self.process.line(output, START_S))
        self.control = self.said["control"]

    def url(self, name):
        """The base URL of an ERP."""
        return self.said["erps"][name]["url"]

    def truth(self, name, what, **query):
        """What the control endpoint says of an ERP."""
        said = requests.get(f"{self.control}/{name}/{what}", params=query, timeout=10)
        assert said.status_code == 200, said.text
        return said.json()

    def order(self, method, what, **body):
        """Tell the control endpoint to change something."""
        said = requests.request(method, f"{self.control}/{what}", json=body, timeout=10)
        assert said.status_code == 200, said.text
        return said.json()

    def sap(self, name="sap"):
        """A session that is logged on to SAP."""
        session = requests.Session()
        session.auth = ("plantsync", "simulated")
        said = session.get(f"{self.url(name)}{CONFIRMATIONS}/", headers={"X-CSRF-Token": "Fetch"}, timeout=10)
        assert said.status_code == 200, said.text
        session.headers["X-CSRF-Token"] = said.headers["x-csrf-token"]
        return session

    def kill(self):
        """SIGKILL: nothing is said good-bye to."""
        self.process.kill()
        self.process.wait(10)
        self._folder.cleanup()

    def stop(self):
        """SIGTERM; return (exit code, what went to standard error)."""
        self.process.terminate()
        code, errors = self.process.wait(15), self._errors.read_text()
        self._folder.cleanup()
        return code, errors


@contextmanager
def running(*arguments):
    """A simulator for the length of a block; it must end cleanly and without a complaint."""
    simulator = Simulator(arguments)
    try:
        yield simulator
    except BaseException:
        simulator.kill()
        raise
    if simulator.process.poll() is None:
        code, errors = simulator.stop()
        assert (code, errors) == (0, ""), errors
