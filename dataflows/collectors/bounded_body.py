"""The body of an answer over HTTP, unpacked, within its bound."""

from __future__ import annotations

from typing import Final

import requests

_PART_BYTES: Final = 1 << 16


def bounded_body(answer: requests.Response, bytes_max: int) -> bytes:
    """Return the body; of one that is longer the beginning, a little more than it may be, however small it was packed.

    Raises: requests.RequestException.
    """
    body = bytearray()
    for part in answer.iter_content(_PART_BYTES):
        body += part
        if len(body) > bytes_max:
            break
    return bytes(body)
