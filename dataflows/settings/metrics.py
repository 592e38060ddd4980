"""Settings of what is told to monitoring: ``[metrics]`` for Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from canonical.mapping.problems import refused
from dataflows.flow_names import FlowName
from dataflows.section import Place, Section
from sinks.loopback import is_loopback


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``host:port``, with an IPv6 address in brackets. Raises: ValueError."""
        host, colon, port = text.rpartition(":")
        if not (colon and port.isascii() and port.isdigit() and int(port) < 65_536):
            raise ValueError(f"{text!r} is not host:port")
        host = host.removeprefix("[").removesuffix("]")
        if not host:
            raise ValueError(f"{text!r} names no host")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Return whether only this machine can reach it."""
        return is_loopback(self.host)

    def beside(self, count: int) -> Address:
        """Return the address for the process that is numbered so; any free port stays any."""
        return Address(self.host, self.port + count if self.port else 0)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(text: str) -> str:
    try:
        Address.parse(text)
    except ValueError as error:
        raise refused(str(error), 'such as "127.0.0.1:9401", or port 0 for any that is free') from error
    return text


Listen = Annotated[str, AfterValidator(_address)]


class MetricsSection(Section):
    """Where Prometheus reads the metrics of each flow."""

    listen: dict[FlowName, Listen] = Field(
        default={}, description="By flow, `host:port` at which its metrics are read; port 0: any that is free."
    )
    port_per_share: bool = Field(
        default=True,
        description="Process I of `--share I/N` listens I ports higher; false where each has a host of its own.",
    )
    cert_file: Place | None = Field(default=None, description="Certificate, with those above it: serve by TLS.")
    key_file: Place | None = Field(default=None, description="Its key, not encrypted.")
    client_ca_file: Place | None = Field(default=None, description="Serve only clients with a certificate of these.")
    unencrypted: bool = Field(default=False, description="Allow other machines to read them without TLS.")

    def address(self, flow: FlowName, number: int) -> Address | None:
        """Return where the process of this number serves a flow's metrics; None where they are not served."""
        if flow not in self.listen:
            return None
        address = Address.parse(self.listen[flow])
        return address.beside(number) if self.port_per_share else address

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise refused("cert_file and key_file: one needs the other", "name both, or none")
        if self.client_ca_file is not None and self.cert_file is None:
            raise refused("client_ca_file needs TLS", "name cert_file and key_file")
        for flow, text in self.listen.items():
            if not (Address.parse(text).is_loopback or self.cert_file or self.unencrypted):
                raise refused(
                    f"metrics of {flow} at {text} would be open to other machines, without TLS",
                    "set cert_file and key_file; or unencrypted, where the network may see them",
                )
        return self
