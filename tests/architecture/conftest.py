"""A copy of the project to break, so that the checks can be seen to fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _tracked() -> list[Path]:
    """Return the project's files: what git tracks or would, outside git everything but the environment."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode == 0:
        paths = [Path(name) for name in listing.stdout.decode().split("\0") if name]
    else:
        paths = [path.relative_to(ROOT) for path in ROOT.rglob("*") if not path.is_relative_to(ROOT / ".venv")]
    return [path for path in paths if (ROOT / path).is_file()]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def project_files() -> list[Path]:
    """Relative paths of the project's files."""
    return _tracked()


@pytest.fixture
def project_copy(tmp_path: Path, project_files: list[Path]) -> Path:
    """A copy of the project that uses this environment."""
    for path in project_files:
        target = tmp_path / "project" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target)
    (tmp_path / "project/.venv").symlink_to(sys.prefix)
    return tmp_path / "project"


@pytest.fixture
def make(project_copy: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a make target in the copy, whose environment counts as set up."""

    def run(target: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "-o", ".venv/.plantsync-ready", target]
        return subprocess.run(command, cwd=project_copy, capture_output=True, text=True, check=False)

    return run
