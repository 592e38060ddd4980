"""``plantsync dead-letters``: the records that were set aside, and what to do about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from canonical.contracts.fault import FaultCode
from dataflows.cli.options import CONFIG, Config, Json

if TYPE_CHECKING:
    from canonical.contracts import DeadLetter

letters = typer.Typer(
    name="dead-letters",
    help="Look at records that were set aside: original bytes, what is wrong, what to do.",
    no_args_is_help=True,
)


@letters.command("list")
def list_letters(
    code: Annotated[FaultCode | None, typer.Option(help="Only this fault code.")] = None,
    plant: Annotated[str | None, typer.Option(help="Only this plant.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """List the newest dead letters, and how many there are of each code.

    Example: plantsync dead-letters list --code UNKNOWN_UNIT --plant B
    """
    from collections import Counter, deque

    from dataflows.cli.output import print_json
    from dataflows.dead_letter_box import letters as all_letters
    from dataflows.settings import load
    from sinks.dead_letters import DeadLetterUnreadable, parse

    newest: deque[tuple[str, DeadLetter]] = deque(maxlen=limit)
    codes: Counter[str] = Counter()
    unreadable: list[str] = []
    for place, stored in all_letters(load(config)):
        try:
            letter = parse(stored)
        except DeadLetterUnreadable as error:
            unreadable.append(f"{place}: {error}")
            continue
        if (code is None or letter.fault.code is code) and (plant is None or letter.fault.plant == plant):
            codes[letter.fault.code.value] += 1
            newest.append((place, letter))
    if as_json:
        shown = [{"place": place, **_summary(letter)} for place, letter in newest]
        print_json({"codes": dict(codes.most_common()), "letters": shown, "unreadable": unreadable})
    else:
        _print_list(newest, codes, unreadable)


@letters.command("show")
def show_letter(
    place: Annotated[str, typer.Argument(metavar="OFFSET", help="As the list shows it; on Kafka PARTITION:OFFSET.")],
    as_json: Json = False,
    config: Config = CONFIG,
) -> None:
    """Show one dead letter: the original bytes, key and headers, the fault, and what to do.

    Example: plantsync dead-letters show 17
    """
    from canonical.contracts import Header
    from dataflows.cli.output import print_json, results
    from dataflows.dead_letter_box import HINTS, fetched_again
    from dataflows.dead_letter_box import letter as find
    from dataflows.settings import load
    from dataflows.sources.clock import SystemClock
    from sinks.dead_letters import parse

    settings = load(config)
    stored = find(settings, place)
    letter = parse(stored)
    if not letter.original and (found := fetched_again(settings, stored, SystemClock())) is not None:
        value, key, own = found
        headers = tuple(Header(name=name, value=content) for name, content in own)
        letter = letter.model_copy(update={"value": value, "key": key, "headers": headers, "original": True})
    hint = HINTS[letter.fault.code]
    if as_json:
        import base64

        encoded = [{"name": h.name, "value": base64.b64encode(h.value).decode()} for h in letter.headers]
        content = {
            "key_base64": None if letter.key is None else base64.b64encode(letter.key).decode(),
            "value_base64": base64.b64encode(letter.value).decode(),
            "headers_base64": encoded,
        }
        print_json({"place": place, **_summary(letter), "original": letter.original, **content, "hint": hint})
        return
    console = results()
    rows = {name: value for name, value in _summary(letter).items() if value not in ("", None, -1)}
    rows["to do"] = hint
    if letter.key is not None:
        rows["key"] = _shown(letter.key)
    rows |= {f"header {header.name}": _shown(header.value) for header in letter.headers}
    width = max(map(len, rows))
    for name, value in rows.items():
        console.print(f"{name:<{width}}  {value}", markup=False, highlight=False)
    kind = (
        "Original" if letter.original else "Its bytes were not kept, and are not in the input any more; what is known"
    )
    console.print(f"\n{kind}, {len(letter.value):,} bytes:", markup=False, highlight=False)
    console.print(_shown(letter.value), markup=False, highlight=False)


def _summary(letter: DeadLetter) -> dict[str, Any]:
    from datetime import UTC, datetime

    fault = letter.fault
    return {
        "code": fault.code.value,
        "detail": fault.detail,
        "plant": fault.plant,
        "source": fault.source,
        "session": fault.session,
        "seq": fault.seq,
        "stage": letter.stage,
        "topic": letter.topic,
        "partition": letter.partition,
        "input_offset": fault.offset,
        "failed": datetime.fromtimestamp(letter.failed_us / 1e6, UTC).isoformat(timespec="seconds"),
        "attempts": letter.attempts,
    }


def _shown(value: bytes) -> str:
    """Return bytes as text where they are text without control characters, else as a hex dump."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if all(c.isprintable() or c in "\n\t" for c in text):
        return text
    lines = []
    for start in range(0, len(value), 16):
        part = value[start : start + 16]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):<47}  {letters}")
    return "\n".join(lines)


def _print_list(newest: Any, codes: Any, unreadable: list[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    from dataflows.cli.output import results

    console = results()
    if not codes and not unreadable:
        console.print("There are none.", highlight=False)
        return
    table = Table(header_style="bold")
    table.add_column("offset", justify="right", no_wrap=True)
    for name in ("code", "plant", "source", "detail"):
        table.add_column(name, overflow="fold")
    for place, letter in newest:
        fault = letter.fault
        table.add_row(*map(Text, (place, fault.code.value, fault.plant, fault.source, fault.detail)))
    console.print(table)
    counts = ", ".join(f"{count:,} {code}" for code, count in codes.most_common())
    console.print(f"{sum(codes.values()):,} in all: {counts}", highlight=False)
    for line in unreadable:
        console.print(f"unreadable: {line}", markup=False, highlight=False)
