"""``plantsync simulate --prove``: the laws under simulated crashes, for the plants of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from canonical.mapping import PlantMapping
    from dataflows.proof.campaign import Verdict
    from dataflows.proof.tally import Tally

SEEDS = 1_000


def prove(config: Path, seeds: int | None, seed: int | None, jobs: int | None, *, as_json: bool) -> None:
    """Run schedules and say whether every law held; with a seed, that one schedule and what happened in it.

    Raises: typer.Exit with code 1 where a law is broken.
    """
    from dataflows.cli.output import print_json

    if seed is not None and (seeds is not None or jobs is not None):
        raise typer.BadParameter("--seed runs one schedule", param_hint="--seed, --seeds, --jobs")
    plants, whose = _plants(config)
    if seed is not None:
        verdict = _one(plants, seed)
        if as_json:
            print_json({"seed": seed, "plants": whose, "broken": _told(verdict), "trace": verdict.trace})
        else:
            _say(str(verdict))
        raise typer.Exit(1 if verdict.broken else 0)
    tally, seconds = _many(plants, seeds or SEEDS, jobs, quiet=as_json)
    if as_json:
        summary = {**tally.summary(), "plants": whose, "seconds": round(seconds, 1)}
        print_json({**summary, "broken_schedules": [_told(verdict) for verdict in tally.verdicts]})
    else:
        _report(tally, whose, seconds, config if config.is_file() else None)
    raise typer.Exit(1 if tally.broken else 0)


def _plants(config: Path) -> tuple[list[PlantMapping], list[str]]:
    """Return the plants of the settings in plain words, or the shipped ones where there are no settings."""
    from canonical.mapping import load as load_mapping
    from canonical.plants import shipped
    from dataflows.cli.options import CONFIG
    from dataflows.proof import plain
    from dataflows.settings import load

    if config == CONFIG and not config.is_file():
        mappings = [load_mapping(path) for path in shipped()]
    else:
        mappings = load(config).mappings()
    return [plain(mapping) for mapping in mappings], [mapping.plant or mapping.title for mapping in mappings]


def _one(plants: Sequence[PlantMapping], seed: int) -> Verdict:
    import logging

    from dataflows.proof import Campaign

    logger = logging.getLogger("dataflows")
    level = logger.level
    logger.setLevel(logging.ERROR)  # Simulated outages are no news.
    try:
        return Campaign(plants).run(seed)
    finally:
        logger.setLevel(level)


def _many(plants: Sequence[PlantMapping], seeds: int, jobs: int | None, *, quiet: bool) -> tuple[Tally, float]:
    """Run all seeds, in several processes; return what they amount to and the seconds they took."""
    import time

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from dataflows.cli.output import errors

    began = time.monotonic()
    console = errors()
    columns = (TextColumn("schedules"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("schedules", total=seeds)
        tally = in_processes(plants, seeds, jobs, lambda done: progress.advance(task, done))
    return tally, time.monotonic() - began


def in_processes(
    plants: Sequence[PlantMapping], seeds: int, jobs: int | None, told: Callable[[int], object] = bool
) -> Tally:
    """Run seeds 0 to ``seeds`` - 1 in so many processes, as many as there are cores by default.

    Args: told: is told how many schedules are done, again and again.
    """
    import multiprocessing
    import os
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from itertools import pairwise

    from dataflows.proof.campaign import WORKLOAD_SEEDS
    from dataflows.proof.tally import Tally, run_seeds

    tally = Tally()
    bounds = [*range(0, seeds, WORKLOAD_SEEDS), seeds]
    count = min(jobs or os.cpu_count() or 1, len(bounds) - 1)
    # Processes of their own: forked ones would share the threads of what is loaded here.
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _quiet) as pool:
        work = [pool.submit(run_seeds, plants, a, b) for a, b in pairwise(bounds)]
        for done in as_completed(work):
            tally.merge(done.result())
            told(done.result().schedules)
    return tally


def _quiet() -> None:
    import gc
    import logging

    logging.getLogger("dataflows").setLevel(logging.ERROR)
    gc.freeze()  # What is loaded stays; only what schedules make is looked through.


def _report(tally: Tally, whose: list[str], seconds: float, config: Path | None) -> None:
    summary: dict[str, Any] = tally.summary()
    faults: dict[str, dict[str, int]] = summary["faults"]
    totals = {kind: sum(places.values()) for kind, places in faults.items()}
    _say(
        f"{tally.schedules:,} schedules over the policies of {', '.join(whose)} in {seconds:.1f} s"
        f" ({tally.schedules / seconds:.0f} a second): "
        + (f"{tally.broken:,} BROKEN" if tally.broken else "every law holds in each")
    )
    _say("  crashes:  " + ", ".join(f"{place} {count:,}" for place, count in faults["crash"].items()))
    _say(
        f"  besides:  {totals['pause']:,} pauses, {summary['fenced']:,} processes fenced,"
        f" {totals['rescale']:,} rescales, {totals['unavailable']:,} outages,"
        f" {totals['in doubt']:,} commits in doubt, {totals['slow']:,} slow calls"
    )
    _say(
        f"  traffic:  {summary['records']:,} records, {summary['commits']:,} commits,"
        f" {summary['confirmations']:,} confirmations, {summary['gaps declared']:,} gaps,"
        f" {summary['late records']:,} late, {summary['duplicates']:,} duplicates, {summary['faulty records']:,} faults"
    )
    _say(f"  compared: {summary['compared with no faults']:,} with their uninterrupted run, by id and content")
    for verdict in tally.verdicts:
        _say(
            f"\n{verdict}\n  replay:   plantsync simulate --prove --seed {verdict.seed}"
            + (f" -c {config}" if config else "")
        )


def _told(verdict: Verdict) -> dict[str, Any] | None:
    if verdict.broken is None:
        return None
    broken = verdict.broken
    told = {"seed": verdict.seed, "plant": verdict.plant, "law": str(broken.law)}
    return {**told, "expected": broken.expected, "found": broken.found, "trace": verdict.trace}


def _say(text: str) -> None:
    from dataflows.cli.output import results

    results().print(text, highlight=False, markup=False, soft_wrap=True)
