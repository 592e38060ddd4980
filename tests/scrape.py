"""What Prometheus reads of a flow: every sample by its name and the values of its labels, sorted by their names."""

from __future__ import annotations

import socket
import urllib.request
from contextlib import closing

from prometheus_client.parser import text_string_to_metric_families

WAIT_S = 60
Samples = dict[tuple[str, ...], float]


def samples(text: str) -> Samples:
    """Read the text with the library's own parser."""
    families = text_string_to_metric_families(text)
    return {(s.name, *(v for _, v in sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def scrape(url: str) -> Samples:
    """Read it over HTTP."""
    with closing(urllib.request.urlopen(url, timeout=WAIT_S)) as answer:
        return samples(answer.read().decode())


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens at."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports
