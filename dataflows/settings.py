"""Settings: one TOML file and the environment, every problem told at once, each with its line.

A variable ``PLANTSYNC_<SECTION>__<KEY>`` takes the place of the key in the file; lists and tables are
written as JSON. ``PLANTSYNC_KAFKA=host:port`` is short for the property ``bootstrap.servers``. Paths
are relative to the folder of the settings file, whoever names them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, cast

import pydantic_settings
from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from canonical import mapping
from canonical.mapping import PlantMapping, Problem
from canonical.mapping.problems import Finding, explained, refused, syntax_problem
from canonical.mapping.toml_lines import Key, key_lines
from canonical.plants import shipped
from dataflows.collect_settings import CollectorName, CollectSection, SpoolSection
from dataflows.collectors.sftp_settings import SftpCollector
from dataflows.delivery_settings import ErpName, ErpSection
from dataflows.gathering_settings import GatheringSection
from dataflows.kafka_settings import SECRET, KafkaSection
from dataflows.metrics_settings import MetricsSection
from dataflows.pins import Pin, pin_problems
from dataflows.posting_settings import PostingsSection, ReferenceSection
from dataflows.residency import Regions, residency_problems
from dataflows.section import ENVIRONMENT, Interval, Place, Section, beside
from dataflows.slo_settings import SHIPPED as SHIPPED_OBJECTIVES
from dataflows.slo_settings import AlertsSection, SloSection
from dataflows.tower_settings import TowerSection
from dataflows.traces_settings import TracesSection
from sinks.commit_log import PlantsyncError

PREFIX: Final = "PLANTSYNC_"
DELIMITER: Final = "__"
SHIPPED: Final = "shipped:"
PROPERTIES: Final = ("kafka", "properties")


class SettingsInvalid(PlantsyncError):
    """The settings cannot be used; ``problems`` holds every reason."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def _plant_file(value: object, info: ValidationInfo) -> object:
    """Return the path of a mapping file, or of one that is shipped."""
    if not isinstance(value, str):
        raise refused("not the name of a mapping file", 'such as "plants/plant_a.toml" or "shipped:plant_a"')
    if value.startswith(SHIPPED):
        known = {path.stem: path for path in shipped()}
        name = value.removeprefix(SHIPPED)
        if name not in known:
            raise refused(f"plant {name!r} is not shipped", f"one of {', '.join(known)}")
        return known[name]
    path = beside(Path(value), info)
    if not path.is_file():
        raise refused(f"there is no file {path}", "the path is relative to the settings file")
    return path


PlantFile = Annotated[Path, BeforeValidator(_plant_file)]


class LogSection(Section):
    """Where flows commit what they made."""

    kind: Literal["sqlite", "kafka"] = Field(default="sqlite", description="One file, or topics of a cluster.")
    path: Place = Field(default=Path("state/plantsync.db"), description="The file of `sqlite`.")
    busy_timeout_ms: int = Field(default=30_000, ge=1, description="Wait of a commit for other writers of that file.")


class StoreSection(Section):
    """The analytics store and the snapshot of it that is published."""

    path: Place = Field(default=Path("state/store.duckdb"), description="Opened by the analytics flow alone.")
    published: Place = Field(default=Path("analytics.duckdb"), description="Replaced as a whole, for readers.")
    publish_interval_s: Interval = Field(default=2.0, description="Shortest time between two publications.")
    hot_rows_max: int = Field(
        default=3_000_000, ge=100, description="Rows outside of sealed files; beyond, the oldest move into one."
    )
    sealed_days_max: int | None = Field(
        default=None, ge=1, le=36_500, description="Age at which sealed files are dropped; none: they are kept."
    )
    residency: Regions | None = Field(
        default=None, description="Regions whose plants it may hold; needed where a mapping names its region."
    )
    threads: int = Field(default=2, ge=1, le=1024, description="Threads of DuckDB.")
    memory_max_mb: int = Field(default=1024, ge=64, description="Memory of DuckDB.")


class PaceSection(Section):
    """When shards commit, and how they read."""

    commit_interval_s: Interval = Field(default=0.5, description="Time between two commits of a shard.")
    commit_share_max: float = Field(
        default=0.1, gt=0, le=1, description="Part of the time for commits while there is always more to read."
    )
    commit_interval_max_s: Interval = Field(default=10.0, description="Longest interval that this makes.")
    commit_interval_results_max: int = Field(
        default=20_000, ge=1, description="Results that end such an interval, where the sessions are fewer."
    )
    urgent_interval_s: Interval = Field(default=0.1, description="The same while a hold or a release waits.")
    commit_results_max: int = Field(default=1_000_000, ge=1, description="Results after which a shard commits at once.")
    commit_rows_max: int = Field(default=4_000_000, ge=1, description="The same of records that were read.")
    idle_wait_s: Interval = Field(default=0.05, description="Wait of a shard that has nothing to read.")
    outage_wait_max_s: Interval = Field(default=30.0, description="Longest wait between two tries in an outage.")
    vocabulary_max: int = Field(default=1_000_000, ge=1_000, description="Texts of a shard kept before unused ones go.")
    settle_s: float = Field(default=2.0, ge=0, le=86_400, description="A landed file is read when unchanged so long.")
    batch_bytes: int = Field(default=8_388_608, ge=4_096, le=67_108_864, description="Read at once from a file.")
    batch_rows_max: int = Field(default=50_000, ge=1, description="Records of them, where lines are short.")
    files_remembered_max: int = Field(
        default=10_000, ge=1, description="Contents remembered per folder, to know a file dropped again."
    )


class Settings(Section):
    """Everything plantsync is told."""

    landing: Place | None = Field(default=None, description="Folder below which the plants drop files.")
    plants: tuple[PlantFile, ...] = Field(
        description="Mapping files; `shipped:plant_a` is one of those that come with plantsync."
    )
    pins: dict[str, Pin] = Field(
        default={}, description="Version that a plant is held to: the beginning of its mapping's digest, by plant."
    )
    collect: dict[CollectorName, CollectSection] = Field(
        default={}, description="What plants say without being asked to write files or topics, by name."
    )
    spool: SpoolSection = SpoolSection.model_construct()
    log: LogSection = LogSection.model_construct()
    kafka: KafkaSection | None = Field(default=None, description="Needed where `log.kind` is kafka.")
    store: StoreSection = StoreSection.model_construct()
    pace: PaceSection = PaceSection.model_construct()
    metrics: MetricsSection = MetricsSection.model_construct()
    traces: TracesSection = TracesSection.model_construct()
    postings: PostingsSection = PostingsSection.model_construct()
    gathering: GatheringSection = GatheringSection.model_construct()
    reference: ReferenceSection | None = Field(default=None, description="Where the ERPs' data come from.")
    slo: tuple[SloSection, ...] = Field(
        default=SHIPPED_OBJECTIVES, description="Objectives; where some are named, no others hold."
    )
    alerts: AlertsSection = AlertsSection.model_construct()
    erps: dict[ErpName, ErpSection] = Field(default={}, description="The ERPs that postings are delivered to, by name.")
    tower: TowerSection = TowerSection.model_construct()

    @model_validator(mode="after")
    def _named_apart(self) -> Self:
        names = [each.name for each in self.slo]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise refused(f"slo: {', '.join(twice)} is there twice", "each objective has a name of its own")
        return self

    def mappings(self) -> list[PlantMapping]:
        """Return the mapping of each plant, in the order of ``plants``.

        Raises: MappingError; SettingsInvalid where one of them is not the version that is pinned.
        """
        found = [each for _, each in self.files()]
        if unmet := list(pin_problems(self.pins, found)):
            raise SettingsInvalid([Problem("settings", 0, ".".join(map(str, key)), *told) for key, *told in unmet])
        return found

    def files(self) -> list[tuple[Path, PlantMapping]]:
        """Return the mapping file of each plant and what it says, pinned or not. Raises: MappingError."""
        return [(path, mapping.load(path)) for path in self.plants]


def load(path: Path, *, pinned: bool = True) -> Settings:
    """Read a settings file, the environment, and check the mappings they name.

    Args: pinned: whether a version that is pinned must be the one that is there.
    Raises: SettingsInvalid, with all problems.
    """
    settings, found = _read(path)
    if settings is not None and not pinned:
        settings = settings.model_copy(update={"pins": {}})
        found = [problem for problem in found if not problem.key.startswith("pins.")]
    if settings is None or found:
        raise SettingsInvalid(found)
    return settings


def problems(path: Path) -> list[Problem]:
    """Return all problems of a settings file, the environment and the mappings; none if they can be used."""
    return _read(path)[1]


def warnings(path: Path) -> list[Problem]:
    """Return what works but should not be so: secrets that stand in the file. The file must be TOML."""
    text = path.read_text("utf-8")
    content = _flat_properties(tomllib.loads(text))
    given: Mapping[str, object] = content.get("kafka", {}).get("properties", {})
    hint = 'name where it lies: { env = "NAME" } or { file = "/run/secrets/x" }'
    literal = [name for name, value in given.items() if SECRET.search(name) and isinstance(value, str)]
    return [_located(path, text, ((*PROPERTIES, name), "a secret stands in the file", hint), {}) for name in literal]


def _read(path: Path) -> tuple[Settings | None, list[Problem]]:
    file = str(path)
    try:
        text = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
        content = tomllib.loads(text)
    except OSError as error:
        return None, [
            Problem(file, 0, "", str(error.strerror), "name a settings file with --config or PLANTSYNC_CONFIG")
        ]
    except UnicodeDecodeError as error:
        return None, [Problem(file, 1, "", "the file is not UTF-8", f"byte {error.start} is not text")]
    except tomllib.TOMLDecodeError as error:
        return None, [syntax_problem(file, text, error)]
    try:
        variables = _environment()
    except pydantic_settings.SettingsError as error:
        return None, [Problem("environment", 0, "", str(error), "write lists and tables as JSON")]
    merged = _flat_properties(_merged(content, variables))
    try:
        settings = Settings.model_validate(merged, context={"folder": path.parent.absolute(), ENVIRONMENT: os.environ})
    except ValidationError as error:
        return None, _sorted(_located(path, text, f, variables) for f in explained(error, merged, Settings))
    found = [problem for plant in settings.plants for problem in mapping.problems(plant)]
    if not found:
        found = _sorted(_located(path, text, finding, variables) for finding in _contradictions(settings))
    return settings, found


def _contradictions(settings: Settings) -> Iterator[Finding]:
    """Yield what no single key gets wrong."""
    kafka = settings.log.kind == "kafka"
    if kafka and settings.kafka is None:
        yield ("kafka",), "required where log.kind is kafka", 'set kafka.properties."bootstrap.servers"'
    if settings.store.path == settings.store.published:
        yield ("store", "published"), "is the store itself", "name another file"
    if not settings.plants:
        yield ("plants",), "no plant is named", 'such as ["plants/plant_a.toml"] or ["shipped:plant_a"]'
    seen: dict[str, int] = {}
    mappings = [each for _, each in settings.files()]
    yield from pin_problems(settings.pins, mappings)
    yield from residency_problems(settings, mappings)
    for index, plant in enumerate(mappings):
        folders = {f"folder {plant.input.folder}"} if plant.input.folder and settings.landing else set()
        inputs = folders | ({f"topic {topic}" for topic in plant.input.topics} if kafka else set())
        inputs |= {f"collect.{name}" for name in plant.input.collected}
        for name in plant.input.collected:
            if name not in settings.collect:
                yield ("plants", index), f"reads collect.{name}, which is not there", f"add [collect.{name}]"
        if not inputs:
            hint = "set landing, and input.folder in the mapping" + (", or input.topics there" if kafka else "")
            yield ("plants", index), "has nothing to be read from here", hint
        for name in sorted(inputs & seen.keys()):
            yield ("plants", index), f"reads {name}, as plants[{seen[name]}] does", "each plant needs its own"
        seen |= dict.fromkeys(inputs, index)
    into: dict[str, str] = {}
    for name, section in settings.collect.items():
        if isinstance(section, SftpCollector):
            other = into.setdefault(section.into, name)
            if f"folder {section.into}" not in seen:
                hint = f'set landing, and input.folder = "{section.into}" in a mapping'
                yield ("collect", name, "into"), f"no plant reads folder {section.into}", hint
            if other != name:
                yield ("collect", name, "into"), f"collect.{other} lands there too", "each needs a plant of its own"
            if f"collect.{name}" in seen:
                hint = "its files land in a folder: set input.folder in the mapping instead"
                yield ("collect", name), "is no input of a plant", hint
        elif f"collect.{name}" not in seen:
            yield ("collect", name), "no plant reads it", f'say input.collected = ["{name}"] in a mapping'


def _environment() -> dict[str, Any]:
    """Return the values of our variables, as the tables and keys they stand for."""
    source = pydantic_settings.EnvSettingsSource(
        cast("type[pydantic_settings.BaseSettings]", Settings),
        case_sensitive=False,
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
    )
    variables = dict(source.env_vars)
    servers = variables.pop(f"{PREFIX}kafka".lower(), None)
    if servers:
        variables["__".join((f"{PREFIX}kafka".lower(), "properties", "bootstrap.servers"))] = servers
    source.env_vars = variables
    return source()


def _merged(content: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content with the values of ``over`` in place of its own, table by table."""
    both = dict(content)
    for key, value in over.items():
        own = both.get(key)
        both[key] = _merged(own, value) if isinstance(own, dict) and isinstance(value, dict) else value
    return both


def _flat_properties(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content with ``sasl.password = ...``, which TOML reads as nested tables, as one name."""
    kafka = content.get("kafka")
    if not isinstance(kafka, dict) or not isinstance(kafka.get("properties"), dict):
        return content
    return {**content, "kafka": {**kafka, "properties": dict(_flat((), kafka["properties"]))}}


def _flat(path: tuple[str, ...], value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and not (path and value.keys() <= {"env", "file"}):
        for name, inner in value.items():
            yield from _flat((*path, name), inner)
    else:
        yield ".".join(path), value


def _located(path: Path, text: str, finding: Finding, variables: Mapping[str, Any]) -> Problem:
    """Return the finding with its line, or with the variable that takes the key's place."""
    key, message, hint = finding
    name = ".".join(map(str, key))
    if variable := _variable(key, variables):
        return Problem(f"environment variable {variable}", 0, name, message, hint)
    lines = key_lines(text)
    at: Key = key
    if key[:2] == PROPERTIES and len(key) > 2 and key not in lines:
        at = (*PROPERTIES, *str(key[2]).split("."))
    while at and at not in lines:
        at = at[:-1]
    return Problem(str(path), lines.get(at, 1), name, message, hint)


def _variable(key: Key, variables: Mapping[str, Any]) -> str | None:
    """Return the variable the value of a key comes from, if it does."""
    at: Any = variables
    names: list[str] = []
    for part in key:
        if not isinstance(at, dict) or part not in at:
            break
        at = at[part]
        names.append(str(part))
    if not names or (isinstance(at, dict) and len(names) < len(key)):
        return None
    return PREFIX + DELIMITER.join(names).upper()


def _sorted(found: Iterator[Problem]) -> list[Problem]:
    return sorted(found, key=lambda problem: (problem.line, problem.key))
