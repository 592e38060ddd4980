"""A schema registry over real HTTP: as much of Confluent's REST protocol as clients that read use, and registering.

Ids are given in the order of registration, equal schemas have one, and the errors are the protocol's own, so that what
reads from this reads from any. It stands in for a server of the kind, none of which can be had where the other servers
of the tests come from: Confluent's lies in a repository of its own, Karapace is not on PyPI, and Maven Central does not
have the archive of Apicurio's application.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote


class SchemaRegistry:
    """``answers`` are given instead of what it knows, while there are some: (status, headers, body)."""

    def __init__(self, port: int = 0, user: str = "", password: str = "", certificate: tuple[Path, Path] | None = None):
        self.schemas: list[dict[str, Any]] = []
        self.subjects: dict[str, list[int]] = {}
        self.asked: list[str] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.user, self.password = user, password
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer in one piece: in two, the second would wait for an acknowledgement

            def do_GET(self) -> None:
                registry.asked.append(self.path)
                self.say(*registry.answer(self.path, self.headers.get("Authorization", "")))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                told = (body["schema"], body.get("references"), body.get("schemaType", "AVRO"))
                number = registry.register(unquote(self.path.split("/")[2]), *told)
                self.say(200, {}, json.dumps({"id": number}).encode())

            def say(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def register(
        self, subject: str, schema: str, references: list[dict[str, Any]] | None = None, kind: str = "AVRO"
    ) -> int:
        """Return the id of a schema, which is the next version of its subject."""
        known = {"schema": schema}
        if references:
            known["references"] = references
        if kind != "AVRO":
            known["schemaType"] = kind
        if known not in self.schemas:
            self.schemas.append(known)
        number = self.schemas.index(known) + 1
        self.subjects.setdefault(subject, []).append(number)
        return number

    def answer(self, path: str, authorization: str) -> tuple[int, dict[str, str], bytes]:
        if self.answers:
            return self.answers.pop(0)
        wanted = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if self.user and authorization != wanted:
            return self._error(401, 401, "Unauthorized")
        match path.split("/")[1:]:
            case ["schemas", "ids", number] if number.isdigit():
                if not 0 < int(number) <= len(self.schemas):
                    return self._error(404, 40403, f"Schema {number} not found")
                return 200, {}, json.dumps(self.schemas[int(number) - 1]).encode()
            case ["subjects", subject, "versions", version] if version.isdigit():
                ids = self.subjects.get(unquote(subject))
                if ids is None:
                    return self._error(404, 40401, f"Subject '{subject}' not found.")
                if not 0 < int(version) <= len(ids):
                    return self._error(404, 40402, f"Version {version} not found.")
                number = ids[int(version) - 1]
                named = {"subject": unquote(subject), "version": int(version), "id": number}
                return 200, {}, json.dumps(named | self.schemas[number - 1]).encode()
        return self._error(404, 404, "HTTP 404 Not Found")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @staticmethod
    def _error(status: int, code: int, message: str) -> tuple[int, dict[str, str], bytes]:
        return status, {}, json.dumps({"error_code": code, "message": message}).encode()
