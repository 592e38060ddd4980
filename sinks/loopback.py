"""Whether a host is this machine: what goes there leaves it for nobody."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

_LOCALHOST: Final = "localhost"


def is_loopback(host: str) -> bool:
    """Return whether only this machine is meant by an address, or by the one name that always means it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == _LOCALHOST
