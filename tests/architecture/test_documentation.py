"""The documentation is true, and the check that says so can fail."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import pytest
import typer
from typer.main import get_command

from tests.architecture.documentation import documents, faults, undocumented


class Flow(StrEnum):
    CONFIRMATIONS = "confirmations"


@pytest.fixture(scope="module")
def command():
    """A command line as plantsync's own is built, with one command of each kind."""
    app = typer.Typer()
    letters = typer.Typer()
    app.add_typer(letters, name="dead-letters")

    @app.command()
    def run(flow: Flow, config: Annotated[str, typer.Option("--config", "-c")] = "") -> None:
        raise AssertionError(flow, config)  # The check parses; it must never run anything.

    @app.command()
    def demo(*, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
        raise AssertionError(as_json)

    @letters.command()
    def show(number: int) -> None:
        raise AssertionError(number)

    return get_command(app)


@pytest.fixture
def check(root, command):
    return lambda text: faults(root / "README.md", text, root, command)


def test_the_documents_of_the_project_are_true(root):
    found = [fault for path in documents(root) for fault in faults(path, path.read_text())]

    assert found == []


def test_the_readme_is_among_them(root):
    assert root / "README.md" in documents(root)


def test_every_dependency_has_its_line(root):
    assert undocumented(root) == []


@pytest.mark.parametrize(
    "line",
    [
        "make test",
        "make PYTHON=python3.12 -j2 test  # any comment",
        "git clone https://example.org/plantsync && cd plantsync",
        "plantsync demo --json | head -5 > out.txt",
        "PLANTSYNC_X=1 .venv/bin/plantsync run confirmations -c FILE",
        "plantsync run FLOW --config=plant.toml",
        "plantsync dead-letters show 7",
        "plantsync run --help",
        "plantsync --help",
        ".venv/bin/python -m tests.architecture.documentation",
        "cat canonical/policy.py",
    ],
)
@pytest.mark.parametrize("fence", ["```sh\n{}\n```\n", "```console\n$ {}\nmake believe\n```\n"])
def test_a_true_command_passes(check, fence, line):
    assert check(fence.format(line)) == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("make tset", "`make tset`: the Makefile has no such target"),
        ("cd x && make demo bnech", "`make bnech`: the Makefile has no such target"),
        ("plantsync dmeo", "`plantsync dmeo`: there is no such command"),
        ("plantsync demo --jsn", "`plantsync demo`: No such option: --jsn"),
        ("plantsync demo extra", "`plantsync demo`: unexpected extra"),
        ("plantsync run", "`plantsync run`: flow is required"),
        ("plantsync run confirmation", "`plantsync run`: confirmation is none of confirmations"),
        ("plantsync run confirmations --config", "`plantsync run`: Option '--config' requires an argument."),
        ("plantsync dead-letters shwo 7", "`plantsync dead-letters shwo`: there is no such command"),
        ("plantsnyc demo", "`plantsnyc` is not a program this check knows"),
        ("python -m benchmrks", "`python -m benchmrks`: there is no such module"),
        ("cat canonical/polcy.py", "`canonical/polcy.py` does not exist"),
        ("ls 'docs", "`ls 'docs` is not a command: No closing quotation"),
    ],
)
@pytest.mark.parametrize("fence", ["# T\n\n```sh\n{}\n```\n", "# T\n\n```console\n$ {}\nmake believe\n```\n"])
def test_a_broken_command_is_found_with_its_line(check, fence, line, fault):
    (found,) = check(fence.format(line))

    assert found.startswith(f"README.md:4: {fault}")


def test_a_continued_command_is_one_command(check):
    (found,) = check("```sh\nplantsync run confirmations \\\n  --confg x\n```\n")

    assert "No such option: --confg" in found


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("See `make tset`.", "`make tset`: the Makefile has no such target"),
        ("See `plantsync dmeo`.", "`plantsync dmeo`: there is no such command"),
        ("See `sinks/nowhere.py`.", "`sinks/nowhere.py` does not exist"),
        ("See `canonical/nothing/*.toml`.", "`canonical/nothing/*.toml` does not exist"),
        ("See [this](docs/nowhere.md).", "link to docs/nowhere.md: there is no such file"),
        ("See [this](docs/architecture.md#nowhere).", "link to docs/architecture.md#nowhere: there is no such heading"),
        ("```bash\nmake test\n```", "a fence named bash is not checked; name it sh, or console for a transcript"),
    ],
)
def test_a_broken_mention_is_found(check, text, fault):
    assert check(text) == [f"README.md:1: {fault}"]


@pytest.mark.parametrize(
    "text",
    [
        "See `make test`, `plantsync run`, `canonical/policy.py`, `sinks/`, `docs/decisions/*.md`, `a/b` and `demo/`.",
        "See [this](docs/architecture.md#processors), [that](https://example.org/x) and [below](#below).\n\n## Below\n",
        "```text\nmake tset\n```\n",
    ],
)
def test_a_true_mention_passes(check, text):
    assert check(text) == []


def test_make_check_fails_when_a_readme_command_is_broken(make, project_copy):
    with (project_copy / "README.md").open("a") as readme:
        readme.write("\n```sh\nmake tset\n```\n")

    result = make("check-docs")

    assert result.returncode != 0
    assert "`make tset`: the Makefile has no such target" in result.stderr
