"""Where neither a broker nor Java is there, tests that need one skip with the reason; in CI they fail."""

import os
import subprocess
import sys

TEST = "tests/conformance/test_commit_log.py::test_a_new_shard_has_no_snapshot[kafka]"
REASON = "java is not installed; install it, or set PLANTSYNC_KAFKA=host:port"


def run(tmp_path, **environment):
    kept = {name: value for name, value in os.environ.items() if name not in {"CI", "PLANTSYNC_KAFKA"}}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TEST],
        env=kept | {"PATH": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_java_it_skips_with_the_reason(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0
    assert "1 skipped" in done.stdout
    assert REASON in done.stdout


def test_in_ci_that_skip_is_a_failure(tmp_path):
    done = run(tmp_path, CI="true")
    assert done.returncode == 1
    assert f"may not be skipped in CI. Skipped: {REASON}" in done.stdout
