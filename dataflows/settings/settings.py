"""Settings: one TOML file and the environment, every problem told at once, each with its line.

A variable ``PLANTSYNC_<SECTION>__<KEY>`` takes the place of the key in the file; lists and tables are
written as JSON. ``PLANTSYNC_KAFKA=host:port`` is short for the property ``bootstrap.servers``. Paths
are relative to the folder of the settings file, whoever names them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Self

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
from canonical.plants import shipped
from dataflows.collectors.sftp_settings import SftpCollector
from dataflows.pins import Pin, pin_problems
from dataflows.residency import residency_problems
from dataflows.section import ENVIRONMENT, Place, Section, beside
from dataflows.settings.attribution import AttributionSection, attribution_problems
from dataflows.settings.collect import CollectorName, CollectSection, SpoolSection, signal_problems
from dataflows.settings.delivery import ErpName, ErpSection
from dataflows.settings.gathering import GatheringSection
from dataflows.settings.kafka import SECRET, KafkaSection
from dataflows.settings.log import LogSection
from dataflows.settings.metrics import MetricsSection
from dataflows.settings.origin import PROPERTIES, environment, flat_properties, located, merged
from dataflows.settings.pace import PaceSection
from dataflows.settings.postings import PostingsSection, ReferenceSection
from dataflows.settings.registry import RegistrySection
from dataflows.settings.slo import SHIPPED as SHIPPED_OBJECTIVES
from dataflows.settings.slo import AlertsSection, SloSection
from dataflows.settings.store import StoreSection
from dataflows.settings.tower import TowerSection
from dataflows.settings.traces import TracesSection
from sinks.commit_log import PlantsyncError

SHIPPED: Final = "shipped:"


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
    schema_registries: dict[CollectorName, RegistrySection] = Field(
        default={}, description="Where the schemas of Avro messages are asked for, by name."
    )
    store: StoreSection = StoreSection.model_construct()
    pace: PaceSection = PaceSection.model_construct()
    metrics: MetricsSection = MetricsSection.model_construct()
    traces: TracesSection = TracesSection.model_construct()
    postings: PostingsSection = PostingsSection.model_construct()
    gathering: GatheringSection = GatheringSection.model_construct()
    attribution: AttributionSection = AttributionSection.model_construct()
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
    content = flat_properties(tomllib.loads(text))
    given: Mapping[str, object] = content.get("kafka", {}).get("properties", {})
    hint = 'name where it lies: { env = "NAME" } or { file = "/run/secrets/x" }'
    literal = [name for name, value in given.items() if SECRET.search(name) and isinstance(value, str)]
    return [located(path, text, ((*PROPERTIES, name), "a secret stands in the file", hint), {}) for name in literal]


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
        variables = environment(Settings)
    except pydantic_settings.SettingsError as error:
        return None, [Problem("environment", 0, "", str(error), "write lists and tables as JSON")]
    told = flat_properties(merged(content, variables))
    try:
        settings = Settings.model_validate(told, context={"folder": path.parent.absolute(), ENVIRONMENT: os.environ})
    except ValidationError as error:
        return None, _sorted(located(path, text, f, variables) for f in explained(error, told, Settings))
    found = [problem for plant in settings.plants for problem in mapping.problems(plant)]
    if not found:
        found = _sorted(located(path, text, finding, variables) for finding in _contradictions(settings))
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
    yield from _registries(settings, mappings)
    yield from pin_problems(settings.pins, mappings)
    yield from residency_problems(settings, mappings)
    yield from attribution_problems(settings, mappings)
    for index, plant in enumerate(mappings):
        folders = {f"folder {plant.input.folder}"} if plant.input.folder and settings.landing else set()
        inputs = folders | ({f"topic {topic}" for topic in plant.input.topics} if kafka else set())
        inputs |= {f"collect.{name}" for name in plant.input.collected}
        for name in plant.input.collected:
            if name not in settings.collect:
                yield ("plants", index), f"reads collect.{name}, which is not there", f"add [collect.{name}]"
        yield from signal_problems(settings.collect, plant)
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


def _registries(settings: Settings, mappings: Sequence[PlantMapping]) -> Iterator[Finding]:
    """Yield mappings that name a schema registry which is not there."""
    for index, plant in enumerate(mappings):
        name = plant.avro.registry if plant.avro is not None else ""
        if name and name not in settings.schema_registries:
            hint = f"add [schema_registries.{name}]"
            yield ("plants", index), f"names the schema registry {name}, which is not there", hint


def _sorted(found: Iterator[Problem]) -> list[Problem]:
    return sorted(found, key=lambda problem: (problem.line, problem.key))
