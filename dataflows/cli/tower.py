"""``plantsync tower``: the control tower, a web page that shows what flows and what is stuck."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from dataflows.cli.options import CONFIG, Config, Json

TOKEN_DAYS = 90
TOKEN_DAYS_MAX = 3_650

tower = typer.Typer(
    name="tower",
    help="Serve the control tower: what flows, what is stuck, for whom it waits, and decisions about it.",
)


class RoleName(StrEnum):
    """What somebody is to the pipeline."""

    VIEWER = "viewer"
    PLANT_SUPERVISOR = "plant-supervisor"
    INTEGRATION_SUPPORT = "integration-support"
    AUDITOR = "auditor"


@tower.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where; port 0: any free one.", show_default="tower.listen")
    ] = "",
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """Serve the control tower until SIGTERM: what flows, what is stuck, for whom it waits, and decisions about it.

    Without tower.tokens and tower.oidc it listens on this machine only, and shows without changing anything.

    Example: plantsync tower --listen 127.0.0.1:8080
    """
    if context.invoked_subcommand is not None:
        return
    import json
    import logging
    import secrets
    import sys

    from dataflows.cli.actor import this_user
    from dataflows.settings import load
    from dataflows.sources.clock import SystemClock
    from dataflows.tower.server import serve as serve_site
    from dataflows.tower.site import Site

    def ready(url: str) -> None:
        line = json.dumps({"ready": True, "url": url}) if as_json else f"The control tower is at {url}"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    serve_site(Site(load(config), this_user(), SystemClock(), secrets.token_bytes), listen, ready)


@tower.command("token")
def token(
    role: Annotated[RoleName, typer.Option(help="What she may do.")],
    subject: Annotated[str, typer.Option(help="Who she is; goes into the audit trail with all she decides.")],
    plant: Annotated[list[str] | None, typer.Option(help="Of a plant supervisor; may be repeated.")] = None,
    days: Annotated[int, typer.Option(min=1, max=TOKEN_DAYS_MAX, help="It holds so long.")] = TOKEN_DAYS,
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """Make a token to sign in with: it is shown once, and the file of tokens keeps only its hash.

    Example: plantsync tower token --role plant-supervisor --plant A --subject anna
    """
    import secrets
    from datetime import UTC, datetime, timedelta

    from dataflows.cli.output import errors, print_json, results
    from dataflows.settings import load
    from dataflows.tower.person import Grant, Role
    from dataflows.tower.token_file import add_token
    from dataflows.trail.operator_trail import ACTOR_MAX

    if not subject or len(subject) > ACTOR_MAX or not subject.isprintable():
        raise typer.BadParameter(f"a name of at most {ACTOR_MAX} characters", param_hint="--subject")
    if (role is RoleName.PLANT_SUPERVISOR) != bool(plant):
        raise typer.BadParameter("a plant supervisor has plants, and nobody else", param_hint="--plant")
    settings = load(config)
    if settings.tower.tokens is None:
        raise typer.BadParameter("the settings name no file for tokens: set tower.tokens", param_hint="--config")
    known = {each.plant for each in settings.mappings()}
    if strangers := sorted({*(plant or ())} - known) if "" not in known else []:
        raise typer.BadParameter(f"the settings know no plant {', '.join(strangers)}", param_hint="--plant")
    expires = datetime.now(UTC) + timedelta(days=days)
    grant = Grant(Role(role.value), tuple(plant or ()))
    name, made = add_token(settings.tower.tokens, subject, grant, expires, secrets.token_bytes)
    if as_json:
        print_json({"id": name, "token": made, "expires": expires.isoformat(timespec="seconds")})
        return
    results().print(made, markup=False, highlight=False, soft_wrap=True)
    errors().print(
        f"This is shown once. It holds until {expires:%Y-%m-%d}; who takes [[token]] {name} out of "
        f"{settings.tower.tokens} ends it.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
