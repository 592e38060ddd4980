"""Kernels that are not compiled from this release are told, at the start of a flow and by the doctor."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from canonical.compiled import INSTEAD, Compiled
from dataflows import runtime
from dataflows.health.kernel_health import kernel_finding
from dataflows.kernels import REMEDY, troubles
from dataflows.sources import partition_queue
from tests.mapped_plant import MappedPlant, line

ROOT = Path(__file__).parents[2]
FILE, DIGEST = "partition_messages.c", "source_digest.c"
LAYOUT = (FILE, "struct taking {", "struct taking {\n    int64_t added;")
CODE = (FILE, "#define ERROR_TEXT 512", "#define ERROR_TEXT 256 + 256")
BY_HAND = (DIGEST, "= SOURCE_DIGEST", "= 0")
BEFORE = (DIGEST, "source_digest =", "another_name =")
compiled = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")


@pytest.fixture
def older(tmp_path: Path) -> Callable[..., Compiled]:
    """Compile sources as set-up does, then have those of this release lie beside; take from it what the flow takes."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    hatch_build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hatch_build)

    def make(file: str = FILE, new: str = "", old: str = "") -> Compiled:
        folder = tmp_path / "kernel"
        folder.mkdir()
        for path in (ROOT / "dataflows/sources").glob("*.c"):
            shutil.copy(path, folder)
        source = (folder / file).read_text()
        assert new in source
        (folder / file).write_text(source.replace(new, old) if new else source)
        done = hatch_build.compile_kernel(folder, ["cc"])
        assert done.returncode == 0, done.stderr
        (folder / file).write_text(source)
        return taken(Compiled(folder / "kernel.so"))

    return make


def taken(kernel: Compiled) -> Compiled:
    for name in ("take", "let_go"):
        kernel.function(name, (ctypes.c_void_p,), partition_queue._LAYOUTS, None)
    return kernel


@compiled
@pytest.mark.parametrize("changed", [(), BY_HAND], ids=["set up", "by hand"])
def test_a_kernel_of_this_release_is_in_use(older, changed):
    kernel = older(*changed)

    assert list(troubles([kernel])) == []
    assert kernel_finding([kernel]).state == "fine"


@compiled
def test_a_kernel_of_another_layout_is_not_taken_and_told_once_when_a_flow_starts(older, tmp_path, monkeypatch, caplog):
    kernel = older(*LAYOUT)
    assert kernel.function("take", (), partition_queue._LAYOUTS) is None
    absent = Compiled(tmp_path / "kernel.so")
    monkeypatch.setattr(runtime, "KERNELS", (kernel, absent))
    plant = MappedPlant(tmp_path)

    plant.lands("1.json", line(0))

    (told,) = [record for record in caplog.records if "kernel" in record.message]
    assert told.levelname == "WARNING"
    assert told.message == (
        f"{kernel.path}: it was compiled from another release, and its take, let_go cannot be called, "
        f"so {INSTEAD}; {REMEDY}"
    )
    found = kernel_finding([kernel])
    assert (found.state, found.detail) == ("note", told.message)


@compiled
@pytest.mark.parametrize("changed", [CODE, BEFORE], ids=["code", "from before it knew its sources"])
def test_a_kernel_that_is_older_in_its_code_alone_is_told(older, changed):
    kernel = older(*changed)

    assert kernel.function("take", (), partition_queue._LAYOUTS) is not None
    (told,) = troubles([kernel])
    assert "compiled from other C files than those beside it" in told
    assert kernel_finding([kernel]).state == "note"

    for path in kernel.path.parent.glob("*.c"):
        path.unlink()
    assert list(troubles([kernel])) == [], "what it was compiled from is not known"


def test_a_kernel_that_cannot_be_loaded_is_told_and_one_that_is_absent_is_no_problem(tmp_path):
    kernel = taken(Compiled(tmp_path / "kernel.so"))
    absent = kernel_finding([kernel])
    assert list(troubles([kernel])) == []
    assert absent.state == "note"
    assert str(kernel.path) in absent.detail
    assert REMEDY in absent.detail

    kernel.path.write_text("of another machine")
    (told,) = troubles([taken(Compiled(kernel.path))])

    assert "cannot be loaded" in told
    assert REMEDY in told
