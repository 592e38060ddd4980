"""The rooms: dataflows -> sinks -> canonical, and processors that know only what events mean."""

from __future__ import annotations

import ast

import pytest

PROCESSOR = "dataflows/processors/{}.py"


def test_every_import_contract_is_kept(make):
    result = make("check-imports")

    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        (PROCESSOR, "import bytewax.operators", "processors know no engine, broker, database or sink"),
        (PROCESSOR, "import confluent_kafka", "processors know no engine, broker, database or sink"),
        (PROCESSOR, "import duckdb", "processors know no engine, broker, database or sink"),
        (PROCESSOR, "import sqlite3", "processors know no engine, broker, database or sink"),
        (PROCESSOR, "import sinks.commit_log", "processors know no engine, broker, database or sink"),
        (PROCESSOR, "import time", "processors import no clock, chance, environment or network"),
        ("sinks/{}.py", "import bytewax", "sinks know no engine"),
        ("sinks/{}.py", "import dataflows.items", "A room imports only rooms to its right"),
        ("canonical/{}.py", "import sinks.commit_log", "A room imports only rooms to its right"),
        ("canonical/{}.py", "import duckdb", "canonical knows no engine, broker or database"),
        ("dataflows/{}.py", "import tests.architecture.documentation", "nothing imports tests or benchmarks"),
    ],
)
def test_a_forbidden_import_fails_the_check(make, project_copy, file, line, contract):
    (project_copy / file.format("intruder")).write_text(f"{line}\n")

    result = make("check-imports")

    assert result.returncode != 0
    assert any(contract in text and text.endswith("BROKEN") for text in result.stdout.splitlines()), result.stdout


def test_an_import_by_way_of_another_file_fails_the_check(make, project_copy):
    (project_copy / "dataflows/go_between.py").write_text("import bytewax\n")
    (project_copy / PROCESSOR.format("intruder")).write_text("import dataflows.go_between\n")

    result = make("check-imports")

    assert result.returncode != 0
    assert "dataflows.processors.intruder -> dataflows.go_between" in result.stdout


def test_processors_import_only_canonical_and_each_other(root):
    foreign = [
        f"{path.name}:{node.lineno} {name}"
        for path in (root / "dataflows/processors").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _imported(node)
        if name.partition(".")[0] in {"dataflows", "sinks"} and not name.startswith("dataflows.processors")
    ]

    assert foreign == []


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            return [f"{node.module}.{alias.name}" for alias in node.names]
    return []
