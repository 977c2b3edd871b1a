"""What a node says of itself in numbers. They are counted where things happen, as plain integers, and gathered here
when somebody asks: nothing is added up before.

All of it may be read from another thread than the loop's: what is gone through is copied first, in one step.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from hubbub import hub as hot
from hubbub.deadlines import Lateness
from hubbub.exposition import Metric, Sample, single, split
from hubbub.hub import Hub
from hubbub.reception import Reception
from hubbub.version import __version__

COMPILED = not (hot.__file__ or "").endswith(".py")
"""Whether the hot modules are (docs/decisions/0006)."""

PROC = Path("/proc")
"""Where Linux tells of processes."""


def of_process() -> Iterator[Metric]:
    """What is true of it whatever it does."""
    about = {"version": __version__, "compiled": str(COMPILED).lower()}
    yield Metric("hubbub_info", "gauge", "What runs here.", (Sample(1, about),))
    if (PROC / "self" / "stat").exists():
        yield from _of_linux()


def _of_linux() -> Iterator[Metric]:
    """By the names that every library for Prometheus gives them:
    https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics"""
    import resource  # there is none on Windows

    # proc(5): the second field is a name in parentheses, which may have anything in it
    fields = (PROC / "self" / "stat").read_text(encoding="latin-1").rpartition(")")[2].split()
    second, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    cpu, started, pages = int(fields[11]) + int(fields[12]), int(fields[19]), int(fields[21])
    boot = next(line for line in (PROC / "stat").read_text().splitlines() if line.startswith("btime "))
    fds = PROC / "self" / "fd"
    number = fds.stat().st_size or len(list(fds.iterdir()))  # Linux counts them itself since 6.2
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield single("process_cpu_seconds_total", "counter", "CPU time, of user and system.", cpu / second)
    yield single("process_resident_memory_bytes", "gauge", "Memory that is resident.", pages * page)
    started_at = int(boot.split()[1]) + started / second
    yield single("process_start_time_seconds", "gauge", "When it was started, since 1970.", started_at)
    yield single("process_open_fds", "gauge", "Open file descriptors.", number)
    yield single("process_max_fds", "gauge", "How many file descriptors may be open.", most)


def of_node(
    reception: Reception, protocols: Iterable[str], hub: Hub, lateness: Lateness, broker: str
) -> Iterator[Metric]:
    """What happens here. ``protocols`` are the names of those that are spoken, ``broker`` the scheme of its URL."""
    yield from _of_clients(reception, dict.fromkeys(protocols, 0))
    yield from _of_messages(reception, hub)
    up = {broker: int(hub.broker.answers)}
    yield split("hubbub_broker_up", "gauge", "Whether the broker answers.", "scheme", up)
    parts = Sample(lateness.total, suffix="_sum"), Sample(lateness.count, suffix="_count")
    yield Metric("hubbub_loop_lateness_seconds", "summary", "How late the event loop came to a timer.", parts)
    worst = "The latest of the last half minute to minute."
    yield single("hubbub_loop_lateness_max_seconds", "gauge", worst, lateness.worst)


def _of_clients(reception: Reception, none: Mapping[str, int]) -> Iterator[Metric]:
    here, waiting = dict(none), 0
    for connection in list(reception.connections.values()):
        name = connection.protocol.name
        here[name] = here.get(name, 0) + 1
        waiting += connection.waiting
    came = {**none, **reception.opened}
    yield split("hubbub_connections", "gauge", "Clients that are connected.", "protocol", here)
    yield split("hubbub_connections_opened_total", "counter", "Clients that have come.", "protocol", came)
    yield split("hubbub_connections_ended_total", "counter", "Clients that are gone.", "reason", reception.ends)
    yield single("hubbub_outbox_bytes", "gauge", "What waits for clients that read slowly, or poll.", waiting)


def _of_messages(reception: Reception, hub: Hub) -> Iterator[Metric]:
    topics = sum(["#" not in name for name in list(hub.topics)])
    asked = "What clients asked: joins, leaves, sends, answers, messages of raw sockets."
    given = "Publications, once for each client that was given it."
    back = "Clients that came back, by what they got of all that they had missed."
    got = {"all": hub.recovered, "nothing": hub.unrecovered}
    yield single("hubbub_topics", "gauge", "Topics that somebody of this node is in.", topics)
    yield single("hubbub_publications_total", "counter", "Publications to somebody of this node.", hub.publications)
    yield single("hubbub_deliveries_total", "counter", given, hub.deliveries)
    yield single("hubbub_commands_total", "counter", asked, reception.commands)
    yield split("hubbub_refused_total", "counter", "What was too often or too many.", "limit", reception.refusals)
    yield split("hubbub_recoveries_total", "counter", back, "got", got)
    yield single("hubbub_faults_total", "counter", "Faults that were logged with a traceback.", reception.faults)
