"""Real servers for the tests: each in a thread of its own, on a free port, in either lane."""

import asyncio
import itertools
import sys
import threading
from contextlib import contextmanager
from queue import Queue

import pytest
from hypothesis import HealthCheck, settings

from hubbub.config import Config
from hubbub.servers import standalone

from .ports import free_port
from .redis_server import RedisServer

LANES = ("fast", "asgi")

# What Hypothesis tries is the same in every run, and may take as long as it takes; `make test
# ARGS=--hypothesis-profile=search` tries what was never tried.
settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], print_blob=True
)
settings.register_profile("same", settings.get_profile("search"), derandomize=True)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def _stack():
    """Tests of what is nested too deeply count on how deep Python goes: no test may leave that changed for others."""
    limit = sys.getrecursionlimit()
    yield
    assert sys.getrecursionlimit() == limit


@contextmanager
def running(app, **settings):
    """Serve the application, and give its URL."""
    config = Config(**{"port": 0, "drain_timeout": 1.0, **settings})
    told = Queue()
    server, listener = standalone.prepare(app, config, told.put)

    def run():
        with listener, asyncio.Runner(loop_factory=standalone.loop_factory()) as runner:
            try:
                runner.run(server.serve(sockets=[listener]))
                runner.run(app.close())  # where no lifespan did
            except BaseException as error:
                told.put(error)
                raise
            told.put(None)

    thread = threading.Thread(target=run, name="server")
    thread.start()
    try:
        url = told.get(timeout=40)
        if not isinstance(url, str):
            raise RuntimeError(f"the server did not start: {url}")
        yield url
    finally:
        server.should_exit = True
        thread.join(timeout=40)
        assert not thread.is_alive()


@pytest.fixture
def serve():
    """``serve(app, lane=...)`` gives the URL of a server that lives as long as the test, or until ``serve.stop()``."""
    stack = []

    def start(app, **settings):
        context = running(app, **settings)
        url = context.__enter__()
        stack.append(context)
        return url

    def stop():
        while stack:
            stack.pop().__exit__(None, None, None)

    start.stop = stop
    yield start
    stop()


@pytest.fixture
def free_tcp_port():
    """As pytest-asyncio has it, but that it stays free."""
    return free_port()


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.kill()


_prefixes = itertools.count()


@pytest.fixture
def redis_url(shared_redis):
    """The URL of a Redis broker with nothing in it. The server behind it is everybody's: it stays as it is."""
    return f"{shared_redis.url}?prefix=test{next(_prefixes)}"


@pytest.fixture
def redis_server(tmp_path):
    """A Redis of the test's own, to be ill-treated."""
    server = RedisServer(tmp_path / "redis").start()
    yield server
    server.kill()
