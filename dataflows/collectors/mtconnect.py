"""Observations of an MTConnect agent over HTTP, asked for from the one that follows those we have.

Law: every observation that the agent still has becomes one record, once, in the order of its numbers at the agent. Its
buffer is limited: what was overwritten before we asked is lost, and what an agent had not told before it was started
anew is lost too. Both are told by numbers, so that the flow ``confirmations`` declares the gap: a record has
``instanceId``, which an agent that starts anew changes, and ``seq``, dense from 0 for each device of that instance.
Over what was overwritten ``seq`` jumps by as many as the agent numbered, for all its devices: which were whose, nobody
knows.

The agent's own ``sequence`` is in the record too. It is no number of a device's records: all devices of an agent share
it, and ``path`` and ``signals`` leave some out. What is left out has no ``seq``, and what is held gets one when it is
told; of an agent that has started anew nothing is told before all that was held of it.

Source: MTConnect Standard Part 1.0, Sample Request; cppagent ``rest_service.cpp`` for the errors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

import numpy as np
import orjson
import requests

from canonical.contracts.fault import FaultCode
from canonical.records import NO_RECORDS, RawRecords
from dataflows.collectors.bounded_body import bounded_body
from dataflows.collectors.mtconnect_document import Answer, NoAnswer, Observation, read_answer
from dataflows.collectors.mtconnect_settings import MtconnectCollector
from dataflows.collectors.reading import Reading, instant_us
from dataflows.collectors.refusals import PIECE_BYTES_MAX, Refusals
from dataflows.collectors.signals import SLACK_US, Signals
from dataflows.collectors.web_session import web_session
from dataflows.sources.errors import AnswerUnusable, SourceUnavailable

LOGGER: Final = logging.getLogger(__name__)
DEVICES_MAX: Final = 10_000
_SERVER_ERROR: Final = 500


class MtconnectAgent:
    """Asks one agent; a ``Collector``. Args: clock: now in UTC microseconds; refusals: takes what is refused."""

    def __init__(self, section: MtconnectCollector, name: str, clock: Callable[[], int], refusals: Refusals) -> None:
        self._section, self._name, self._clock, self._refusals = section, name, clock, refusals
        device = f"/{quote(section.device, safe='')}" if section.device else ""
        self._url = f"{section.url.rstrip('/')}{device}/sample"
        self._session: requests.Session | None = None
        self._number = 0
        self._instance = ""
        self._next = 0  # of the agent, to go on at
        self._lost = 0  # of this instance
        self._told: dict[str, int] = {}  # of this instance, by device
        self._from_first = True  # what the agent has first is asked for: where to go on is not known, or is gone
        self._count = section.count
        self._due_us = 0
        self._more = False
        # What shows that a state has not lasted may come with the next answer, so that is waited for.
        self._signals = Signals(section.signals, SLACK_US + round(section.every_s * 1e6))
        self._body = b""  # the beginning of the last answer

    def seek(self, position: str | None, state: Mapping[str, bytes]) -> None:
        """Go on from a committed position, with what is known of each signal."""
        self._signals.seek(state)
        if position is None:
            return
        place = orjson.loads(position)
        self._number, self._instance, self._next = place["number"], place["instance"], place["next"]
        self._lost, self._told = place["lost"], place["told"]
        self._from_first = not self._instance

    def poll(self) -> RawRecords:
        """Return the next observations. Raises: SourceUnavailable, AnswerUnusable."""
        now_us = self._clock()
        if held := self._signals.wake(now_us):
            return self._records([(each.source, each.reading.record) for each in held])
        if now_us < self._due_us:
            return NO_RECORDS
        answer = self._asked()
        if answer is None:
            return NO_RECORDS
        if answer.instance != self._instance and (held := self._signals.end()):
            return self._records([(each.source, each.reading.record) for each in held])
        if not self._placed(answer):
            return NO_RECORDS
        told = self._told_of(answer, now_us)
        self._next = answer.next
        self._more = answer.next <= answer.last
        self._due_us = self._clock() + (0 if self._more else round(self._section.every_s * 1e6))
        return self._records(told)

    def position(self) -> str:
        """Return instance and number at the agent to go on at, and how far each device's records are numbered."""
        place = {
            "number": self._number,
            "instance": self._instance,
            "next": self._next,
            "lost": self._lost,
            "told": self._told,
        }
        return orjson.dumps(place).decode()

    def state(self) -> Mapping[str, bytes]:
        """Return what has changed of the signals since the last call."""
        return self._signals.state()

    def at_end(self) -> bool:
        """Return whether the last answer had nothing more behind it."""
        return self._due_us > 0 and not self._more

    def behind(self) -> int:
        """Return 0: it is not asked."""
        return 0

    def committed(self, position: str) -> None:
        """Do nothing: the agent waits for no answer."""

    def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _asked(self) -> Answer | None:
        """Return the answer; None where another question must come first."""
        section = self._section
        if self._session is None:
            self._session = web_session("text/xml, application/xml", section.ca_file)
        asked = {"count": str(self._count)}
        if section.path:
            asked["path"] = section.path
        if not self._from_first:
            asked["from"] = str(self._next)
        try:
            with self._session.get(
                self._url, params=asked, timeout=section.timeout_s, stream=True, allow_redirects=False
            ) as answered:
                if answered.status_code >= _SERVER_ERROR:
                    raise SourceUnavailable(f"{self._who()} answers {answered.status_code}. Ask who runs it.")
                body = bounded_body(answered, section.answer_bytes_max)
                status = answered.status_code
        except requests.RequestException as error:
            raise SourceUnavailable(
                f"{self._who()} does not answer: {type(error).__name__}. Check the address, the network and the agent."
            ) from error
        self._body = body[:PIECE_BYTES_MAX]
        if len(body) > section.answer_bytes_max and self._count > 1:
            self._count //= 2
            return None
        if len(body) > section.answer_bytes_max:
            reason = f"one observation is longer than {section.answer_bytes_max:,} bytes"
            raise self._unusable(reason, FaultCode.OVERSIZE)
        try:
            answer = read_answer(body, self._count)
        except NoAnswer as error:
            raise self._unusable(f"{error} (HTTP {status})", error.code) from error
        self._count = section.count
        return answer

    def _placed(self, answer: Answer) -> bool:
        """Find out where the answer stands; False where it is to be asked again from what the agent has first."""
        beside = answer.instance != self._instance
        if not self._from_first and (beside or any(code == "OUT_OF_RANGE" for code, _ in answer.errors)):
            self._from_first = True
            return False
        if answer.errors:
            raise self._unusable("; ".join(f"{code}: {text}" for code, text in answer.errors))
        if beside:
            # What came before we knew this agent at all is not missed.
            lost = answer.first - 1 if self._instance else 0
            self._instance, self._next, self._lost, self._told = answer.instance, answer.first, max(lost, 0), {}
        elif answer.first > self._next:
            lost = answer.first - self._next
            self._lost, self._next = self._lost + lost, answer.first
        elif self._from_first:
            raise self._unusable(
                f"it does not go on at {self._next}, though it has {answer.first} to {answer.last}: start it anew"
            )
        else:
            lost = 0
        if lost > 0:
            LOGGER.warning("%s: its buffer was overrun: %d observations are lost", self._who(), lost)
        self._from_first = False
        return True

    def _told_of(self, answer: Answer, now_us: int) -> list[tuple[str, bytes]]:
        """Return what is to be told of the observations, each with its device."""
        if answer.next < self._next:
            raise self._unusable(f"nextSequence is {answer.next}, and {self._next} was asked for")
        devices = set(self._told)
        for each in answer.observations:
            if not self._next <= each.sequence < answer.next:
                raise self._unusable(f"sequence {each.sequence} is not of {self._next} to {answer.next - 1}")
            devices.add(each.device)
            if len(devices) > DEVICES_MAX:
                raise self._unusable(f"it has more than {DEVICES_MAX:,} devices; name one", FaultCode.FLOODED)
        told: list[tuple[str, bytes]] = []
        for each in sorted(answer.observations, key=lambda observation: observation.sequence):
            item, record = each.told.get("dataItemId", ""), orjson.dumps(each.told)
            reading = _reading(each, record) if item and self._signals.rule(item) is not None else None
            if reading is None:
                told.append((each.device, record))
            else:
                found = self._signals.take(each.device, item, reading, now_us)
                told += [(one.source, one.reading.record) for one in found]
        return told

    def _records(self, told: list[tuple[str, bytes]]) -> RawRecords:
        """Return what is told as records, numbered by device."""
        if not told:
            return NO_RECORDS
        values: list[bytes] = []
        for device, record in told:
            count = self._told.get(device, 0)
            values.append(b'%s,"seq":%d}' % (record[:-1], count + self._lost))
            self._told[device] = count + 1
        offsets = np.arange(self._number + 1, self._number + len(values) + 1)
        self._number += len(values)
        return RawRecords.from_values(values, offsets, self._name)

    def _who(self) -> str:
        return f"collect.{self._name}: {self._section.url}"

    def _unusable(self, reason: str, code: FaultCode = FaultCode.MALFORMED) -> AnswerUnusable:
        """Note that an answer is refused, and return the error that says so."""
        self._refusals.refuse(code, f"{self._section.url}: {reason}", self._body)
        return AnswerUnusable(f"{self._who()}: the answer cannot be used: {reason}.")


def _reading(observation: Observation, record: bytes) -> Reading | None:
    """Return an observation as a reading of its signal; None where it is none: a condition, a data set, no instant."""
    told = observation.told
    at_us = instant_us(told.get("timestamp", ""))
    if at_us is None or told["category"] == "CONDITION" or "value" not in told:
        return None
    return Reading(at_us, told["value"], record)
