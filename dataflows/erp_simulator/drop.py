"""An ERP that takes files: a folder is watched, and every file is answered by another.

``in/`` takes files written elsewhere and renamed into it, in the order of their names; ``ack/NAME.ack.json``
is the answer, renamed into place; the file itself goes to ``done/``. A file name is a request id: a
name that was answered before gets the same answer and books nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson

from dataflows.erp_simulator.drop_format import parse, post
from dataflows.erp_simulator.erp import Erp
from dataflows.erp_simulator.exchange import Answer, Call
from dataflows.erp_simulator.faults import Fault, Schedule
from dataflows.erp_simulator.refusal import TRANSIENT, Refused

FILE_BYTES_MAX: Final = 1024 * 1024
FILES_A_TICK_MAX: Final = 200
POSSIBLE: Final = frozenset({Fault.SERVER_ERROR, Fault.ORDER_LOCKED, Fault.TIMEOUT_BEFORE, Fault.TIMEOUT_AFTER})


class Drop:
    """The watched folder of one ERP."""

    def __init__(self, folder: Path, erp: Erp, schedule: Schedule) -> None:
        """Watch ``folder``, whose parts are made when missing."""
        self._in, self._ack, self._done = (folder / part for part in ("in", "ack", "done"))
        for part in (self._in, self._ack, self._done):
            part.mkdir(parents=True, exist_ok=True)
        self._erp, self._schedule = erp, schedule

    def wake(self, now_us: int) -> None:
        """Answer the files that lie there, unless there is maintenance."""
        if self._schedule.profile.maintenance_s(now_us) > 0:
            return
        names = sorted(path.name for path in self._in.iterdir() if path.suffix in {".json", ".idoc"})
        for name in names[:FILES_A_TICK_MAX]:
            self._answer(self._in / name, now_us)

    def _answer(self, path: Path, now_us: int) -> None:
        key = f"file:{path.name}"
        if path.stat().st_size > FILE_BYTES_MAX:
            self._acknowledge(path, {"status": "rejected", "code": "file_too_large", "text": "file too large"})
            return
        kept = self._erp.book.answers.get(key)
        if kept is not None:
            self._acknowledge(path, kept["ack"])
            return
        body = path.read_bytes()
        fault = self._fault(path.name, body, now_us)
        if fault in {Fault.SERVER_ERROR, Fault.TIMEOUT_BEFORE}:
            if fault is Fault.SERVER_ERROR:
                self._acknowledge(
                    path, {"status": "failed", "code": "server_error", "text": "short dump", "retry": True}
                )
            else:
                path.replace(self._done / path.name)
            return
        ack = self._post(path.name, body, key, now_us)
        if fault is Fault.TIMEOUT_AFTER:
            path.replace(self._done / path.name)
        else:
            self._acknowledge(path, ack)

    def _post(self, name: str, body: bytes, key: str, now_us: int) -> dict[str, Any]:
        book = self._erp.book
        try:
            posting = parse(name, body)
            with book.unit():
                document = post(self._erp, posting, key, now_us)
                ack = {"status": "accepted", "document": document.number, "external_id": document.external_id}
                book.record("answer", {"request_id": key, "at_us": now_us, "ack": ack})
        except Refused as refused:
            code, retry = refused.code, refused.code in TRANSIENT
            ack = {"status": "rejected", "code": code.value, "message": refused.words.sap, "text": str(refused)}
            return {**ack, "retry": retry}
        return ack

    def _fault(self, name: str, body: bytes, now_us: int) -> Fault | None:
        subject = f"file:{name}"
        met = self._erp.book.fault_counts[subject]
        drawn = self._schedule.draw(subject, met, name, body.decode("utf-8", "replace"), POSSIBLE)
        if drawn is None:
            return None
        row = {
            "subject": subject,
            "fault": drawn.fault.value,
            "planned": drawn.planned,
            "at_us": now_us,
            "request": name,
        }
        self._erp.book.record("fault", row)
        if drawn.fault is Fault.ORDER_LOCKED:
            self._lock(name, body, now_us)
        return drawn.fault

    def _lock(self, name: str, body: bytes, now_us: int) -> None:
        try:
            order = str(parse(name, body).get("order", ""))
        except Refused:
            return
        until_us = now_us + int(self._schedule.profile.lock_s * 1e6)
        self._erp.book.record("lock", {"order": order, "user": self._schedule.profile.lock_user, "until_us": until_us})

    def _acknowledge(self, path: Path, ack: dict[str, Any]) -> None:
        target = self._ack / f"{path.name}.ack.json"
        written = target.with_suffix(".tmp")
        written.write_bytes(orjson.dumps({"file": path.name, **ack}))
        written.replace(target)
        path.replace(self._done / path.name)


class NoInterface:
    """The dialect of an ERP that takes files only."""

    def answer(self, call: Call) -> Answer:
        """Say that nothing is here."""
        return self.failure(404, f"{call.path} is not here: this ERP takes files")

    def refusal(self, refused: Refused, status: int | None = None) -> Answer:
        """Return a refusal."""
        return self.failure(status or 400, str(refused))

    def failure(self, status: int, text: str) -> Answer:
        """Return a failure."""
        return Answer.of({"error": text}, status)
