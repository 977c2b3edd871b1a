"""Engine.IO 4: from polling to a WebSocket."""

import pytest

from hubbub.errors import Conflict, Kicked, ProtocolError
from hubbub.limits import Limits
from hubbub.messages import Send
from hubbub.protocols.engineio import YIELD, EngineIO
from tests.protocols.engineio_clients import TOPIC, body, echo, fill, polling, request, upgraded

# -- upgrade ----------------------------------------------------------------------------------------------------------


def test_a_polling_session_moves_to_a_websocket():
    conversation = polling()
    conversation.attach("socket")
    conversation.say("2probe")
    assert conversation.heard() == ["3probe"]
    assert conversation.poll() is None
    conversation.sleep(YIELD)
    assert body(conversation.poll()) == "6"
    conversation.say("5")
    assert conversation.protocol.plain
    echo(conversation, conversation.say("4hello"))
    assert conversation.heard() == ["4hello"]


def test_an_open_poll_ends_when_the_probe_arrives():
    conversation = polling()
    conversation.attach("poll")
    conversation.attach("socket")
    assert conversation.heard("poll") == []
    conversation.say("2probe")
    assert conversation.heard("poll") == ["6"]


def test_every_poll_ends_soon_while_the_client_has_not_read_our_answer_to_its_probe():
    conversation = polling(Limits())
    conversation.attach("poll")
    conversation.attach("socket")
    conversation.say("2probe")
    assert conversation.heard("poll") == ["6"]
    for _ in range(3):
        conversation.attach("poll")
        conversation.sleep(YIELD - 0.01)
        assert conversation.poll() is None
        conversation.sleep(0.02)
        assert body(conversation.poll()) == "6"
    conversation.now += 10.0
    conversation.attach("poll")
    conversation.sleep(1.0)
    assert conversation.poll() is None


def test_deadlines_lie_ahead_after_every_step_of_an_upgrade():
    conversation = polling(Limits())
    conversation.attach("socket")
    conversation.say("2probe")
    conversation.attach("poll")
    conversation.now += 2 * YIELD
    conversation.say("5")
    protocol = conversation.protocol
    protocol.tick(conversation.now)
    assert protocol.deadline > conversation.now


def test_messages_end_a_poll_just_as_well_as_a_noop():
    conversation = polling()
    conversation.attach("socket")
    fill(conversation, 1)
    conversation.say("2probe")
    assert body(conversation.poll()) == "40x"


def test_after_the_upgrade_requests_are_refused_and_the_session_lives_on():
    conversation = upgraded()
    for line in ("poll", "post", "socket"):
        with pytest.raises(Conflict) as error:
            conversation.protocol.attach(line, conversation.now, conversation.request)
        assert EngineIO.refuse(error.value, request()).status == 400
    echo(conversation, conversation.say("4hello"))
    assert conversation.heard() == ["4hello"]


def test_a_poll_that_the_upgrade_overtakes_is_refused():
    conversation = polling()
    conversation.attach("socket")
    conversation.say("2probe")
    assert conversation.poll() is None
    conversation.say("5")
    assert conversation.poll().status == 400
    assert conversation.over is None


def test_a_post_that_is_under_way_at_the_upgrade_still_counts():
    conversation = polling()
    conversation.attach("post")
    conversation.attach("socket")
    conversation.say("2probe")
    conversation.say("5")
    assert conversation.say("4late", "post") == [Send(TOPIC, "message", ("late",))]
    with pytest.raises(ProtocolError):
        conversation.say("4later", "post")


def test_a_second_websocket_is_refused_during_the_upgrade_too():
    conversation = polling()
    conversation.attach("socket")
    with pytest.raises(Conflict):
        conversation.attach("socket")
    assert conversation.over is None


def test_a_probing_websocket_that_goes_away_changes_nothing():
    conversation = polling(Limits())
    conversation.attach("poll")
    conversation.attach("socket")
    conversation.say("2probe")
    assert conversation.heard("poll") == ["6"]
    conversation.attach("poll")
    conversation.detach("socket")
    conversation.sleep(1.0)
    assert conversation.poll() is None
    assert conversation.over is None
    conversation.attach("socket")
    conversation.say("2probe")
    conversation.say("5")
    assert conversation.protocol.line == "socket"


@pytest.mark.parametrize(
    "first", ["5", "3probe", "2", "2prob", "2probe ", "4hello", "1", "", b"2probe", b"\x05", '0{"sid":"1"}']
)
def test_a_websocket_that_begins_with_anything_but_a_probe_ends_the_session(first):
    conversation = polling()
    conversation.attach("socket")
    with pytest.raises(ProtocolError):
        conversation.say(first)


@pytest.mark.parametrize("second", ["4hello", "3", b"", "5x"])
def test_nothing_but_the_upgrade_follows_the_probe(second):
    conversation = polling()
    conversation.attach("socket")
    conversation.say("2probe")
    with pytest.raises(ProtocolError):
        conversation.say(second)


def test_a_ping_that_is_owed_at_the_upgrade_goes_out_on_the_websocket():
    conversation = polling()
    conversation.attach("socket")
    conversation.say("2probe")
    conversation.sleep(0.3)
    conversation.say("5")
    assert conversation.heard() == ["3probe", "2"]


def test_kicking_during_a_probe_says_goodbye_on_the_poll_only():
    conversation = polling()
    conversation.attach("poll")
    conversation.attach("socket")
    conversation.end(Kicked())
    assert conversation.heard("poll") == ["1"]
    assert conversation.heard() == []


def test_kicking_right_after_the_upgrade_loses_nothing():
    conversation = polling(Limits())
    protocol = conversation.protocol
    fill(conversation, 17)
    conversation.poll()
    conversation.attach("socket")
    conversation.say("2probe")
    conversation.heard()
    protocol.attach("poll", conversation.now, conversation.request)
    protocol.receive("5", "socket", conversation.now)
    assert protocol.close(Kicked(), "poll")[0] == ["6"]
    assert protocol.close(Kicked(), "socket")[0] == []
    assert protocol.pack(["4new"], "socket") == ["416x", "4new"]


def test_a_ping_goes_before_messages_that_were_held():
    conversation = polling()
    fill(conversation, 17)
    conversation.poll()
    conversation.attach("socket")
    conversation.say("2probe")
    conversation.sleep(0.3)
    conversation.say("5")
    assert conversation.heard() == ["3probe", "2", "416x"]
