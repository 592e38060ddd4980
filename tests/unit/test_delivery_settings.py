"""Settings of ERPs: told with their lines, secrets fetched and never shown, every key on the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from dataflows import settings
from dataflows.processors.delivery.policy import DeliveryPolicy
from dataflows.settings.delivery import ErpSection
from sinks.erp.settings import D365Settings, DropSettings, OracleSettings, SapSettings

PAGE = Path(__file__).parents[2] / "docs/settings.md"
KINDS = {"sap": SapSettings, "oracle": OracleSettings, "d365": D365Settings, "drop": DropSettings}
BEGIN = 'landing = "l"\nplants = ["shipped:plant_a"]\n[erps.s4]\n'
SAP = '[erps.s4.adapter]\nkind = "sap"\nbase_url = "https://s4.example.com"\nuser = "u"\n'


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("S4_PASSWORD", "geheim")

    def write(text: str) -> Path:
        path = tmp_path / "plantsync.toml"
        path.write_text(text)
        return path

    return write


def test_an_erp_has_defaults_and_its_secret_comes_from_where_it_lies(file, tmp_path):
    (tmp_path / "word").write_text("geheim2\n")
    for place, secret in (('{ env = "S4_PASSWORD" }', "geheim"), ('{ file = "word" }', "geheim2")):
        loaded = settings.load(file(BEGIN + SAP + f"password = {place}"))
        erp = loaded.erps["s4"]

        assert isinstance(erp.adapter, SapSettings)
        assert isinstance(erp.adapter.password, SecretStr)
        assert erp.adapter.password.get_secret_value() == secret
        assert secret not in repr(loaded)
        assert secret not in loaded.model_dump_json()


def test_a_section_without_numbers_is_the_policy_without_arguments(file):
    erp = settings.load(file(BEGIN + SAP + 'password = "x"')).erps["s4"]

    assert erp.policy(bulk_max=50) == DeliveryPolicy()


def test_every_number_reaches_the_policy(file):
    text = "rate_per_s = 2.5\nbulk_max = 20\nsettle_s = 70\nheld_max = 9\n"
    policy = settings.load(file(BEGIN + text + SAP + 'password = "x"')).erps["s4"].policy(bulk_max=12)

    assert (policy.rate_milli, policy.bulk_max, policy.settle_us, policy.held_max) == (2500, 12, 70_000_000, 9)


@pytest.mark.parametrize(
    ("adapter", "window"),
    [
        ('kind = "oracle"\nuser = "u"\npassword = "x"', 8),
        ('kind = "oracle"\nuser = "u"\npassword = "x"\nhistory_path = "/history"', 200),
        ('kind = "d365"\ncompany = "C"', 8),
        ('kind = "d365"\ncompany = "C"\nmessages_path = "/messages"', 200),
    ],
)
def test_the_window_is_small_where_nobody_can_be_asked(file, adapter, window):
    oauth = 'token_url = "https://login.example.com"\nclient_id = "c"\nclient_secret = "x"'
    place = '[erps.s4.adapter]\nbase_url = "https://erp.example.com"\n'
    text = BEGIN + place + adapter + (f"\n[erps.s4.adapter.oauth]\n{oauth}" if "d365" in adapter else "")
    policy = settings.load(file(text)).erps["s4"].policy(bulk_max=1)

    assert policy.window_max == window
    assert (policy.order_window_max == 1) == (window == 8)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BEGIN + "ratee = 1\n" + SAP + 'password = "x"', "plantsync.toml:4: erps.s4.ratee: unknown key"),
        (BEGIN + SAP + "password = { env = 'NONE' }", "password: the environment variable NONE is not set"),
        (BEGIN + SAP + "password = { file = 'none' }", "password: none: No such file or directory"),
        (BEGIN + "settle_s = 1\n" + SAP + 'password = "x"', "settle_s is shorter than lease_s"),
        (BEGIN + "settle_s = 60\n" + SAP + 'password = "x"', "a call is given up after 60 s"),
        (BEGIN + "order_window_max = 300\n" + SAP + 'password = "x"', "order_window_max is above window_max"),
        (BEGIN, "plantsync.toml:3: erps.s4.adapter: required, and not set"),
        (BEGIN.replace("s4", '"a b"'), "erps.a b"),
    ],
)
def test_a_problem_is_told_with_its_place(file, text, problem):
    said = "\n".join(map(str, settings.problems(file(text))))

    assert problem in said


def test_paths_of_a_drop_are_beside_the_settings_file(file, tmp_path):
    text = BEGIN + '[erps.s4.adapter]\nkind = "drop"\nfolder = "in"\nacknowledgements = "ack"\n'
    adapter = settings.load(file(text)).erps["s4"].adapter

    assert isinstance(adapter, DropSettings)
    assert (adapter.folder, adapter.acknowledgements) == (tmp_path / "in", tmp_path / "ack")


def adapter_rows() -> list[str]:
    """The line that the page has for each key of an adapter, with the kinds that have it."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for kind, model in KINDS.items():
        for name, field in model.model_fields.items():
            if name != "kind":
                default = "required" if field.is_required() else _shown(field.default)
                rows.setdefault((name, default, field.description or ""), []).append(kind)
    return [
        f"| {', '.join(kinds)} | `{name}` | {default} | {words} |" for (name, default, words), kinds in rows.items()
    ]


def _shown(value: object) -> str:
    if value is None or value in ("", {}):
        return ""
    if isinstance(value, tuple) and not isinstance(value[0], str):
        return "setup, machine, labour"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def test_the_page_has_every_key_of_an_adapter():
    written = re.findall(r"^\| [a-z0-9, ]+ \| `\w+` \|.*\|$", PAGE.read_text("utf-8"), re.MULTILINE)

    assert written == adapter_rows()


def test_the_sections_keys_are_those_of_the_policy():
    ours = {re.sub("_s$", "_us", name) for name in ErpSection.model_fields} - {"adapter", "rate_per_us", "end_wait_us"}
    ours -= {"residency"}  # of the postings flow

    assert ours == set(DeliveryPolicy.__dataclass_fields__) - {"rate_milli", "in_turn"}
