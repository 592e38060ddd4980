"""The plot of the demo: a column an hour, good as bars, scrap as points, no wider than a terminal."""

from datetime import datetime, timedelta

from dataflows.demo.plot import HOURS_MAX, plot
from dataflows.demo.report import HourlyOutput

MONDAY = datetime(2026, 1, 5)  # noqa: DTZ001 - the store's hours are UTC without a zone


def hours(plant, good, scrap):
    rows = zip(good, scrap, strict=True)
    return [
        HourlyOutput(plant=plant, hour=MONDAY + timedelta(hours=n), unit="H87", good=g, scrap=s)
        for n, (g, s) in enumerate(rows)
        if g or s
    ]


def canvas(text):
    """Return the rows of the canvas, from the top."""
    rows = [line for line in text.splitlines() if line[8:9] in {"┤", "│"}]
    return [row[9:].rstrip("0123456789,")[:-1] for row in rows]


def test_bars_and_points_stand_in_the_columns_of_their_hours():
    text = plot(hours("A", [1000, 0, 10, 1000], [0, 0, 5, 0]), colour=False)
    assert canvas(text) == ["▒ ●▒", "▒  ▒", "▒  ▒", "▒ ▒▒"]


def test_each_scale_shows_its_own_highest_value():
    text = plot(hours("A", [1234, 7], [3, 9]), colour=False)
    assert "1,234┤" in text
    assert "├9" in text


def test_every_plant_has_a_panel_also_one_without_scrap():
    text = plot(hours("A", [5] * 9, [1] * 9) + hours("M", [9] * 9, [0] * 9), colour=False)
    assert [line.strip() for line in text.splitlines() if "plant" in line] == ["plant A", "plant M"]


def test_long_windows_show_their_last_hours_within_a_terminal():
    text = plot(hours("A", range(1, 101), [0] * 100), colour=False)
    assert max(map(len, text.splitlines())) <= 80
    assert {len(row) for row in canvas(text)} == {HOURS_MAX}
    assert "100┤" in text


def test_escape_codes_only_where_asked():
    rows = hours("A", [5, 6], [1, 2])
    assert "\x1b" not in plot(rows, colour=False)
    assert "\x1b[" in plot(rows, colour=True)


def test_nothing_made_is_nothing_plotted():
    assert plot([], colour=False) == ""
