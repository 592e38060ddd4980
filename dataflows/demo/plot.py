"""The plot: what each plant made and scrapped, hour by hour, for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import plotext

from dataflows.demo.report import HourlyOutput

PANEL_HEIGHT: Final = 8
HOURS_MAX: Final = 56
"""One column an hour; with both rulers no line is longer than 76."""
TICK_HOURS: Final = 6
LABEL_WIDTH: Final = 8
FRAME_WIDTH: Final = 2 * (LABEL_WIDTH + 1)
GOOD, SCRAP = "▒", "●"


def plot(hours: Sequence[HourlyOutput], *, colour: bool) -> str:
    """Return a panel for each plant: bars of good output, points of scrap, each on a scale of its own.

    Args: hours: what the plants made in one unit; hours in which a plant made nothing may be missing.
        Of more than ``HOURS_MAX`` hours the last ones are shown. colour: whether to use escape codes.
    """
    if not hours:
        return ""
    end = max(row.hour for row in hours)
    begin = max(min(row.hour for row in hours), end - timedelta(hours=HOURS_MAX - 1))
    instants = [begin + timedelta(hours=n) for n in range((end - begin) // timedelta(hours=1) + 1)]
    plants = sorted({row.plant for row in hours})
    panels = [_panel(plant, instants, {row.hour: row for row in hours if row.plant == plant}) for plant in plants]
    lines = [line.rstrip() for panel in panels for line in panel.string(colorless=not colour).splitlines()]
    return "\n".join(lines)


def _panel(plant: str, instants: list[datetime], made: Mapping[datetime, HourlyOutput]) -> Any:
    plotext.terminal.limit(width=False, height=False)  # The size is ours, also where nothing is a terminal.
    panel = plotext.figure.clear()
    panel.theme("simple")  # It paints no background.
    panel.plot_size(len(instants) + FRAME_WIDTH, PANEL_HEIGHT)
    panel.title(f"plant {plant}")
    _bars(panel, [made[hour].good if hour in made else 0.0 for hour in instants])
    _points(panel, [made[hour].scrap if hour in made else 0.0 for hour in instants])
    _hours(panel, instants)
    return panel.build()


def _bars(panel: Any, good: list[float]) -> None:
    panel.draw(panel.bar(range(len(good)), good, width=0.5, lines=False, marker=GOOD))
    _scale(panel, "left", max(good))


def _points(panel: Any, scrap: list[float]) -> None:
    places = [(hour, value) for hour, value in enumerate(scrap) if value]
    if places:
        panel.draw(panel.signal(*zip(*places, strict=True), marker=plotext.colorize(SCRAP, "red"), yside="right"))
    _scale(panel, "right", max(scrap))


def _scale(panel: Any, side: str, highest: float) -> None:
    ruler = panel.ruler("y", side)
    ruler.lim(0, highest or 1)
    values = [0, highest] if highest else [0]
    labels = [f"{value:,.0f}" for value in values]
    ruler.ticks(values, [text.rjust(LABEL_WIDTH) if side == "left" else text.ljust(LABEL_WIDTH) for text in labels])


def _hours(panel: Any, instants: list[datetime]) -> None:
    places = [place for place, hour in enumerate(instants) if hour.hour % TICK_HOURS == 0]
    labels = [instants[place].strftime("%a" if instants[place].hour == 0 else "%H") for place in places]
    ruler = panel.ruler("x")
    ruler.lim(0, max(len(instants) - 1, 1))
    ruler.ticks(places, labels)
