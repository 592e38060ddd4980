"""Settings: every problem with its line, the environment over the file, secrets never shown."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel, TypeAdapter

from dataflows import settings
from dataflows.collectors.signal_settings import SignalRule
from dataflows.section import Section
from dataflows.settings import Settings, SettingsInvalid
from dataflows.settings.collect import AnyCollector, CollectSection
from dataflows.settings.kafka import KafkaSection
from dataflows.settings.store import StoreSection
from sinks.analytics.store import StoreConfig
from sinks.kafka_settings import KafkaSettings

MINIMAL = 'landing = "landing"\nplants = ["shipped:plant_a"]\n'
KAFKA = 'landing = "landing"\nplants = ["shipped:plant_a"]\n[log]\nkind = "kafka"\n[kafka.properties]\n'
LINE = '[collect.line]\nprotocol = "shdr"\n'
PAGE = Path(__file__).parents[2] / "docs/settings.md"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No setting of the machine reaches a test."""
    for name in ("PLANTSYNC_KAFKA", "PLANTSYNC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def file(tmp_path):
    """Write a settings file and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "plantsync.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def _said(path: Path) -> list[str]:
    return [str(problem).replace(f"{path.parent}/", "") for problem in settings.problems(path)]


def test_paths_are_beside_the_settings_file_and_the_rest_has_defaults(file, tmp_path):
    loaded = settings.load(file(MINIMAL))

    assert loaded.landing == tmp_path / "landing"
    assert loaded.log.path == tmp_path / "state/plantsync.db"
    assert loaded.store.published == tmp_path / "analytics.duckdb"
    assert loaded.pace.commit_interval_s == 0.5
    assert [plant.plant for plant in loaded.mappings()] == ["A"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("plants = [", "plantsync.toml:1: not TOML: invalid value (nothing else was checked)"),
        ("landing = 'x'", "plantsync.toml:1: plants: required, and not set"),
        (MINIMAL + "lannding = 1", "plantsync.toml:3: lannding: unknown key (did you mean landing?)"),
        (
            MINIMAL + "[log]\nkind = 'sqlit'",
            "plantsync.toml:4: log.kind: 'sqlit' is unknown here (did you mean sqlite?)",
        ),
        (
            MINIMAL + "[pace]\nsettle_s = -1",
            "plantsync.toml:4: pace.settle_s: input should be greater than or equal to 0",
        ),
        (
            "landing = 'x'\nplants = ['shipped:plant_z']",
            (
                "plantsync.toml:2: plants.0: plant 'plant_z' is not shipped "
                "(one of plant_a, plant_b, plant_c, plant_m, plant_p)"
            ),
        ),
        (
            "landing = 'x'\nplants = [\n  'shipped:plant_a',\n  'no.toml',\n]",
            "plantsync.toml:4: plants.1: there is no file no.toml (the path is relative to the settings file)",
        ),
        (
            "plants = ['shipped:plant_a']",
            (
                "plantsync.toml:1: plants.0: has nothing to be read from here "
                "(set landing, and input.folder in the mapping)"
            ),
        ),
        (
            "plants = []",
            'plantsync.toml:1: plants: no plant is named (such as ["plants/plant_a.toml"] or ["shipped:plant_a"])',
        ),
        (
            "landing = 'x'\nplants = ['shipped:plant_a', 'shipped:plant_a']",
            "plantsync.toml:2: plants.1: reads folder plant-a, as plants[0] does (each plant needs its own)",
        ),
        (
            MINIMAL + "[log]\nkind = 'kafka'",
            'plantsync.toml:1: kafka: required where log.kind is kafka (set kafka.properties."bootstrap.servers")',
        ),
        (
            KAFKA + "bootstrap.servers = 'b:1'\nsasl.password = { env = 'NOT_SET' }",
            (
                "plantsync.toml:7: kafka.properties.sasl.password: the environment variable NOT_SET is not set "
                "(set it where plantsync runs)"
            ),
        ),
        (
            KAFKA + "bootstrap.servers = 'b:1'\n'sasl.password' = { file = '/no/such/file' }",
            (
                "plantsync.toml:7: kafka.properties.sasl.password: /no/such/file: No such file or directory "
                "(the file holds the value and nothing else)"
            ),
        ),
        (
            KAFKA + "bootstrap.servers = 'b:1'\nacks = '1'",
            (
                "plantsync.toml:5: kafka: property acks is set by the commit log itself; remove it "
                "(docs/settings.md lists the keys)"
            ),
        ),
        (
            MINIMAL + "[store]\npath = 'a.duckdb'\npublished = './a.duckdb'",
            "plantsync.toml:5: store.published: is the store itself (name another file)",
        ),
        (
            MINIMAL + "[attribution]\nplants = ['A', 'Z']",
            "plantsync.toml:4: attribution.plants.1: no mapping is of plant Z (one of A)",
        ),
    ],
)
def test_a_problem_is_told_with_its_line_and_what_to_do(file, text, problem):
    assert _said(file(text)) == [problem]


def test_all_problems_are_told_together(file):
    said = _said(file("plants = ['no.toml']\n[log]\nknd = 'x'\n[pace]\nbatch_bytes = 1\nsettle_s = 'a'\n"))

    assert [line.split(": ")[1] for line in said] == ["plants.0", "log.knd", "pace.batch_bytes", "pace.settle_s"]


def test_a_problem_of_a_mapping_is_told_with_the_mapping_and_its_line(file, tmp_path):
    (tmp_path / "x.toml").write_text('plant = "X"\nformat = "jsn"\n[input]\nfolder = "x"\n')

    (said,) = _said(file("landing = 'l'\nplants = ['x.toml']"))

    assert said.startswith("x.toml:2: format: 'jsn' is unknown here")


def test_a_missing_file_is_a_problem(tmp_path):
    with pytest.raises(SettingsInvalid, match="name a settings file with --config"):
        settings.load(tmp_path / "none.toml")


def test_the_environment_takes_the_place_of_the_file(file, environment, tmp_path):
    environment.setenv("PLANTSYNC_PACE__COMMIT_INTERVAL_S", "0.25")
    environment.setenv("PLANTSYNC_PLANTS", '["shipped:plant_b"]')
    environment.setenv("PLANTSYNC_STORE__PATH", "elsewhere.duckdb")
    loaded = settings.load(file(MINIMAL + "[pace]\ncommit_interval_s = 9\nsettle_s = 1"))

    assert loaded.pace.commit_interval_s == 0.25
    assert loaded.pace.settle_s == 1
    assert [path.stem for path in loaded.plants] == ["plant_b"]
    assert loaded.store.path == tmp_path / "elsewhere.duckdb"


def test_a_problem_of_the_environment_names_the_variable(file, environment):
    environment.setenv("PLANTSYNC_PACE__COMMIT_INTERVAL_S", "soon")

    (said,) = _said(file(MINIMAL + "[pace]\ncommit_interval_s = 9"))

    assert said.startswith("environment variable PLANTSYNC_PACE__COMMIT_INTERVAL_S: pace.commit_interval_s: input")


def test_a_broker_may_be_named_by_one_variable(file, environment):
    environment.setenv("PLANTSYNC_KAFKA", "broker:9092")
    loaded = settings.load(file(KAFKA + "bootstrap.servers = 'other:1'\nclient.id = 'x'"))

    assert loaded.kafka is not None
    assert loaded.kafka.connection().properties == {"bootstrap.servers": "broker:9092", "client.id": "x"}


def test_properties_pass_through_as_text(file):
    text = KAFKA + "bootstrap.servers = 'b:1'\nenable.ssl.certificate.verification = false\n'linger.ms' = 20\n"
    loaded = settings.load(file(text))

    assert loaded.kafka is not None
    assert loaded.kafka.connection().properties == {
        "bootstrap.servers": "b:1",
        "enable.ssl.certificate.verification": "false",
        "linger.ms": "20",
    }


def test_a_secret_reaches_the_client_and_nobody_else(file, environment, tmp_path):
    environment.setenv("BROKER_USER", "geheim-user")
    (tmp_path / "password").write_text("geheim-file\n")
    text = (
        f"bootstrap.servers = 'b:1'\nsasl.username = {{ env = 'BROKER_USER' }}\nssl.key.password = 'geheim-literal'\n"
        f"sasl.password = {{ file = '{tmp_path}/password' }}\n"
    )
    loaded = settings.load(file(KAFKA + text))

    assert loaded.kafka is not None
    assert loaded.kafka.connection().properties == {
        "bootstrap.servers": "b:1",
        "sasl.username": "geheim-user",
        "sasl.password": "geheim-file",
        "ssl.key.password": "geheim-literal",
    }
    for shown in (repr(loaded), str(loaded), loaded.model_dump_json(), str(loaded.model_dump(mode="json"))):
        assert "geheim" not in shown


def test_no_problem_shows_a_secret(file, environment):
    environment.setenv("SECRET", "geheim")
    text = "acks = '1'\nsasl.password = { env = 'SECRET' }\nssl.key.password = 'geheim'\n"

    said = "\n".join(_said(file(KAFKA + text)))

    assert "bootstrap.servers" in said
    assert "geheim" not in said


def test_a_secret_in_the_file_is_warned_of(file):
    path = file(KAFKA + "bootstrap.servers = 'b:1'\nsasl.password = 'geheim'\nssl.key.location = '/k.pem'\n")

    assert settings.problems(path) == []
    (warning,) = settings.warnings(path)
    assert (warning.line, warning.key) == (7, "kafka.properties.sasl.password")
    assert "geheim" not in str(warning)


ELSEWHERE = {"properties", "group"}
"""Keys of the section kafka that the commit log has no default for, or does not know."""


def test_sections_have_the_defaults_of_what_they_configure():
    ours = {name: field.default for name, field in KafkaSection.model_fields.items() if name not in ELSEWHERE}
    theirs = {field.name: field.default for field in dataclasses.fields(KafkaSettings) if field.name != "properties"}
    assert ours == theirs

    store = StoreSection.model_fields
    assert [field.name for field in dataclasses.fields(StoreConfig)] == [name for name in store if name != "residency"]
    for field in dataclasses.fields(StoreConfig):
        assert field.default is dataclasses.MISSING or field.default == store[field.name].default


def _rows(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Yield the line that the page has for each key."""
    for name, field in model.model_fields.items():
        section = next((s for s in Section.__subclasses__() if s in _types(field.annotation)), None)
        if section is not None:
            yield from _rows(section, f"{path}{name}.")
            continue
        default = "required" if field.is_required() else f"`{_toml(field.default)}`"
        if field.default is None or field.default == {}:
            default = ""
        yield f"| `{path}{name}` | {default} | {field.description} |"


def _types(annotation: object) -> list[object]:
    return [annotation, *getattr(annotation, "__args__", ())]


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str | Path) else str(value)


def test_the_page_has_every_key_with_its_default_and_no_other():
    written = re.findall(r"^\| `[\w.]+` \|.*\|$", PAGE.read_text("utf-8"), re.MULTILINE)

    assert written == list(_rows(Settings))


def test_the_page_of_collectors_has_every_key_with_its_default_and_no_other():
    sections = get_args(AnyCollector) or (AnyCollector,)
    text = (PAGE.parent / "collect.md").read_text("utf-8")
    for section in sections:
        (protocol,) = get_args(section.model_fields["protocol"].annotation)
        chapter = text.partition(f"\n## {protocol}: ")[2].partition("\n## ")[0]
        assert re.findall(r"^\| `[\w.]+` \|.*\|$", chapter, re.MULTILINE) == list(_rows(section))
    chapter = text.partition("\n## signals: ")[2].partition("\n## ")[0]
    example = tomllib.loads(chapter.partition("```toml")[2].partition("```")[0])["collect"]["lathe-1"]
    assert len(TypeAdapter(CollectSection).validate_python(example).signals) == 2
    for rule in get_args(get_args(SignalRule)[0]):
        (name,) = get_args(rule.model_fields["rule"].annotation)
        part = chapter.partition(f'\n### rule = "{name}"\n')[2].partition("\n### ")[0]
        assert re.findall(r"^\| `[\w.]+` \|.*\|$", part, re.MULTILINE) == list(_rows(rule))


SFTP = 'protocol = "sftp"\nhost = "h"\nuser = "u"\nknown_hosts = "k"\nkey_file = "i"\ninto = "drop"\n'


@pytest.mark.parametrize(
    ("plant", "text", "told"),
    [
        ('folder = "drop"', f'landing = "l"\n[collect.a]\n{SFTP}', ""),
        ('folder = "other"', f'landing = "l"\n[collect.a]\n{SFTP}', "collect.a.into: no plant reads folder drop"),
        ('collected = ["a"]', f"[collect.a]\n{SFTP}", "collect.a: is no input of a plant"),
        ('folder = "drop"', f'landing = "l"\n[collect.a]\n{SFTP}[collect.b]\n{SFTP}', "collect.a lands there too"),
    ],
)
def test_files_that_are_fetched_land_where_one_plant_reads_them(tmp_path, plant, text, told):
    mapping = f'plant = "S"\nformat = "json"\ndefault_type = "partial"\n[input]\n{plant}\n[fields]\nsource = "s"\n'
    (tmp_path / "plant.toml").write_text(mapping + 'seq = "n"\noccurred = "t"\ngood = "g"\n')
    path = tmp_path / "plantsync.toml"
    path.write_text(f'plants = ["plant.toml"]\n{text}')
    said = "\n".join(_said(path))
    assert told in said
    assert bool(told) == bool(said)


SIGNAL = '[[collect.line.signals]]\nitems = ["load"]\nrule = "deadband"\nwidth = 0.5\n'


@pytest.mark.parametrize(
    ("protocol", "mapped", "told"),
    [
        ('"mtconnect"\nurl = "http://a:5000"', 'seq = "seq"', ""),
        ('"mtconnect"\nurl = "http://a:5000"', 'seq = "sequence"', "numbers, so what is left out would be a gap"),
        ('"mtconnect"\nurl = "http://a:5000"', '[sequencing]\nmode = "arrival"', ""),
        ('"shdr"\nhost = "h"', 'seq = "n"', "plant S counts on the source's own numbers"),
        ('"mqtt"\nhost = "h"\ntopics = ["t"]', 'seq = "n"', "signals, signal_value and signal_at belong together"),
        ('"mqtt"\nhost = "h"\ntopics = ["t"]\nsignal_value = "v"\nsignal_at = "t"', 'seq = "n"', "would be a gap"),
        ('"sparkplug"\nhost = "h"', 'seq = "seq"', "signals: sparkplug has none (an edge node numbers its messages"),
        ('"webhook"\nport = 1', 'seq = "seq"', "signals: webhook has none (its records are events"),
        ('"shdr"\nhost = "h"', "width", "collect.line.signals.0.width: required, and not set"),
    ],
)
def test_nothing_is_left_out_of_what_a_source_numbers(tmp_path, protocol, mapped, told):
    rule = SIGNAL.replace("width = 0.5", "") if mapped == "width" else SIGNAL
    mapping = 'plant = "S"\nformat = "json"\ndefault_type = "partial"\n[input]\ncollected = ["line"]\n[fields]\n'
    fields = 'source = "s"\noccurred = "t"\ngood = "g"\n' + (mapped if mapped != "width" else 'seq = "n"')
    (tmp_path / "plant.toml").write_text(mapping + fields)
    path = tmp_path / "plantsync.toml"
    path.write_text(f'plants = ["plant.toml"]\n[collect.line]\nprotocol = {protocol}\n{rule}')
    said = "\n".join(_said(path))
    assert told in said
    assert bool(told) == bool(said)


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ("", "plants.0: reads collect.line, which is not there (add [collect.line])"),
        (f'{LINE}host = "h"\n{LINE.replace("line", "other")}host = "h"', "collect.other: no plant reads it"),
        (LINE, "collect.line.host: required, and not set"),
        (f'{LINE}host = "h"\nport = 0', "plantsync.toml:5: collect.line.port: input should be greater"),
        (LINE.replace("shdr", "smoke") + 'host = "h"', "collect.line"),
    ],
)
def test_collectors_and_the_plants_that_read_them_fit(tmp_path, sections, told):
    text = 'plant = "S"\nformat = "shdr"\n[input]\ncollected = ["line"]\n[shdr]\nsource = "M"\n'
    (tmp_path / "plant.toml").write_text(
        text + '[shdr.items]\ngood_counter = "parts"\n[sequencing]\nmode = "arrival"\n'
    )
    path = tmp_path / "plantsync.toml"
    path.write_text(f'plants = ["plant.toml"]\n{sections}\n')
    [problem] = _said(path)
    assert told in problem
