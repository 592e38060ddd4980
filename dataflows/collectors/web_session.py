"""Connections to a server over HTTP that rest on our settings and on nothing else of the machine."""

from __future__ import annotations

from pathlib import Path

import requests
from pydantic import SecretStr


def web_session(
    accept: str, ca_file: Path | None, token: SecretStr | None = None, user: str = "", password: SecretStr | None = None
) -> requests.Session:
    """Return a session: what answers may be, the certificates trusted in place of the public ones, and who asks."""
    session = requests.Session()
    session.trust_env = False  # No proxy and no password of somebody's home folder.
    session.headers["Accept"] = accept
    if ca_file is not None:
        session.verify = str(ca_file)
    if token is not None:
        session.headers["Authorization"] = f"Bearer {token.get_secret_value()}"
    elif user:
        session.auth = (user, password.get_secret_value() if password else "")
    return session
