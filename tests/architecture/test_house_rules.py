"""House rules that no linter knows: size, names, nothing unfinished, nothing of one machine or one network."""

from __future__ import annotations

import re
from pathlib import PurePath

import pytest

ROOMS = ("canonical", "sinks", "dataflows")
FILE_BYTES_MAX = 24 * 1024
NAMELESS = {
    "base",
    "common",
    "handler",
    "handlers",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "util",
    "utils",
}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
PLACES = {
    "a folder of one machine": re.compile(r"(?<![\w.])/(home/\w|root/|tmp/\w/|Users/\w|work/\w|workspace/\w)"),
    "a package registry": re.compile(r"https?://\S+/simple\b|(index-url|registry)\W+https?://"),
    "a package mirror": re.compile(r"https?://[^/\s]*(artifactory|nexus|mirror)[^/\s]*/", re.IGNORECASE),
    "an option that names an index": re.compile(r"--(extra-index-url|index-url|find-links)\b"),
}
PROSE_AND_CODE = {"", ".lock", ".md", ".py", ".sh", ".toml", ".yaml", ".yml"}
HERE = PurePath("tests/architecture/test_house_rules.py")  # It spells out what it forbids.


@pytest.fixture(scope="module")
def lines(root, project_files) -> list[tuple[str, str]]:
    """Every line of prose and code, with its place."""
    return [
        (f"{path}:{number}:", line.strip())
        for path in project_files
        if path.suffix in PROSE_AND_CODE and path != HERE
        for number, line in enumerate((root / path).read_text(encoding="utf-8").splitlines(), 1)
    ]


def _in_rooms(path: PurePath) -> bool:
    return path.parts[0] in ROOMS and path.suffix == ".py"


def test_no_file_of_the_packages_is_large(root, project_files):
    large = [str(path) for path in project_files if _in_rooms(path) and (root / path).stat().st_size > FILE_BYTES_MAX]

    assert large == []


def test_every_file_has_a_noun_for_a_name(project_files):
    nameless = [
        str(path) for path in project_files if path.suffix == ".py" and {*path.parent.parts, path.stem} & NAMELESS
    ]

    assert nameless == []


def test_nothing_is_unfinished(lines):
    unfinished = [f"{place} {line}" for place, line in lines if UNFINISHED.search(line)]

    assert unfinished == []


@pytest.mark.parametrize("place", PLACES)
def test_no_file_names(lines, place):
    found = [f"{where} {line}" for where, line in lines if PLACES[place].search(line)]

    assert found == []


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("a folder of one machine", "open('/home/me/log.txt')"),
        ("a folder of one machine", "cd /work/plantsync"),
        ("a package registry", "pip install -i https://index.example/simple"),
        ("a package registry", "registry=https://index.example/"),
        ("a package mirror", "https://nexus.plant.example/repository/x"),
        ("an option that names an index", "pip install --index-url x"),
    ],
)
def test_the_patterns_find_what_they_are_for(place, line):
    assert PLACES[place].search(line)
