"""Charts as shapes of an SVG, drawn by the server: no library, nothing that a strict policy would refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final

TICKS: Final = 4
ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its place, and the heights of its parts from the bottom up, in the chart's own units."""

    x: float
    width: float
    parts: tuple[tuple[str, float, float], ...]
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars in a box of ``width`` by ``height``; ``ticks`` are heights with what they stand for."""

    width: float
    height: float
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...] = ()


def stacked(
    columns: Sequence[tuple[str, Sequence[tuple[str, float]]]], width: float, height: float, gap: float = 0.25
) -> Chart:
    """Return stacked bars, one for each column of (title, parts), a part being (class, value)."""
    most = max((sum(value for _, value in parts) for _, parts in columns), default=0.0)
    top, step = scale(most)
    each = width / max(len(columns), 1)
    bars = []
    for place, (title, parts) in enumerate(columns):
        at, shapes = height, []
        for name, value in parts:
            tall = value / top * height
            at -= tall
            if tall > 0:
                shapes.append((name, round(at, 2), round(tall, 2)))
        bars.append(Bar(round(place * each + each * gap / 2, 2), round(each * (1 - gap), 2), tuple(shapes), title))
    ticks = tuple((round(height - n * step / top * height, 2), f"{n * step:,g}") for n in range(round(top / step) + 1))
    return Chart(width, height, tuple(bars), ticks)


def scale(most: float) -> tuple[float, float]:
    """Return the top of an axis that shows ``most``, and its steps: 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return 1.0, 1.0
    power = 10.0 ** floor(log10(most / TICKS))
    step = next(power * n for n in (1, 2, 5, 10) if power * n * TICKS >= most * (1 - ROUNDING))
    return step * ceil(most / step * (1 - ROUNDING)), step
