"""Who acts by a command, and why: what the audit trail will hold of it."""

from __future__ import annotations

from typing import Annotated

import typer

Reason = Annotated[str, typer.Option(help="Why; goes into the audit trail. Needed with --apply.")]
Actor = Annotated[str, typer.Option(help="Who; goes into the audit trail.", show_default="this user at this computer")]


def stated(actor: str, reason: str, *, apply: bool) -> tuple[str, str]:
    """Return who decides, and why. Raises: typer.BadParameter where that is not said, or cannot be kept."""
    from dataflows.trail.operator_trail import ACTOR_MAX, REASON_MAX

    if apply and not reason.strip():
        raise typer.BadParameter("say why: it goes into the audit trail", param_hint="--reason")
    for text, most, option in ((reason, REASON_MAX, "--reason"), (actor, ACTOR_MAX, "--actor")):
        if len(text) > most or not text.isprintable():
            raise typer.BadParameter(f"a line of at most {most:,} characters", param_hint=option)
    return actor or this_user(), reason.strip()


def this_user() -> str:
    """Return who runs this, at which computer."""
    import getpass
    import os
    import socket

    from dataflows.trail.operator_trail import ACTOR_MAX

    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return f"{name}@{socket.gethostname()}"[:ACTOR_MAX]
