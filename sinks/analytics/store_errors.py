"""What can go wrong with the analytics store, and what DuckDB's errors mean for it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from sinks.commit_log import PlantsyncError


class StoreError(PlantsyncError):
    """The analytics store could not do what it was asked."""


class StoreUnavailable(StoreError):
    """The store cannot be opened, written or copied now; the same call may succeed later."""

    retryable = True


class StoreLocked(StoreUnavailable):
    """Another writer has the file open."""


class StoreNewer(StoreError):
    """The file was written by a newer plantsync, whose schema this one does not know."""


_DISK: Final = "check disk space, owner and permissions"
_ELSEWHERE: Final = "another writer has it open; stop that one, or give this one a file of its own"
_OPENING: Final[tuple[tuple[str, type[StoreError], str], ...]] = (
    ("already attached", StoreLocked, _ELSEWHERE),
    ("Could not set lock", StoreLocked, _ELSEWHERE),
    ("not a valid DuckDB", StoreError, "name another file, or move this one away"),
)
"""What DuckDB's message contains, what that means, and what to do."""


@contextmanager
def translated(operation: str, path: Path) -> Iterator[None]:
    """Turn the driver's errors into ours, once, with operation, file and hint."""
    what = f"{operation} of {path} failed"
    try:
        yield
    except (duckdb.ResourceInUseException, duckdb.IOException) as error:
        known = ((kind, hint) for text, kind, hint in _OPENING if text in str(error))
        kind, hint = next(known, (StoreUnavailable, _DISK))
        raise kind(f"{what}: {hint} ({error})") from error
    except (duckdb.OutOfMemoryException, duckdb.TransactionException) as error:
        raise StoreUnavailable(f"{what}: {error}; if memory was short, raise memory_max_mb") from error
    except subprocess.CalledProcessError as error:
        raise StoreUnavailable(f"{what}: {_DISK} ({error.stderr.strip()})") from error
    except OSError as error:
        raise StoreUnavailable(f"{what}: {_DISK} ({error})") from error
    except duckdb.Error as error:
        raise StoreError(f"{what} and changed nothing: {error}") from error
