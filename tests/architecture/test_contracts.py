"""``make check`` notices a contract that no longer keeps its word."""

from __future__ import annotations

import re

import pytest


def test_the_committed_contracts_pass(make):
    result = make("check-contracts")

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"\n    lot: Text = Field\([^\n]*\)", ""),
        (r"\n    good: Thousandths = Field\(", "\n    good: str = Field("),
    ],
    ids=["removed", "retyped"],
)
def test_a_contract_that_loses_or_retypes_a_field_fails_the_check(make, project_copy, pattern, replacement):
    contract = project_copy / "canonical/contracts/event.py"
    text, changed = re.subn(pattern, replacement, contract.read_text())
    assert changed
    contract.write_text(text)

    result = make("check-contracts")

    assert result.returncode != 0
