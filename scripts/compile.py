"""Compile the modules on the path of every message into the wheel: a build hook of hatchling, off unless asked for.

    HATCH_BUILD_HOOK_ENABLE_CUSTOM=true pip wheel .

mypyc makes an extension of each module in ``MODULES``. Their sources are in the wheel, too: tracebacks quote them, and
what stands beside them is what is imported. Rules for a module that is to be compiled:

1. No class in it is a ``msgspec.Struct``: mypyc drops the keywords of a class (``frozen=True``), without a word.
2. No class in it has a subclass that is not compiled: to make one of those is a TypeError.
3. What recurses has a limit of its own: C does not count towards Python's.
4. What is read for every message is ``Final``: other names of a module are looked up in its dictionary each time.
5. ``make compiled`` passes, which runs the tests on the wheel.
"""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULES = (
    "binding", "blueprint", "bodies", "buckets", "connection", "eager", "hub", "membership", "protocols/engineio",
    "protocols/native", "protocols/socketio", "protocols/socketio_msgpack", "protocols/socketio_packets",
    "reception", "servers/front", "servers/lane", "servers/outlet", "servers/websocket", "spares", "topics",
)  # fmt: skip

FLAGS = ["-fvisibility=hidden", "-fno-semantic-interposition", "-fno-plt"]
"""Nobody puts functions of their own in the place of ours, so they may call each other directly: 3 to 8 % less time."""


def compiled(source: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    """Compile below this folder. Gives each file that was made, and its place in the wheel."""
    from mypyc.build import mypycify  # there only while a wheel is compiled
    from setuptools import Distribution

    made = folder / "made"
    with contextlib.chdir(source):  # tracebacks name the files as seen from here, and so find them once installed
        extensions = mypycify(
            [
                "--ignore-missing-imports",  # of extras, which need not be here
                f"--cache-dir={folder / 'cache'}",
                *(f"hubbub/{module}.py" for module in MODULES),
            ],
            target_dir=str(folder / "c"),
            group_name="hubbub",
        )
        for extension in extensions if sys.platform == "linux" else ():
            extension.extra_compile_args += FLAGS
        build = Distribution({"name": "hubbub", "ext_modules": extensions}).get_command_obj("build_ext")
        build.build_lib, build.build_temp = str(made), str(folder / "objects")
        build.ensure_finalized()
        build.run()
    for path in made.rglob("*.*"):
        yield path, str(path.relative_to(made))


class Compiled(BuildHookInterface):  # type: ignore[type-arg]
    """What hatchling calls before it packs a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            raise RuntimeError("an editable install is not compiled: what is imported there is what one edits")
        self._folder = tempfile.TemporaryDirectory()  # until it is packed
        for made, place in compiled(Path(self.root, "src"), Path(self._folder.name)):
            build_data["force_include"][str(made)] = place
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._folder.cleanup()
