"""What is shipped: three packages with their data, one command, for two Python versions."""

from __future__ import annotations

import configparser
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from canonical.compiled import Compiled, digest

ROOMS = ("canonical", "dataflows", "sinks")


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory) -> Path:
    """The wheel, built as a release would be, from what is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=root,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def info(wheel) -> str:
    """The name of the wheel's metadata folder."""
    name, version, *_ = wheel.name.split("-")
    return f"{name}-{version}.dist-info"


@pytest.fixture(scope="module")
def names(wheel) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_the_three_packages_and_nothing_else(names, info):
    roots = {name.partition("/")[0] for name in names}

    assert roots == {*ROOMS, info}


@pytest.mark.parametrize(
    "data",
    [
        *("canonical/avro/*.avsc", "canonical/plants/*.toml", "canonical/decoders/*.[ch]", "dataflows/sources/*.c"),
        *("dataflows/tower/templates/*", "dataflows/tower/static/*", "dataflows/onboarding/*.toml"),
    ],
)
def test_the_wheel_holds_the_data_the_packages_read(root, names, data):
    expected = {path.relative_to(root).as_posix() for path in root.glob(data)}

    assert expected
    assert expected <= names


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
def test_the_kernel_is_compiled_where_it_can_be(names, wheel, tmp_path):
    assert {"canonical/decoders/kernel.so", "dataflows/sources/kernel.so"} <= names
    assert "-py3-none-" in wheel.name
    assert not wheel.name.endswith("-any.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path)
    for folder in ("canonical/decoders", "dataflows/sources"):
        kernel = Compiled(tmp_path / folder / "kernel.so")
        assert kernel.constant("source_digest") == digest(tmp_path / folder) > 0
        assert kernel.trouble() == ""


def test_the_wheel_holds_every_module(root, names):
    modules = {path.relative_to(root).as_posix() for room in ROOMS for path in root.glob(f"{room}/**/*.py")}

    assert {name for name in names if name.endswith(".py")} == modules


def test_the_wheel_holds_the_licence(names, info):
    assert f"{info}/licenses/LICENSE" in names


def test_the_command_is_the_main_function(wheel, info):
    entry_points = configparser.ConfigParser()
    with zipfile.ZipFile(wheel) as archive:
        entry_points.read_string(archive.read(f"{info}/entry_points.txt").decode())

    assert dict(entry_points["console_scripts"]) == {"plantsync": "dataflows.cli:main"}


def test_the_installed_command_starts():
    result = subprocess.run(
        [Path(sys.prefix) / "bin/plantsync", "--help"], capture_output=True, text=True, check=False, timeout=60
    )

    assert result.returncode == 0, result.stderr
    assert "demo" in result.stdout


def test_the_python_versions_are_the_same_everywhere(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]

    assert project["requires-python"] == ">=3.11,<3.13"
    assert [c[-4:] for c in project["classifiers"] if "Python :: 3." in c] == ["3.11", "3.12"]
    assert "(3, 11) <= sys.version_info[:2] <= (3, 12)" in (root / "bin/environment").read_text()


def test_the_lock_pins_what_the_project_declares(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())
    declared = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    lock = (root / "requirements.lock").read_text()

    missing = [line for line in declared if f"\n{line.split('=')[0].rstrip('><=')}==" not in f"\n{lock}"]

    assert missing == []


def test_every_dependency_is_imported(root):
    by_another = {"arro3-core", "pg8000", "tzdata"}  # By arro3-io, sqlalchemy and zoneinfo.
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    declared = {line.split("=")[0].rstrip("><") for line in project["dependencies"]}
    sources = "\n".join(path.read_text() for room in ROOMS for path in (root / room).rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", sources, re.MULTILINE))
    providers = importlib.metadata.packages_distributions()

    used = {name.lower().replace("_", "-") for module in imported for name in providers.get(module, [])}

    assert declared - used - by_another == set()


def test_every_pin_of_the_lock_has_a_hash(root):
    pins = (root / "requirements.lock").read_text().split("\n")
    blocks = "\n".join(line for line in pins if not line.lstrip().startswith("#")).replace("\\\n", "").splitlines()

    assert blocks
    assert [block for block in blocks if block and "--hash=sha256:" not in block] == []


def test_this_environment_is_the_locked_one(root):
    lock = (root / "requirements.lock").read_text()
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    names = [line.split("=")[0].rstrip("><") for line in project["dependencies"]]

    assert [name for name in names if f"\n{name}=={importlib.metadata.version(name)} " not in f"\n{lock}"] == []
