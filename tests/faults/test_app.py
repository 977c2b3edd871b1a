"""What nodes of a run tell the checker: of every message that they refused for now."""

import asyncio
import json
import logging
from logging.handlers import QueueHandler
from queue import Queue

import apsw
from websockets.asyncio.client import connect

from hubbub import App, Limits

from .app import REFUSED, Log

DEADLINE = 20.0


async def test_who_waited_too_long_for_its_log_and_is_gone_was_refused(serve, tmp_path):
    told = Queue()
    handler = QueueHandler(told)
    app = App(broker=f"sqlite:///{tmp_path / 'log.db'}", limits=Limits(patience=0.05))
    app.channel("log:{name}")(Log)
    url = serve(app).replace("http", "ws") + "/hubbub/websocket"
    another = apsw.Connection(str(tmp_path / "log.db"))
    logging.getLogger(Log.__module__).addHandler(handler)
    try:
        async with asyncio.timeout(DEADLINE), connect(url) as socket:
            await socket.send(json.dumps({"join": "log:a", "ref": 1}))
            while "reply" not in json.loads(await socket.recv()):
                pass
            another.execute("BEGIN IMMEDIATE")
            await socket.send(json.dumps({"send": "log:a", "event": "say", "payload": {"by": "p", "n": 7, "sum": 0}}))
        record = await asyncio.to_thread(told.get, timeout=DEADLINE)
    finally:
        logging.getLogger(Log.__module__).removeHandler(handler)
        another.close()
    assert (record.message, record.by, record.n) == (REFUSED, "p", 7)
