"""What a torture amounts to: kills by place, restarts, how soon a restarted flow commits, and the verdict."""

from __future__ import annotations

from collections import Counter, defaultdict

from tests.torture.place import IN_COMMIT, Place


def summary(results, seconds, seed):
    """Return plain values for ``results``, a list of (kind, Result)."""
    kills = sum((result.kills for _, result in results), Counter())
    first = defaultdict(list)
    for _, result in results:
        for *key, first_s in result.first_commits_s:
            first[" ".join(key)].append(first_s)
    series = defaultdict(Counter)
    for kind, result in results:
        series[kind.name].update(
            series=1,
            kills=result.kills.total(),
            restarts=result.restarts,
            takeovers=result.takeovers,
            fenced=result.fenced,
            records=result.records,
            seconds=result.seconds,
            failed=bool(result.problems),
        )
    inside = {place.name for place in IN_COMMIT}
    return {
        "seed": seed,
        "kills": kills.total(),
        "kills_inside_commits": sum(n for key, n in kills.items() if key[-1] in inside),
        "kills_by_place": [[*key, n] for key, n in sorted(kills.items())],
        "restarts": sum(result.restarts for _, result in results),
        "records": sum(result.records for _, result in results),
        "seconds": round(seconds, 1),
        "first_commit_after_restart_s": {key: _quantiles(values) for key, values in sorted(first.items())},
        "series": {name: {k: round(v, 1) for k, v in counts.items()} for name, counts in series.items()},
        "problems": [problem for _, result in results for problem in result.problems],
        "passed": not any(result.problems for _, result in results),
    }


def _quantiles(values):
    ordered = sorted(values)
    at = {name: ordered[int(q * (len(ordered) - 1))] for name, q in (("p50", 0.5), ("p90", 0.9), ("max", 1))}
    return {"runs": len(ordered)} | {name: round(value, 3) for name, value in at.items()}


def text(told):
    """Return the summary for people."""
    places = [place.name for place in Place]
    lines = [f"{'killed (SIGKILL)':42}" + "".join(f"{name.lower().replace('_', ' '):>21}" for name in places)]
    rows = defaultdict(Counter)
    for log, flow, count, how, place, n in told["kills_by_place"]:
        rows[f"{log}, {flow}, {how}, {count} process{'es' if count > 1 else ''}"][place] += n
    rows["all"] = sum(rows.values(), Counter())
    lines += [f"{name:42}" + "".join(f"{row[place]:21}" for place in places) for name, row in rows.items()]
    lines.append("")
    for name, counts in told["series"].items():
        counted = ", ".join(
            f"{counts[key]} {key}"
            for key in ("series", "kills", "restarts", "takeovers", "fenced", "records", "seconds")
        )
        lines.append(f"{name:18} {counted}{', FAILED' if counts['failed'] else ''}")
    lines += [f"{name:18} left out: workload W's generator is not at hand" for name in told["left_out"]]
    lines.append("")
    for name, q in told["first_commit_after_restart_s"].items():
        lines.append(
            f"restart to first commit, {name}: p50 {q['p50']} s, p90 {q['p90']} s, max {q['max']} s ({q['runs']})"
        )
    lines += ["", *told["problems"]]
    verdict = "nothing lost, nothing twice" if told["passed"] else "FAILED"
    lines.append(
        f"{told['kills']} kills, {told['kills_inside_commits']} of them inside a commit, {told['restarts']} restarts, "
        f"{told['records']} records, {told['seconds']} s, seed {told['seed']}: {verdict}"
    )
    return "\n".join(lines)
