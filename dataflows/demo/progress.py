"""The progress of a demonstration on a console: a bar on a terminal, a line for each stage elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from dataflows.demo.demonstration import Stage, Watch


@contextmanager
def shown(console: Console) -> Iterator[Watch]:
    """Give what is to be told of the stages while the block runs."""
    began_s = time.monotonic()
    latest = ""
    columns = (
        TextColumn("records committed"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[documents]:,} documents of the ERPs"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=None, documents=0)

        def watch(stage: Stage) -> None:
            nonlocal latest
            if stage.text and stage.text != latest:
                latest = stage.text
                console.print(
                    f"{time.monotonic() - began_s:5.1f} s  {latest}", highlight=False, markup=False, soft_wrap=True
                )
            if stage.whole:
                progress.update(bar, completed=stage.done, total=stage.whole, documents=stage.documents)

        yield watch
