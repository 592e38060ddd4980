"""A web service that lists events over real HTTP: by cursor, since a number, page by page, or all with an ETag."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class EventService:
    """``events`` is what it knows; ``answers`` are given instead, while there are some: (status, headers, body)."""

    def __init__(self, port: int = 0, page: int = 3) -> None:
        self.events: list[dict[str, Any]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.page = page
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                service.asked.append((self.path, dict(self.headers)))
                status, headers, body = service.answer(self.path, self.headers.get("If-None-Match", ""))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, asked: str, etag: str) -> tuple[int, dict[str, str], bytes]:
        if self.answers:
            return self.answers.pop(0)
        path, query = urlsplit(asked).path, parse_qs(urlsplit(asked).query)
        first = int(query.get("cursor", query.get("page", ["0"]))[0])
        if path == "/cursor":
            last = min(first + self.page, len(self.events))
            return 200, {}, self._body({"data": {"items": self.events[first:last], "next": str(last)}})
        if path == "/since":
            wanted = [each for each in self.events if each["n"] >= int(query.get("since", ["0"])[0])]
            return 200, {}, self._body(wanted[: self.page])
        if path == "/pages":
            last = first + self.page
            headers = {"Link": f'</pages?page={last}>; rel="next"'} if last < len(self.events) else {}
            return 200, headers, self._body(self.events[first:last])
        tag = f'"{len(self.events)}"'
        return (304, {}, b"") if etag == tag else (200, {"ETag": tag}, self._body(self.events))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @staticmethod
    def _body(content: object) -> bytes:
        return json.dumps(content).encode()
