"""Where commands write: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console

PIPED_COLUMNS: Final = 160
"""Width of tables that go into a pipe or a file."""


def results() -> Console:
    """Return the console of results; plain text where it is piped."""
    terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, soft_wrap=not terminal, width=None if terminal else PIPED_COLUMNS)


def errors() -> Console:
    """Return the console of messages and progress."""
    return Console(file=sys.stderr)


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """Print a result for scripts: one JSON document, the same keys every time."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
