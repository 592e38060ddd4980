"""Compiles the kernels when the package is built or set up; without a C compiler the package works, slower.

They are a few C files without dependencies, called through ctypes: they need no Python headers, and one library
serves every Python version. ``CC`` names a compiler; otherwise the system's is taken, or Zig's where it is installed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("canonical/decoders", "dataflows/sources")
"""All C files of a folder become its ``kernel.so``."""
FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fPIC", "-shared", "-Wall", "-Wextra")


class KernelHook(BuildHookInterface):  # type: ignore[misc] # hatchling ships no types for it
    """Adds the compiled kernels to the wheel, or to the tree of an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Compile before the files of the wheel are gathered."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        compiler = find_compiler()
        if compiler is None:
            self.app.display_warning("No C compiler: records are decoded without the kernels, several times slower")
            return
        for folder in FOLDERS:
            done = compile_kernel(root / folder, compiler)
            if done.returncode:
                self.app.display_warning(
                    f"{compiler[0]} could not compile {folder}/*.c; the package works without, slower:\n{done.stderr}"
                )
                continue
            build_data["artifacts"].append(f"/{folder}/kernel.so")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def compile_kernel(folder: Path, compiler: list[str]) -> subprocess.CompletedProcess[str]:
    """Make the ``kernel.so`` of a folder; it knows its sources, so that it is told when others lie beside it.

    Source: canonical/compiled.py, which makes the same digest.
    """
    digest = zlib.crc32(b"".join(path.read_bytes() for path in sorted(folder.glob("*.[ch]"))))
    sources = map(str, sorted(folder.glob("*.c")))
    return subprocess.run(  # noqa: S603 - the user's own compiler, our own paths
        [*compiler, *FLAGS, f"-DSOURCE_DIGEST={digest}", "-o", str(folder / "kernel.so"), *sources],
        capture_output=True,
        text=True,
        check=False,
    )


def find_compiler() -> list[str] | None:
    """Return the command of a C compiler, None where there is none."""
    if named := os.environ.get("CC"):
        return shlex.split(named)
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    return [sys.executable, "-m", "ziglang", "cc"] if find_spec("ziglang") else None
