"""``python -m tests.fuzz``: mutated messages through every decoder and the whole path, in child processes.

Exits with 0 when every promise held, with 1 when one did not; what broke it is minimised and written to ``--out``.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tests.fuzz.campaign import Report, campaign, say
from tests.fuzz.targets import all_targets

_NO_CODES = ("events", "skipped", "duplicates", "held", "unreadable")


def main() -> int:
    names = sorted(all_targets())
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--target", action="append", default=[], choices=names, help="only this one; may be repeated")
    parser.add_argument(
        "--out", type=Path, default=Path("build/fuzz"), help="where inputs that broke something are written"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    given = parser.parse_args()
    report = campaign(given.messages, given.seed, given.jobs, given.out, given.target, say)
    if given.json:
        print(json.dumps({**asdict(report), "messages": report.messages}, default=str, indent=1))
    else:
        _print(report)
    return 1 if report.findings else 0


def _print(report: Report) -> None:
    print(f"{'':22}{'messages':>10}{'events':>9}{'faults':>9}{'msg/s':>8}{'slowest':>9}{'peak MiB':>9}  most faults")
    for name, line in sorted(report.lines.items()):
        codes = {code: n for code, n in line.tally.most_common() if code not in _NO_CODES}
        most = ", ".join(f"{code} {n}" for code, n in list(codes.items())[:4])
        rate = line.messages / line.cpu_s if line.cpu_s else 0.0
        print(
            f"{name:22}{line.messages:>10,}{line.tally['events']:>9,}{sum(codes.values()):>9,}{rate:>8,.0f}"
            f"{line.slowest_s:>7.2f} s{line.peak_bytes / 2**20:>9.1f}  {most}"
        )
    computing = sum(line.cpu_s for line in report.lines.values())
    grown = (report.rss_bytes - report.rss_settled_bytes) >> 20
    print(
        f"{report.messages:,} messages in {report.seconds:.0f} s ({computing:.0f} s of computing), seed {report.seed}; "
        f"{len(report.findings)} found; "
        f"largest child {report.rss_bytes >> 20} MiB, {grown} MiB more than after its first batches"
    )
    for finding in report.findings:
        print(f"FOUND {finding.target} batch {finding.index}: {finding.what}\n      kept as {finding.kept}")


if __name__ == "__main__":
    sys.exit(main())
