"""Setting up on a machine without a Python that fits says so, and touches nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def bare_path(tmp_path) -> Path:
    """A PATH with a shell's tools and a python3 that is too new."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "dirname", "make", "awk", "touch"):
        (folder / tool).symlink_to(shutil.which(tool))
    python = folder / "python3"
    python.write_text('#!/bin/sh\ncase $1 in --version) echo "Python 3.13.1";; *) exit 1;; esac\n')
    python.chmod(0o755)
    return folder


def _make(project: Path, path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHON", "MAKEFLAGS"}}
    command = [path / "make", *words]
    return subprocess.run(
        command, cwd=project, env={**environment, "PATH": str(path)}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("target", ["demo", "test", "check", "bench", "format", "lock"])
def test_every_target_says_which_python_is_missing(project_copy, bare_path, target):
    (project_copy / ".venv").unlink()

    result = _make(project_copy, bare_path, target)

    assert result.returncode != 0
    assert "plantsync needs Python 3.11 or 3.12" in result.stderr
    assert "python3: Python 3.13.1" in result.stderr
    assert "python3.12: not there" in result.stderr
    assert not (project_copy / ".venv").exists()


def test_a_python_that_is_named_is_the_only_one_tried(project_copy, bare_path):
    (project_copy / ".venv").unlink()

    result = _make(project_copy, bare_path, "PYTHON=python9", "test")

    assert result.returncode != 0
    assert "python9: not there" in result.stderr
    assert "python3:" not in result.stderr


def test_make_alone_lists_every_target(project_copy, bare_path):
    result = _make(project_copy, bare_path)

    assert result.returncode == 0
    for target in ("demo", "test", "check", "bench", "format", "lock"):
        assert f"make {target} " in result.stdout
