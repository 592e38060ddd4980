"""The data dictionary is what the store says of itself, and the store says something of everything (M47)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dataflows.dictionary import Catalogue, catalogue, page, problems


@pytest.fixture(scope="module")
def found() -> Catalogue:
    return catalogue()


def test_all_is_described_and_the_page_is_what_is_described(found):
    assert problems(found) == []


def test_what_has_no_comment_is_named(found, tmp_path):
    view, table = found.relations["conservation"], found.relations["gap"]
    bare = {
        "conservation": replace(view, fields=[*view.fields[:-1], replace(view.fields[-1], comment="")]),
        "gap": replace(table, comment=""),
    }
    changed = replace(found, relations={**found.relations, **bare}, functions=[("units", ["thousandths"], "")])
    (tmp_path / "page.md").write_text(page(changed), "utf-8")
    named = [line.partition(" ")[0] for line in problems(changed, tmp_path / "page.md")]
    assert named == ["gap", "conservation.balanced", "units()"]


def test_a_page_that_says_something_else_is_stale(found, tmp_path):
    (tmp_path / "page.md").write_text(page(found) + "\n", "utf-8")
    assert problems(found, tmp_path / "page.md") == [
        "page.md: not what the store says; run python -m dataflows.dictionary --write"
    ]


def test_a_view_tells_what_it_reads(found):
    assert found.relations["genealogy"].reads == ["production", "usage"]
    assert found.relations["posting_outcome"].reads == ["posting", "receipt"]
