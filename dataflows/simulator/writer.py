"""Where simulated traffic goes: landing folders or Kafka topics."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from canonical.mapping import PlantMapping
from dataflows.simulator.drop import Drop
from sinks.commit_log import PlantsyncError


class Writer(Protocol):
    """Takes a plant's drops in the order in which they arrive."""

    def write(self, mapping: PlantMapping, drop: Drop) -> None:
        """Write the records of a drop, in order."""
        ...

    def flush(self) -> None:
        """Return when everything written is where it belongs."""
        ...


class LandingFolderInUse(PlantsyncError):
    """Files lie where new ones would go, and the truth would be about only some of them."""


class TrafficNotDelivered(PlantsyncError):
    """The broker did not take a record; nothing says how many others it took."""

    retryable: ClassVar[bool] = True


class FolderWriter:
    """Writes each drop as one file below the landing folder, in the folder its mapping names.

    A file appears whole: it is written under another name and renamed. Names begin with a number,
    so that the order of names is the order of arrival.

    Raises: LandingFolderInUse where the plant's folder is not empty.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, int] = {}

    def write(self, mapping: PlantMapping, drop: Drop) -> None:
        """Write the drop as the next file of its plant."""
        folder = self._folder / mapping.input.folder
        number = self._files.get(drop.plant, 0)
        if number == 0:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise LandingFolderInUse(f"{folder} is not empty; name another folder or empty it first")
        self._files[drop.plant] = number + 1
        path = folder / f"{number:06d}_{drop.name}"
        half = path.with_name(f"{path.name}.tmp")
        lines = [record for _, record in drop.records]
        half.write_bytes(drop.header + drop.line_end.join(lines) + drop.line_end)
        half.replace(path)

    def flush(self) -> None:
        """Make the names durable."""
        for folder in self._folder.iterdir():
            if folder.is_dir():
                handle = os.open(folder, os.O_RDONLY)
                os.fsync(handle)
                os.close(handle)


class KafkaWriter:
    """Writes each record as one message to its plant's topic; the key is the source.

    Args:
        settings: librdkafka's, as given; idempotence is switched on unless they say otherwise.
        topics: Topic by plant, instead of the first one of its mapping.

    Raises: TrafficNotDelivered.
    """

    def __init__(self, settings: Mapping[str, Any], topics: Mapping[str, str] | None = None) -> None:
        defaults = {"enable.idempotence": True, "linger.ms": 20, "compression.type": "lz4"}
        self._producer = Producer({**defaults, **settings})
        self._topics = dict(topics or {})
        self._failure: KafkaError | None = None

    def write(self, mapping: PlantMapping, drop: Drop) -> None:
        """Hand the drop's records to the producer; a full queue waits for the broker."""
        topic = self._topics.get(drop.plant) or mapping.input.topics[0]
        for key, record in drop.records:
            while True:
                try:
                    self._producer.produce(topic, value=record, key=key, on_delivery=self._delivered)
                except BufferError:
                    self._producer.poll(0.1)
                except KafkaException as error:
                    raise TrafficNotDelivered(
                        f"topic {topic}: {error}; see that it exists and takes records"
                    ) from error
                else:
                    break
        self._producer.poll(0)
        self._check()

    def flush(self) -> None:
        """Wait until the broker has everything."""
        self._producer.flush()
        self._check()

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        self._failure = self._failure or error

    def _check(self) -> None:
        if self._failure is not None:
            raise TrafficNotDelivered(f"{self._failure}; see that the broker is up, and simulate into fresh topics")
