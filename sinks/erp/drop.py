"""Files for a legacy system: one for each posting, put there by rename, and its answer read back.

A file is named after order, number and posting id, so that files taken in the order of their names keep that of
their order's postings, and the same posting is the same file. **The system that takes the files makes a document
once for each name**, and answers every time; so sending again is always harmless, and ``find`` says None (send it)
wherever there is no answer.

``<folder>/<name>.json`` is a JSON object: ``type`` (confirmation, goods_movement, reversal) and its fields, quantities
as decimal texts. ``<acknowledgements>/<name>.json.ack.json`` is the answer: ``status`` (accepted, rejected, failed),
``document``, ``code``, ``message`` (message class and number), ``text``, and ``retry`` where the same may succeed
later. Answers are never removed here, except one with ``retry`` when its posting is sent again.

Source: M25, M26, M30, M32.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from canonical.contracts.posting import Movement, Posting, PostingKind
from sinks.erp.amounts import decimal
from sinks.erp.one_by_one import OneByOne
from sinks.erp.port import Answer, Outcome
from sinks.erp.settings import DropSettings
from sinks.erp.unmappable import Unmappable

LOOK_S: Final = 0.05
LOCKED: Final = frozenset({"order_locked", "material_locked"})
CODES: Final = {PostingKind.GOODS_RECEIPT: "02", PostingKind.GOODS_ISSUE: "03", PostingKind.STOCK_TRANSFER: "04"}
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_]")


class DropAdapter(OneByOne):
    """One folder of postings, and one of answers."""

    def __init__(self, settings: DropSettings) -> None:
        """Touch nothing yet; the folders belong to the system that reads them."""
        self._settings = settings

    def send(self, posting: Posting) -> Answer:
        """Put the file of a posting there, and wait for its answer."""
        name = file_name(posting)
        try:
            answer = self._answer(name)
            if answer is not None and answer.outcome is Outcome.ACCEPTED:
                return answer
            content = orjson.dumps(self._content(posting))
            # What was refused may be accepted now, where a person has mended its cause.
            self._acknowledgement(name).unlink(missing_ok=True)
            self._put(name, content)
        except Unmappable as unmappable:
            return unmappable.answer()
        except OSError as error:
            return _broken(error)
        try:
            answer = self._awaited(name)
        except OSError as error:
            return replace(_broken(error), outcome=Outcome.IN_DOUBT)
        return answer or Answer(Outcome.IN_DOUBT, code="DROP/no-answer", message=f"{name} is there, without an answer")

    def find(self, posting: Posting) -> Answer | None:
        """Read the answer to a posting's file."""
        try:
            answer = self._answer(file_name(posting))
        except OSError as error:
            return _broken(error)
        return answer if answer and answer.outcome in {Outcome.ACCEPTED, Outcome.REJECTED} else None

    def movements(self, posting: Posting, document: str) -> Answer | None:  # noqa: ARG002 - the port's signature
        """Return that all is done: the answer is about the whole posting."""
        return Answer(Outcome.ACCEPTED, document)

    def look(self) -> Answer:
        """See whether both folders are there, and may be written to and read."""
        for folder, rights in ((self._settings.folder, os.R_OK | os.W_OK), (self._settings.acknowledgements, os.R_OK)):
            if not folder.is_dir():
                return Answer(Outcome.UNAVAILABLE, code="DROP/folder", message=f"{folder} is not there")
            if not os.access(folder, rights | os.X_OK):
                return Answer(Outcome.UNAUTHORISED, code="DROP/folder", message=f"{folder} may not be used")
        return Answer(Outcome.ACCEPTED)

    def close(self) -> None:
        """Nothing is held."""

    def _put(self, name: str, content: bytes) -> None:
        folder = self._settings.folder
        written = folder / f".{name}.tmp"
        with written.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        written.replace(folder / name)

    def _awaited(self, name: str) -> Answer | None:
        until = time.monotonic() + self._settings.acknowledgement_wait_s
        while (answer := self._answer(name)) is None and time.monotonic() < until:
            time.sleep(LOOK_S)
        return answer

    def _acknowledgement(self, name: str) -> Path:
        return self._settings.acknowledgements / f"{name}.ack.json"

    def _answer(self, name: str) -> Answer | None:
        """Return what the answer of a file says; None where there is none that can be understood."""
        try:
            with self._acknowledgement(name).open("rb") as file:
                said = orjson.loads(file.read(self._settings.acknowledgement_bytes_max))
        except (FileNotFoundError, orjson.JSONDecodeError):
            return None
        if not isinstance(said, dict):
            return None
        code = str(said.get("message") or said.get("code") or "")
        words = str(said.get("text", ""))
        match said.get("status"):
            case "accepted" if said.get("document"):
                return Answer(Outcome.ACCEPTED, str(said["document"]))
            case "rejected" | "failed" if said.get("retry"):
                outcome = Outcome.LOCKED if said.get("code") in LOCKED else Outcome.UNAVAILABLE
                return Answer(outcome, code=code, message=words)
            case "rejected" | "failed":
                return Answer(Outcome.REJECTED, code=code, message=words)
            case _:
                return None

    def _content(self, posting: Posting) -> dict[str, Any]:
        """Return the posting as the file has it.

        Raises: Unmappable; OSError.
        """
        own = {"posting_date": posting.posting_date.isoformat(), "external_id": str(posting.posting_id)}
        if posting.kind is PostingKind.REVERSAL:
            return {"type": "reversal", "document": self._original(posting), **own}
        if posting.kind is PostingKind.CONFIRMATION:
            return {
                "type": "confirmation",
                "order": posting.order,
                "operation": posting.operation,
                "work_center": posting.work_center,
                "plant": posting.erp_plant,
                "yield": decimal(posting.good),
                "scrap": decimal(posting.scrap),
                "rework": decimal(posting.rework),
                "unit": posting.unit,
                "reason": posting.reason,
                "final": "X" if posting.final else "",
                "lot": posting.lot,
                **own,
            }
        movements = [_movement(posting, line) for line in posting.movements]
        return {"type": "goods_movement", "code": CODES[posting.kind], "movements": movements, **own}

    def _original(self, posting: Posting) -> str:
        """Return the document of the posting that is reversed, from the answer to its file."""
        beginning = _safe(posting.order)
        for path in self._settings.acknowledgements.glob(f"{beginning}-*-{_safe(posting.reverses)}.json.ack.json"):
            answer = self._answer(path.name.removesuffix(".ack.json"))
            if answer is not None and answer.outcome is Outcome.ACCEPTED:
                return answer.document
        raise Unmappable("original", f"there is no answer to the file of posting {posting.reverses} to be reversed")


def file_name(posting: Posting) -> str:
    """Return the name of a posting's file: order, number, posting id."""
    return f"{_safe(posting.order)}-{posting.number:012d}-{_safe(str(posting.posting_id))}.json"


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text)


def _movement(posting: Posting, line: Movement) -> dict[str, Any]:
    return {
        "movement_type": line.movement_type,
        "material": line.material,
        "quantity": decimal(line.quantity),
        "unit": line.unit,
        "plant": posting.erp_plant,
        "storage_location": line.storage_location,
        "receiving_location": line.to_storage_location,
        "lot": line.lot,
        "order": posting.order,
        "reservation": line.reservation,
        "reservation_item": line.reservation_item,
        "stock_type": str(line.stock_type),
    }


def _broken(error: OSError) -> Answer:
    return Answer(Outcome.UNAVAILABLE, code="DROP/folder", message=f"the folder cannot be used: {error.strerror}")
