"""What is shipped to run beside plantsync fits it: Prometheus, Grafana (M36, M38), and services of systemd (A18)."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from typer.main import get_command

from dataflows.cli.app import app
from dataflows.flow_names import FlowName
from dataflows.metrics.declared import Declared
from dataflows.metrics.hops import HOPS
from dataflows.processors.delivery.reply import ReplyKind

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERT = re.compile(
    r"""      - alert: (?P<alert>\w+)
        expr: (?P<expr>[^>\n].*|>-(?:\n {10}.*)+)
(?:        for: (?P<waits>\d+[mh])\n)?        labels: { severity: (?P<severity>\w+) }
        annotations:
          summary: "(?P<summary>[^"]+)"
          description: "(?P<description>[^"]+)"
"""
)
"""The one form in which all alerts are written; Prometheus reads any YAML."""
RULES = [each.groupdict() for each in ALERT.finditer((DEPLOY / "alerts.yml").read_text())]
BOARD = json.loads((DEPLOY / "grafana/plantsync.json").read_text())
OF_PROMETHEUS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
OF_TARGETS = {"job", "instance", "process", "le"}
NAME = re.compile(r"\b(?:plantsync|process)_\w+|\bup\b")
FUNCTIONS = {"sum", "max", "count", "rate", "increase", "changes", "histogram_quantile", "time"}


def served() -> dict[str, set[str]]:
    """Labels of each series, by its name as it is scraped."""
    found: dict[str, set[str]] = {}
    for metric in vars(Declared(CollectorRegistry())).values():
        ends = ("_bucket", "_count", "_sum") if isinstance(metric, Histogram) else ("",)
        ends = ("_total",) if isinstance(metric, Counter) else ends
        found |= {metric._name + end: set(metric._labelnames) for end in ends}
    return found


def queries() -> Iterator[tuple[str, str]]:
    """Every PromQL there is, with where it stands and the words beside it."""
    for rule in RULES:
        yield rule["expr"].removeprefix(">-"), f"{rule['summary']} {rule['description']}"
    for panel in BOARD["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"], target["legendFormat"]
    for annotation in BOARD["annotations"]["list"]:
        yield annotation["expr"], annotation["titleFormat"]
    for variable in BOARD["templating"]["list"][1:]:
        yield re.sub(r"^label_values\((\w+), (\w+)\)$", r"sum by (\2) (\1)", variable["query"]["query"]), ""


@pytest.mark.parametrize(("query", "words"), list(queries()))
def test_a_query_names_metrics_and_labels_that_are_served(query, words):
    metrics = served()
    names = set(NAME.findall(query))
    assert names
    assert names <= metrics.keys() | OF_PROMETHEUS
    labels = set().union(*(metrics.get(name, set()) for name in names)) | OF_TARGETS
    asked = {label for group in re.findall(r"\bby \(([^)]*)\)", query) for label in group.split(", ")}
    matched = re.findall(r"(\w+)(=~|!=|=)\"([^\"]*)\"", query)
    shown = set(re.findall(r"{{(\w+)}}", words)) | set(re.findall(r"\$labels\.(\w+)", words))
    assert asked | {name for name, _, _ in matched} | shown <= labels
    left = asked or labels  # an aggregation keeps what it is by; what it is shown with must be among that
    assert not re.match(r"(sum|max|count|histogram_quantile)\b", query) or shown <= left | {"process"}
    known = {"hop": set(HOPS), "outcome": {kind.value for kind in ReplyKind}, "call": {"send"}, "job": {"plantsync"}}
    assert all(value in known[name] for name, _, value in matched if name in known)
    assert query.count("(") == query.count(")")
    assert set(re.findall(r"(\w+)\s*\(", re.sub(r"\bby \(", "", query))) <= FUNCTIONS | {"by", "and"}


def test_no_metric_is_left_out_of_the_board_and_no_place_taken_twice():
    text = " ".join(query for query, _ in queries())
    missing = {name for name in served() if not name.endswith(("_sum", "_count")) and name not in text}
    assert missing == {"plantsync_last_commit_timestamp_seconds"} - set(NAME.findall(text))

    assert BOARD["uid"] == "plantsync"
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_each_alert_says_how_urgent_it_is_and_what_to_do():
    assert len(RULES) == (DEPLOY / "alerts.yml").read_text().count("- alert:")
    assert len({rule["alert"] for rule in RULES}) == len(RULES) > 10
    assert {rule["severity"] for rule in RULES} == {"page", "ticket"}


def test_what_is_scraped_is_what_the_page_serves():
    page = (DEPLOY.parent / "docs/metrics.md").read_text()
    listen = dict(re.findall(r'^(\w+) = "(127\.0\.0\.1:\d+)"$', page, re.MULTILINE))
    target = re.compile(r'- targets: \["(.*)"\]\n +labels: { process: (\w+) }')

    assert {flow: at for at, flow in target.findall((DEPLOY / "prometheus.yml").read_text())} == listen
    assert listen.keys() == set(FlowName.__args__) - {"collect"}
    files = re.findall(r"- \./([\w./]+):", (DEPLOY / "compose.yaml").read_text())
    assert len(files) == 4
    assert all((DEPLOY / path).exists() for path in files)


def test_services_run_commands_there_are_and_stay_down_for_what_does_not_pass():
    units = {path.stem: path.read_text() for path in DEPLOY.glob("*.service")}
    assert units.keys() == {"plantsync@", "plantsync-tower"}
    page = (DEPLOY.parent / "docs/operations.md").read_text()
    (shown,) = re.findall(r"^# /etc/systemd/system/plantsync@\.service\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert units["plantsync@"].endswith(shown)
    commands = get_command(app).commands
    for name, unit in units.items():
        sections = configparser.ConfigParser(interpolation=None)
        sections.optionxform = str
        sections.read_string(unit)
        _, _, words = sections["Service"]["ExecStart"].partition("/.venv/bin/plantsync ")
        command, *arguments = words.split()
        assert command in commands
        assert arguments == (["%i"] if name == "plantsync@" else [])
        codes = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", page, re.MULTILINE)
        for_ever = {code for code, what_to_do in codes if code != "0" and what_to_do != "start it again"}
        assert {"1", "2"} <= set(sections["Service"]["RestartPreventExitStatus"].split()) <= for_ever
        assert int(sections["Service"]["TimeoutStopSec"]) > 0


@pytest.mark.elsewhere
@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool of Prometheus is not installed")
def test_prometheus_takes_the_rules():
    subprocess.run(["promtool", "check", "config", str(DEPLOY / "prometheus.yml")], check=True, capture_output=True)
