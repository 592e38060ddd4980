"""Files of a checkout that are derived from the product, written by a command and held to it by the same."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence


def check_or_write(
    module: str,
    what: str,
    problems: Callable[[], Sequence[str]],
    write: Callable[[], None],
    arguments: Sequence[str] | None = None,
) -> int:
    """Return the exit code of ``python -m <module>``: ``--check`` tells ``problems``, ``--write`` writes the files."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=what)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="exit 1 where a file says something else")
    action.add_argument("--write", action="store_true", help="write what is missing or says something else")
    if parser.parse_args(arguments).write:
        write()
        return 0
    found = problems()
    for line in found:
        sys.stderr.write(line + "\n")
    return 1 if found else 0
