"""Where Prometheus reads the metrics of a flow's process, over HTTP.

Law: whether anybody reads them, and whether they can be served at all, changes nothing of what the flow does. An
address that is taken is tried again, since the process before this one may still hold it.
"""

from __future__ import annotations

import logging
import ssl
from errno import EADDRINUSE, EADDRNOTAVAIL
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any, Final, Self

from prometheus_client import CollectorRegistry, disable_created_metrics, start_http_server
from prometheus_client.process_collector import ProcessCollector

from dataflows.settings.metrics import Address, MetricsSection
from sinks.commit_log import PlantsyncError

LOGGER: Final = logging.getLogger(__name__)
TRY_AGAIN_S: Final = 10.0
PASSING: Final = frozenset({EADDRINUSE, EADDRNOTAVAIL})


class MetricsNotServed(PlantsyncError):
    """The metrics cannot be served as the settings say."""


class Endpoint:
    """Serves a registry while the context lasts, with figures of the process beside it.

    Raises: MetricsNotServed on entering, where trying again would not help.
    """

    def __init__(self, flow: str, registry: CollectorRegistry, settings: MetricsSection, address: Address) -> None:
        self._flow, self._registry, self._settings, self._address = flow, registry, settings, address
        self._closed = Event()
        self._server: Any = None
        self._trying: Thread | None = None
        disable_created_metrics()  # type: ignore[no-untyped-call]
        ProcessCollector(registry=registry)

    def __enter__(self) -> Self:
        self._check_certificates()
        if not self._begun():
            self._trying = Thread(target=self._try_on, name="metrics", daemon=True)
            self._trying.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closed.set()
        if self._trying is not None:
            self._trying.join()
        if self._server is not None:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join()

    def _try_on(self) -> None:
        while not self._closed.wait(TRY_AGAIN_S):
            if self._begun():
                return

    def _check_certificates(self) -> None:
        """See that they can be used, before there is a socket that would be left open."""
        settings = self._settings
        if settings.cert_file is None or settings.key_file is None:
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(settings.cert_file, settings.key_file)
            if settings.client_ca_file is not None:
                context.load_verify_locations(settings.client_ca_file)
        except OSError as error:  # of which SSLError is one
            raise self._not_served(error) from error

    def _not_served(self, error: OSError) -> MetricsNotServed:
        reason = f"metrics of {self._flow} cannot be served at {self._address}: {error.strerror or error}"
        return MetricsNotServed(f"{reason}; correct the section metrics of the settings")

    def _begun(self) -> bool:
        address, settings = self._address, self._settings
        try:
            self._server = start_http_server(
                address.port,
                address.host,
                self._registry,
                certfile=_text(settings.cert_file),
                keyfile=_text(settings.key_file),
                client_cafile=_text(settings.client_ca_file),
                client_auth_required=settings.client_ca_file is not None,
            )
        except OSError as error:
            if error.errno not in PASSING:
                raise self._not_served(error) from error
            words = "metrics of %s cannot be served at %s: %s. The flow runs without them; trying again every %g s."
            LOGGER.warning(words, self._flow, address, error.strerror or error, TRY_AGAIN_S)
            return False
        scheme = "https" if settings.cert_file else "http"
        shown = Address(address.host, self._server[0].server_port)
        LOGGER.info("%s: metrics at %s://%s/metrics", self._flow, scheme, shown)
        return True


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
