"""bench/: that it counts every message, and that a claim is judged by what was measured."""

import socket
import sys
import threading
from contextlib import contextmanager, suppress

import pytest

from bench.claims import Cell, Claim, versus, within
from bench.client import Mismatch
from bench.crowd import crowd
from bench.load import Echo, FanOut
from bench.scenario import Curve, percentiles
from bench.wires import BARE, frame, unchunk, unframe

PAYLOAD = "x" * 128

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the load generator waits by epoll")


@contextmanager
def everyone_hears(answer):
    """A server that does this for each message of a client: ``answer(client, all clients, message)``."""
    everyone = []

    def serve(client):
        everyone.append(client)
        with suppress(ConnectionError):  # who finds a mistake leaves without hearing the rest
            client.sendall(b"hello")
            while data := client.recv(1 << 16):
                for _ in range(len(data) // len(PAYLOAD)):  # a loopback gives what was sent at once
                    answer(client, everyone, data[: len(PAYLOAD)])

    def accept():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=[client]))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [threading.Thread(target=accept)]
        threads[0].start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    for client in everyone:
        client.close()


def tell_all(client, everyone, message):
    for other in everyone:
        other.sendall(message)


def test_every_delivery_of_a_fan_out_is_counted():
    with everyone_hears(tell_all) as port, crowd(port, BARE) as clients:
        clients.grow(5)
        assert clients.probe(PAYLOAD) == len(PAYLOAD)
        load = FanOut(clients, PAYLOAD, len(PAYLOAD), window=1)
        flow = load.run(0.05)
        load.drain()
    assert flow.messages > 0
    assert not flow.messages % 5  # whole publications
    assert len(flow.latencies) == flow.messages


def test_one_message_too_many_is_found():
    heard = []

    def tell_all_and_somebody_twice(client, everyone, message):
        tell_all(client, everyone, message)
        heard.append(message)
        if len(heard) == 10:
            everyone[2].sendall(message)

    with everyone_hears(tell_all_and_somebody_twice) as port, crowd(port, BARE) as clients:
        clients.grow(5)
        load = FanOut(clients, PAYLOAD, clients.probe(PAYLOAD), window=1)
        with pytest.raises(Mismatch, match="more arrived than was published"):
            while len(heard) < 20:
                load.run(0.01)
            load.drain()


def test_an_echo_has_as_many_answers_as_messages():
    with (
        everyone_hears(lambda client, everyone, message: client.sendall(message)) as port,
        crowd(port, BARE) as clients,
    ):
        clients.grow(3)
        load = Echo(clients, PAYLOAD, clients.probe_echo(PAYLOAD, 1_000), depth=4)
        flow = load.run(0.05)
        load.drain()
    assert len(flow.latencies) == flow.messages > 0


def test_a_payload_that_reaches_nobody_is_found():
    with (
        everyone_hears(lambda client, everyone, message: client.sendall(b"y" * 128)) as port,
        crowd(port, BARE) as clients,
    ):
        clients.grow(1)
        with pytest.raises(Mismatch, match="where the payload was expected"):
            clients.probe(PAYLOAD)


def results(**others):
    return {
        "hubbub": {"few": {"cpu": 2.0}, "many": {"cpu": 3.0, "others": others.get("ours", 0.0)}},
        "Node": {"many": {"cpu": 10.0, "others": others.get("theirs", 0.0)}},
    }


def test_a_claim_is_judged_by_its_ratio():
    assert versus("hubbub", "Node", "many", 0.3).judge(results()).row() == ("hubbub / Node: many", "0.3", "0.3", "met")
    assert within("hubbub", "many", 1.4, than="few").judge(results()).row()[1:] == ("1.5", "1.4", "MISSED")
    assert Claim("alone", Cell("hubbub", "few", "cpu"), None, 4_096).judge(results()).row()[1:] == ("2", "4,096", "met")


def test_a_verdict_says_who_disturbed_it():
    claim = versus("hubbub", "Node", "many", 0.3)
    assert claim.judge(results(theirs=0.2)).row()[-1] == "met (20% others)"
    assert claim.judge(results(ours=0.05)).row()[-1] == "met"


def test_a_claim_without_its_figures_has_no_verdict():
    assert versus("hubbub", "Bun", "many", 1.0).judge(results()) is None
    assert versus("hubbub", "Node", "few", 1.0).judge(results()) is None


def test_a_curve_goes_through_the_cases_that_were_measured():
    curve = Curve("", "clients", "cpu", {"few": 10, "some": 100, "many": 1_000})
    assert curve.points_of(results()["hubbub"]) == [(10, 2.0), (1_000, 3.0)]


def test_percentiles_are_in_milliseconds():
    found = percentiles(number / 1_000 for number in range(1_000))
    assert found == {"p50": 500, "p99": 990, "p999": 999}
    with pytest.raises(Mismatch):
        percentiles([])


def test_frames_and_chunks_are_whole_or_not_there():
    assert unframe(frame("hi")[:1]) is None
    assert unframe(b"\x81\x02hi\x81") == (0x81, 2, 4)
    assert unframe(b"\x82\x7e\x01\x00" + bytes(255)) is None
    assert unframe(b"\x82\x7e\x01\x00" + bytes(256)) == (0x82, 4, 260)
    assert unchunk(b"2\r\nhi") is None
    assert unchunk(b"2\r\nhi\r\n3") == (3, 5, 7)
