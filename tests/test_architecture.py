"""The rules of ARCHITECTURE.md that can be read off the source: who may import whom, what is pure, who listens, how
long things are. Each check takes the package's folder, so the same code judges the project and a copy with a fault."""

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "hubbub"

ROWS = (
    {"errors", "version"},
    {"history", "presence", "leases", "limits", "buckets", "exposition", "patterns"},
    {"messages"},
    {"bodies"},
    {"envelope"},
    {"protocols"},
    {"brokers"},
    {"drivers", "tasks"},
    {"spares"},
    {"auth", "background", "config", "telemetry", "deadlines", "eager", "lines", "outbox", "workers"},
    {"connection"},
    {"introduction"},
    {"topics"},
    {"hub"},
    {"recovery"},
    {"nodes"},
    {"gossip", "gathering"},
    {"abroad"},
    {"attendance"},
    {"shapes"},
    {"binding"},
    {"channels"},
    {"blueprint"},
    {"membership"},
    {"draining", "signals"},
    {"sockets"},
    {"servers"},
    {"reception"},
    {"metrics"},
    {"app"},
    {"hubbub"},
    {"testing", "console", "cli"},
    {"__main__"},
)
"""Each room imports only from the rows above its own, and from itself; ``hubbub`` is the package's public face."""
HEIGHT = {room: height for height, row in enumerate(ROWS) for room in row}

STANDS_ON = {"socketio": "engineio", "sockjs": "native", "sse": "http", "polling": "http"}
"""Which protocol may import another. A protocol's further files begin with its name: ``socketio_packets``."""

PURE = re.compile(
    r"(errors|history|presence|leases|gossip|limits|buckets|messages|bodies|exposition|envelope|shapes|outbox|patterns|protocols"
    r"|servers\.(websocket|control|deflate|handshake|routes))\b"
)
IMPURE = {"asyncio", "socket", "ssl", "time", "threading", "random", "secrets", "logging"}
"""Time, ids and randomness are arguments of what is pure."""

LISTENING = {"create_server", "create_unix_server", "start_server", "start_unix_server", "create_datagram_endpoint"}
SERVERS = {"uvicorn", "hypercorn", "granian"}

NOTHING_SAID = re.compile(r"manager|helper|utils?$|common|^core|impl|service|factory|misc")
FILE_LINES, FUNCTION_LINES = 400, 60


def faults(package: Path, files: str = "**/*.py") -> list[str]:
    """Where the rules are broken."""
    return [
        f"{path.relative_to(package)}: {fault}"
        for path in sorted(package.glob(files))
        for fault in judge(path, package)
    ]


def judge(path: Path, package: Path) -> Iterator[str]:
    module = ".".join(path.relative_to(package).with_suffix("").parts).removesuffix("__init__").rstrip(".") or "hubbub"
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    imported = list(imports(tree, package))
    yield from order(module, imported)
    yield from purity(module, imported)
    yield from listening(module, imported, tree)
    yield from size(path, text, tree)


def imports(tree: ast.AST, package: Path) -> Iterator[str]:
    """What is imported when the code runs: ``messages`` for ``hubbub.messages``, ``/asyncio`` for what is not ours."""
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING":
        return
    if isinstance(tree, ast.Import):
        yield from (ours(alias.name, package) for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom):
        yield from (ours(f"{tree.module}.{alias.name}", package) for alias in tree.names)
    for child in ast.iter_child_nodes(tree):
        yield from imports(child, package)


def ours(name: str, package: Path) -> str:
    first, *parts = name.split(".")
    if first != "hubbub":
        return f"/{first}"
    while parts and not (package.joinpath(*parts).is_dir() or package.joinpath(*parts).with_suffix(".py").is_file()):
        parts.pop()  # a name inside a module
    return ".".join(parts) or "hubbub"


def order(module: str, imported: list[str]) -> Iterator[str]:
    room, _, part = module.partition(".")
    for name in imported:
        other, _, concrete = name.partition(".")
        if name.startswith("/"):
            continue
        if room not in HEIGHT:
            yield f"the room {room} has no place in the order"
        elif other != room and HEIGHT.get(other, 99) >= HEIGHT[room]:
            yield f"{room} may not import {name}"
        elif other == room == "protocols" and part and concrete not in ("", "base"):
            mine, its = part.partition("_")[0], concrete.partition("_")[0]
            if its not in (mine, STANDS_ON.get(mine)):
                yield f"the protocol {mine} may not stand on {its}"
        elif other in ("protocols", "brokers") and other != room and concrete != "base" and module != "app":
            yield f"{name}: parts are named by their tables and by app alone"


def purity(module: str, imported: list[str]) -> Iterator[str]:
    if PURE.match(module):
        for name in imported:
            if name.removeprefix("/") in IMPURE or not (name.startswith("/") or PURE.match(name)):
                yield f"is pure, and may not import {name.removeprefix('/')}"


def listening(module: str, imported: list[str], tree: ast.AST) -> Iterator[str]:
    if module.startswith("servers"):
        return
    calls = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for name in sorted(calls & LISTENING | {name[1:] for name in imported if name[1:] in SERVERS}):
        yield f"{name}: only servers/ listens"


def size(path: Path, text: str, tree: ast.AST) -> Iterator[str]:
    if (lines := text.count("\n")) > FILE_LINES:
        yield f"has {lines} lines"
    if NOTHING_SAID.search(path.stem):
        yield "has a name that says nothing"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{node.name} has {lines} lines"


def test_the_source_keeps_the_rules() -> None:
    assert faults(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "line", "fault"),
    [
        ("protocols/native.py", "import asyncio", "is pure, and may not import asyncio"),
        ("servers/websocket.py", "from time import monotonic", "is pure, and may not import time"),
        ("servers/websocket.py", "from hubbub import auth", "is pure, and may not import auth"),
        ("messages.py", "from hubbub.protocols.base import Line", "messages may not import protocols.base"),
        ("connection.py", "def late():\n    from hubbub.hub import Hub", "connection may not import hub"),
        ("protocols/engineio.py", "from hubbub.protocols.native import Native", "may not stand on native"),
        ("hub.py", "import hubbub.brokers.memory", "parts are named by their tables"),
        ("hub.py", "from hubbub import brokers", "parts are named by their tables"),
        ("servers/carriers.py", "from hubbub import App", "servers may not import hubbub"),
        ("cli/run.py", "from uvicorn import run", "only servers/ listens"),
        ("app.py", "server = asyncio.start_server", "only servers/ listens"),
        ("utils.py", "pass", "a name that says nothing"),
        ("hub.py", "pass\n" * 400, "lines"),
        ("hub.py", "def endless():\n" + "    pass\n" * 60, "endless has 61 lines"),
    ],
)
def test_a_broken_rule_is_found(tmp_path: Path, file: str, line: str, fault: str) -> None:
    package = tmp_path / "hubbub"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("static", "__pycache__"))
    with (package / file).open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    assert [found for found in faults(package, file) if fault in found]


def test_no_module_that_is_compiled_has_a_struct() -> None:
    """Rule 1 of scripts/compile.py: it would lose ``frozen=True``."""
    tree = ast.parse((PACKAGE.parents[1] / "scripts" / "compile.py").read_text(encoding="utf-8"))
    (modules,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MODULES"
    )
    for module in modules:
        tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
        for made in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
            assert not made.keywords, f"{module}: {made.name}"
            assert not any("Struct" in ast.unparse(base) for base in made.bases), f"{module}: {made.name}"
