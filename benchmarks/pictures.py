"""Draws the history and the roofline as SVG files in docs/pictures/: the same history gives the same bytes.

python -m benchmarks.pictures [FOLDER]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.workload import ROOT

HISTORY = Path(__file__).with_name("history.jsonl")
PICTURES = ROOT / "docs" / "pictures"
PARTS = {
    "fetch": ("framing",),
    "decode": ("decode",),
    "sequence": ("sequence",),
    "aggregate": ("counter", "observe", "aggregate", "ledger", "trail"),
    "encode": ("state",),
}
"""What the stages of ``stage_costs`` are in the roofline; the rest of the whole job is commit and engine."""
REST = "commit, engine"
COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377")
"""Tol's bright scheme, which the colour-blind can tell apart."""

Line = dict[str, Any]


def main(folder: str = str(PICTURES)) -> int:
    """Draw what the history holds; without the library say so."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - the other benchmarks need it not
    except ImportError:
        print("no pictures: matplotlib is not installed", file=sys.stderr)
        return 0
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "plantsync", "svg.fonttype": "none", "font.size": 9, "figure.dpi": 72})
    lines = [json.loads(line) for line in HISTORY.read_text().splitlines()]
    Path(folder).mkdir(parents=True, exist_ok=True)
    if speeds := [line for line in lines if "stage_ns" in line]:
        save(history(speeds), Path(folder) / "history.svg")
        save(roofline(speeds[-1]), Path(folder) / "roofline.svg")
    return 0


def parts(line: Line) -> dict[str, float]:
    """Return ns of processor time an event for each part of the job, and for what is left of the whole."""
    stages: dict[str, float] = line["stage_ns"]
    found = {part: sum(stages.get(stage, 0.0) for stage in of) for part, of in PARTS.items()}
    whole = line["job"]["cpu_s"] / line["messages"] * 1e9
    return {**found, REST: max(whole - sum(found.values()), 0.0)}


def history(lines: list[Line]) -> Any:
    """Return a figure of the processor time of an event, commit by commit, each bar split into parts."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - as in main

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes, floor = figure.subplots(), [0.0] * len(lines)
    split = [parts(line) for line in lines]
    for part, colour in zip(split[0], COLOURS, strict=True):
        height = [each[part] for each in split]
        axes.bar(range(len(lines)), height, 0.7, floor, label=part, color=colour)
        floor = [low + high for low, high in zip(floor, height, strict=True)]
    axes.set_xticks(range(len(lines)), [line["commit"].rstrip("+")[:7] for line in lines], rotation=60)
    axes.set_ylabel("ns of processor time an event")
    axes.set_title("Workload W from JSON files, one core")
    axes.legend(ncols=3, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def roofline(line: Line) -> Any:
    """Return a figure of each part's time, and of the events/s it would allow if it were all there is."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - as in main

    found = parts(line)
    whole = sum(found.values())
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots()
    names = [*found, "all"]
    values = [*found.values(), whole]
    axes.barh(names, values, color=[*COLOURS, "#bbbbbb"])
    for row, ns in enumerate(values):
        bound = f"{1e3 / ns:,.1f} M events/s" if ns >= 1 else ""
        axes.text(ns + whole * 0.01, row, f"{ns:,.0f} ns   {bound}", va="center")
    axes.invert_yaxis()
    axes.set_xlim(0, whole * 1.35)
    axes.set_xlabel("ns of processor time an event")
    axes.set_title(f"Time of an event by part, and what each alone would allow ({line['commit']})")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def save(figure: Any, path: Path) -> None:
    """Write a figure without the date of its making."""
    figure.savefig(path, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
