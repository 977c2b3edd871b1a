"""The Autobahn-numbered cases of RFC 6455 and RFC 7692, as ``kosoku`` runs them, against a raw socket that echoes."""

import importlib
import io
from pathlib import Path

import kosoku
from kosoku import _caseindex

from hubbub import App, Limits

app = App(limits=Limits(message=1 << 24, fragments=1 << 18, inbox=1 << 20, outbox=1 << 25))
"""9.3 and 9.4 send messages of 4 MiB in 65,536 fragments, and messages of 16 MiB."""


@app.socket("/echo")
async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def run(url, *cases):
    """The results of these cases, told by what is wrong with them. A case that has nothing to judge, the
    informational ones, is right; one that is right though not strictly, is wrong."""
    _mend()
    try:
        results = await kosoku.run_fuzzingclient(f"{url.replace('http', 'ws')}/echo", cases=cases, concurrency=8)
    except kosoku.FailureError as failure:
        results = failure.results
    right = ("OK", "INFORMATIONAL")
    wrong = {
        result.case_id: f"{result.behavior.value}, {result.behavior_close.value}: {result.result}"
        for result in results
        if result.behavior.value not in right or result.behavior_close.value not in right
    }
    return len(results), wrong


def _mend():
    """Put right what is wrong with the cases of compression. They expect bytes, and get ``str`` where a message came
    uncompressed, as any may (RFC 7692, section 6); and they leave files open."""
    _caseindex.initialize_shims()
    cases = importlib.import_module("case12_x_x")
    cases.open = lambda name, mode: io.BytesIO(Path(name).read_bytes())
    for case in (*cases.Case12_X_X, *cases.Case13_X_X):
        if not hasattr(case, "mended"):
            case.mended, case.onMessage = case.onMessage, _on_message


def _on_message(case, message, binary):
    if isinstance(message, str):
        message = message.encode("latin-1" if binary else "utf-8")
    case.mended(message, binary)
