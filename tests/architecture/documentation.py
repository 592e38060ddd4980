"""The documentation is true: its commands can be typed, its links and paths lead somewhere.

``make check`` runs this over README.md, CHANGELOG.md and docs/. How to write what it can check:

- a fence named ``sh`` holds commands, one a line (``\\`` continues); a fence named ``console`` holds a
  transcript, whose lines after ``$ `` are commands; any other fence is text and is not looked at;
- ``make`` targets must exist; ``plantsync`` commands must parse: subcommand, options, choices, and
  arguments that are required or too many. A value in CAPITALS stands for one the reader puts in;
- inline code that starts with ``make`` or ``plantsync`` must name a target, or a subcommand and its options;
- a path into one of the project's folders, in a command or as inline code, must exist; globs must match;
- a relative link must lead to a file, and its anchor to a heading.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.exceptions import TyperException
from typer.main import get_command

ROOT = Path(__file__).parents[2]
FOLDERS = {".ci", "benchmarks", "bin", "canonical", "dataflows", "deploy", "docs", "sinks", "tests"}
PROGRAMS = {"cat", "cd", "cp", "curl", "docker", "duckdb", "export", "git", "head", "kill", "ls", "mkdir", "mv", "uv"}
"""What a reader's machine may be asked to have besides plantsync, make and Python; their arguments are theirs."""

FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*([\w-]*)")
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
PATH = re.compile(r"^[\w.*-]+(/[\w.*-]+)*/?$")
TARGET = re.compile(r"^([\w-]+):(?!=)", re.MULTILINE)
HEADING = re.compile(r"^#+\s+(.*?)\s*#*$", re.MULTILINE)


def cli() -> Any:
    """Return the command line as its command object."""
    return get_command(importlib.import_module("dataflows.cli").app)


def documents(root: Path) -> list[Path]:
    """Return the documents a reader is sent to."""
    return [*sorted(root.glob("*.md")), *sorted(root.glob("docs/**/*.md"))]


def faults(path: Path, text: str, root: Path = ROOT, command: Any = None) -> list[str]:
    """Return what is not true in the text of one document, as ``file:line: what``."""
    name = path.relative_to(root)
    found = []
    for line, kind, words in _parts(text):
        if kind == "link":
            wrong = _link(words, path, text)
        elif kind == "code":
            wrong = _inline(words, root, command)
        elif kind == "fence":
            wrong = [f"a fence named {words} is not checked; name it sh, or console for a transcript"]
        else:
            wrong = _line(words, root, command)
        found += [f"{name}:{line}: {fault}" for fault in wrong]
    return found


def undocumented(root: Path = ROOT) -> list[str]:
    """Return how docs/dependencies.md differs from the dependencies pyproject.toml declares: one line each."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    declared = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = [re.split(r"[^\w.-]", requirement)[0] for requirement in declared]
    page = (root / "docs/dependencies.md").read_text()
    lines = Counter(re.findall(r"^\| (?!name )([a-z][a-z0-9.-]+) \|", page, re.MULTILINE))
    return [
        *(
            f"docs/dependencies.md: no line for {name}, which pyproject.toml declares"
            for name in names
            if not lines[name]
        ),
        *(f"docs/dependencies.md: a line too many for {name}" for name, n in lines.items() if n > (name in names)),
    ]


def _parts(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield (line, kind, words) of what can be checked: command, code, link, and a fence that cannot."""
    fence = language = pending = ""
    for number, line in enumerate(text.splitlines(), 1):
        mark = FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2]:
                fence = ""
            elif language == "sh" or (language == "console" and (pending or line.lstrip().startswith("$ "))):
                words = pending + line.strip().removeprefix("$ ")
                pending = words[:-1] if words.endswith("\\") else ""
                if not pending:
                    yield number, "command", words
        elif mark:
            fence, language = mark[1], mark[2]
            if language in {"bash", "shell", "zsh", "shell-session"}:
                yield number, "fence", language
        else:
            for match in INLINE.finditer(line):
                yield number, "code", match[1]
            for match in LINK.finditer(INLINE.sub("", line)):
                yield number, "link", match[1]


def _line(line: str, root: Path, command: Any) -> list[str]:
    """Return the faults of one line of a shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        tokens = list(lexer)
    except ValueError as error:
        return [f"`{line}` is not a command: {error}"]
    found, words, redirected = [], [], False
    for token in [*tokens, ";"]:
        if set(token) <= set(";|&()"):
            found += _command(words, root, command)
            words = []
        elif set(token) <= set("<>"):
            redirected = True
        elif redirected:
            redirected = False
        else:
            words.append(token)
    return found


def _command(words: list[str], root: Path, command: Any, *, whole: bool = True) -> list[str]:
    """Return the faults of one command; ``whole``: its required arguments must be there too."""
    while words and re.match(r"^\w+=", words[0]):
        words = words[1:]
    if not words:
        return []
    program, *arguments = words
    found = [fault for word in words for fault in _missing(word, root)]
    match program.removeprefix(".venv/bin/"):
        case "make":
            targets = set(TARGET.findall((root / "Makefile").read_text()))
            named = [word for word in arguments if not word.startswith("-") and "=" not in word]
            return found + [f"`make {word}`: the Makefile has no such target" for word in named if word not in targets]
        case "plantsync":
            return found + _plantsync(arguments, command, whole=whole)
        case "python" | "python3":
            module = arguments[1] if arguments[:1] == ["-m"] and len(arguments) > 1 else None
            if module and importlib.util.find_spec(module.partition(".")[0]) is None:
                found.append(f"`python -m {module}`: there is no such module")
            return found
        case other if other in PROGRAMS or (root / other).is_file():
            return found
    return [*found, f"`{program}` is not a program this check knows"]


def _plantsync(arguments: list[str], command: Any, *, whole: bool) -> list[str]:
    """Return the faults of a plantsync command, parsed as the command line would and never run."""
    title = "plantsync"
    try:
        command = command or cli()
        context = command.context_class(command, info_name=title)
        while True:
            values, rest, _ = command.make_parser(context).parse_args(args=list(arguments))
            wrong = _values(command.get_params(context), values, whole=whole)
            if wrong or values.get("help") or not hasattr(command, "get_command"):
                break
            if not rest:
                return []
            name, *arguments = rest
            command = command.get_command(context, name)
            if command is None:
                return [f"`{title} {name}`: there is no such command"]
            title += f" {name}"
            context = command.context_class(command, info_name=name, parent=context)
    except TyperException as error:
        return [f"`{title}`: {error}"]
    except (ImportError, AttributeError) as error:
        return [f"`{title}` cannot be checked, since dataflows.cli does not load: {error}"]
    if rest and not wrong and not values.get("help"):
        wrong = [f"unexpected {' '.join(rest)}"]
    return [f"`{title}`: {fault}" for fault in wrong]


def _values(parameters: list[Any], values: dict[str, Any], *, whole: bool) -> list[str]:
    """Return which required values are missing and which are none of their parameter's choices."""
    found = []
    for parameter in parameters:
        value = values.get(parameter.name)
        given = [v for v in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(v, str)]
        if whole and parameter.required and not given and not values.get("help"):
            found.append(f"{parameter.opts[0]} is required")
        choices = getattr(getattr(parameter, "type_descriptor", None), "choices", None)
        if choices:
            known = {str(getattr(choice, "value", choice)) for choice in choices}
            found += [f"{v} is none of {', '.join(sorted(known))}" for v in given if v not in known and not v.isupper()]
    return found


def _inline(code: str, root: Path, command: Any) -> list[str]:
    """Return the faults of inline code: a command by its name, or a path."""
    if code.startswith(("make ", "plantsync ")):
        return _command(code.split(), root, command, whole=False)
    return _missing(code, root)


def _missing(word: str, root: Path) -> list[str]:
    """Return a fault if the word is a path into the project that is not there."""
    path = word.partition(":")[0].removeprefix("./")
    if not PATH.match(path) or "/" not in path or path.partition("/")[0] not in FOLDERS:
        return []
    there = any(root.glob(path)) if "*" in path else (root / path).exists()
    return [] if there else [f"`{path}` does not exist"]


def _link(target: str, path: Path, text: str) -> list[str]:
    """Return a fault if a relative link leads nowhere."""
    if re.match(r"^[a-z][a-z0-9+.-]*:", target):
        return []
    file, _, anchor = target.partition("#")
    destination = path.parent / file if file else path
    if not destination.exists():
        return [f"link to {target}: there is no such file"]
    if anchor and destination.suffix == ".md":
        headings = HEADING.findall(destination.read_text() if file else text)
        if anchor not in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}:
            return [f"link to {target}: there is no such heading"]
    return []


def main() -> int:
    """Print every fault of the project's documentation; 0 if there is none."""
    found = [fault for path in documents(ROOT) for fault in faults(path, path.read_text())] + undocumented()
    for fault in found:
        print(fault, file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
