"""Compiles the JSON kernel when the package is built or set up; without a C compiler the package works, slower.

The kernel is one C file without dependencies, called through ctypes: it needs no Python headers, and one library
serves every Python version. ``CC`` names a compiler; otherwise the system's is taken, or Zig's where it is installed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "canonical/decoders/json_fields.c"
LIBRARY = "canonical/decoders/json_fields.so"
FLAGS = ("-std=c11", "-O3", "-fPIC", "-shared", "-Wall", "-Wextra")


class KernelHook(BuildHookInterface):  # type: ignore[misc] # hatchling ships no types for it
    """Adds the compiled kernel to the wheel, or to the tree of an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Compile before the files of the wheel are gathered."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        compiler = find_compiler()
        if compiler is None:
            self.app.display_warning("No C compiler: JSON is decoded without the kernel, at about a third of the speed")
            return
        done = subprocess.run(  # noqa: S603 - the user's own compiler, our own paths
            [*compiler, *FLAGS, "-o", str(root / LIBRARY), str(root / SOURCE)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            self.app.display_warning(
                f"{compiler[0]} could not compile {SOURCE}; JSON is decoded without:\n{done.stderr}"
            )
            return
        build_data["artifacts"].append(f"/{LIBRARY}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def find_compiler() -> list[str] | None:
    """Return the command of a C compiler, None where there is none."""
    if named := os.environ.get("CC"):
        return shlex.split(named)
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    return [sys.executable, "-m", "ziglang", "cc"] if find_spec("ziglang") else None
