"""An MTConnect agent over real HTTP: a limited buffer, an instance, and ``sample`` with from, count and path."""

from __future__ import annotations

import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape, quoteattr

STREAMS = "urn:mtconnect.org:MTConnectStreams:1.7"


class MtconnectAgent:
    """``answers`` are given instead, while there are some: (status, body)."""

    def __init__(self, port: int = 0, instance: int = 1, buffer: int = 1_000) -> None:
        self.instance = instance
        self.answers: list[tuple[int, bytes]] = []
        self.asked: list[dict[str, str]] = []
        self._buffer: deque[tuple[int, str, str, str, str]] = deque(maxlen=buffer)
        self._last = 0
        self._changed = threading.Lock()
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = agent.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def say(self, item: str, value: object, at: str = "2026-11-17T06:00:00Z", device: str = "M1") -> None:
        with self._changed:
            self._last += 1
            self._buffer.append((self._last, device, item, at, str(value)))

    def answer(self, asked: str) -> tuple[int, bytes]:
        parts = urlsplit(asked)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(query)
        if self.answers:
            return self.answers.pop(0)
        with self._changed:
            first = self._buffer[0][0] if self._buffer else 1
            start, count = int(query.get("from", first)), int(query["count"])
            if not first <= start <= self._last + 1:
                text = f"'from' must be between {first} and {self._last + 1}"
                return 404, self._document(
                    "Error", "", f'<Errors><Error errorCode="OUT_OF_RANGE">{text}</Error></Errors>'
                )
            wanted = [
                each
                for each in self._buffer
                if each[0] >= start and f'"{each[2]}"' in query.get("path", f'"{each[2]}"')
            ]
            device = parts.path.strip("/").rpartition("sample")[0].strip("/")
            wanted = [each for each in wanted if device in ("", each[1])]
            told = wanted[:count]
            end = told[-1][0] + 1 if len(wanted) > count else self._last + 1
        header = f'firstSequence="{first}" lastSequence="{self._last}" nextSequence="{end}"'
        streams = "".join(map(self._device, sorted({each[1] for each in told}), [told] * len(told)))
        return 200, self._document("Streams", header, f"<Streams>{streams}</Streams>")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _device(self, device: str, told: list[tuple[int, str, str, str, str]]) -> str:
        """The later observations of a component come first here: agents sort by item, not by time."""
        name = {item: item.title().replace("_", "") for _, _, item, _, _ in told}
        events = "".join(
            f'<{name[item]} dataItemId="{item.lower()}" timestamp={quoteattr(at)} sequence="{number}">'
            f"{escape(value)}</{name[item]}>"
            for number, of, item, at, value in reversed(told)
            if of == device
        )
        component = f'<ComponentStream component="Path" componentId="p1" name="path"><Events>{events}</Events>'
        return f'<DeviceStream name="{device}" uuid="{device}-1">{component}</ComponentStream></DeviceStream>'

    def _document(self, kind: str, header: str, content: str) -> bytes:
        own = STREAMS.replace("Streams", kind)
        head = f'<Header creationTime="2026-11-17T06:00:00Z" sender="agent" instanceId="{self.instance}" {header}/>'
        text = f'<?xml version="1.0" encoding="UTF-8"?><MTConnect{kind} xmlns="{own}">{head}{content}</MTConnect{kind}>'
        return text.encode()
