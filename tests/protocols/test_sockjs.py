"""A SockJS session: its frames, its receivers, its life and its end; with Hubbub's own protocol inside."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.bodies import encode
from hubbub.errors import Conflict, Forbidden, Invalid, Kicked, NotFound, ProtocolError, Shutdown, TooBig, WrongMethod
from hubbub.limits import Limits
from hubbub.messages import Bye, Join, Publication, Push, Raw, Reply, Send
from hubbub.protocols.native import Native
from hubbub.protocols.sockjs import SockJSSession, at
from hubbub.protocols.sockjs_pages import SockJS
from hubbub.testing.conversations import Conversation, check_protocol
from tests.protocols.sockjs_clients import LIMITS, SMALL, opened, request, start

PRELUDE = "h" * 2048 + "\n"
RECEIVERS = ("xhr", "xhr_streaming", "eventsource", "websocket")
ANOTHER = 'c[2010,"Another connection still open"]'


def said(payload):
    return Publication("room", encode(["said", payload]))


def messages(frames):
    """What is in the array frames among these pieces."""
    found = []
    for piece in "\n".join(map(str, frames)).split("\n"):
        text = piece.strip().removeprefix("data: ")
        if text.startswith("a["):
            found += [json.loads(message) for message in json.loads(text[1:])]
    return found


def poll(conversation, name="xhr"):
    conversation.attach("poll", request(name))
    return conversation.heard("poll")


# -- opening ---------------------------------------------------------------------------------------------------------


def test_a_poll_is_answered_by_the_open_frame_alone_and_the_next_one_by_what_there_is():
    conversation = start("xhr")
    assert conversation.heard("poll") == ["o\n"]
    (answer,) = poll(conversation)
    (welcome,) = messages([answer])
    assert welcome["welcome"] == "id"
    assert answer.endswith("]\n")


def test_a_stream_begins_with_its_prelude_and_goes_on():
    conversation = start("xhr_streaming")
    prelude, opened, first = conversation.heard("stream")
    assert (prelude, opened) == (PRELUDE, "o\n")
    assert messages([first])[0]["welcome"] == "id"
    conversation.publish(said("hi"))
    assert conversation.heard("stream") == [r'a["{\"topic\":\"room\",\"event\":\"said\",\"payload\":\"hi\"}"]' + "\n"]


def test_a_websocket_has_whole_frames_which_the_hub_may_write_by_itself():
    conversation = start("websocket")
    opened, first = conversation.heard()
    assert opened == "o"
    assert messages([first])[0]["welcome"] == "id"
    assert conversation.protocol.plain
    conversation.publish(said("hi"))
    assert conversation.heard() == [r'a["{\"topic\":\"room\",\"event\":\"said\",\"payload\":\"hi\"}"]']


def test_each_transport_writes_a_frame_in_its_own_way():
    assert start("eventsource").heard("stream")[:2] == ["\r\n", "data: o\r\n\r\n"]
    page, first, *_ = start("htmlfile", c="parent.cb").heard("stream")
    assert page.startswith("<!doctype html>")
    assert "var c = parent.parent.cb;" in page
    assert len(page) > 1_024
    assert first == '<script>\np("o");\n</script>\r\n'
    assert start("jsonp", callback="cb").heard("poll") == ['/**/cb("o");\r\n']


def test_a_script_cannot_be_left_from_inside_a_message():
    conversation = opened("htmlfile", c="cb")
    conversation.tell(Push("room", encode(["said", "</script><script>alert(1)//<!--"])))
    (piece,) = conversation.heard("stream")
    assert piece.count("<") == 2
    assert piece.endswith("\n</script>\r\n")
    text = json.loads(piece[piece.index("p(") + 2 : piece.rindex(");")])
    assert messages([text])[0]["payload"] == "</script><script>alert(1)//<!--"


@pytest.mark.parametrize("name", RECEIVERS)
def test_what_is_published_and_told_arrives_whole_and_in_order(name):
    conversation = opened(name)
    conversation.publish(said(1))
    conversation.tell(Push("room", encode(["said", 2])))
    conversation.publish(said(3))
    frames = poll(conversation) if name == "xhr" else conversation.heard("socket" if name == "websocket" else "stream")
    assert len(frames) == (1 if name == "xhr" else 3)
    assert [message["payload"] for message in messages(frames)] == [1, 2, 3]


def test_clients_of_one_kind_share_a_dialect():
    dialects = [opened(name).protocol.dialect for name in ("xhr", "eventsource", "xhr_streaming")]
    assert len(set(map(id, dialects))) == 1
    assert opened("websocket").protocol.dialect is opened("websocket").protocol.dialect
    assert opened("websocket").protocol.dialect is not dialects[0]


# -- what the client says ----------------------------------------------------------------------------------------------


def test_messages_are_the_inner_protocols_on_a_websocket_and_in_a_post():
    array = json.dumps([json.dumps({"join": "room"}), json.dumps({"send": "room", "event": "say", "payload": 1})])
    wanted = [Join("room"), Send("room", "say", (Raw(b"1"),))]
    assert opened("websocket").say(array) == wanted
    for name in ("xhr_send", "jsonp_send"):
        conversation = opened("xhr")
        response = conversation.post(array, request(name))
        assert conversation.commands == wanted
        assert (response.status, response.body) == ((204, b"") if name == "xhr_send" else (200, b"ok"))


def test_a_form_is_read_where_the_client_sends_one():
    conversation = opened("jsonp", c="x")
    form = request("jsonp_send", headers=[("content-type", "application/x-www-form-urlencoded; charset=UTF-8")])
    conversation.post("d=%5B%22%7B%5C%22join%5C%22%3A%5C%22r%5C%22%7D%22%5D&x=1", form)
    assert conversation.commands == [Join("r")]


@pytest.mark.parametrize("said", ["", "[]"])
def test_nothing_is_no_message(said):
    assert opened("websocket").say(said) == []


@pytest.mark.parametrize(
    ("body", "form", "reason"),
    [
        ("", False, "Payload expected."),
        ('["x', False, "Broken JSON encoding."),
        ('{"x":1}', False, "Broken JSON encoding."),
        ("[1]", False, "Broken JSON encoding."),
        ("[" * 100_000, False, "Broken JSON encoding."),
        (b"\xff", False, "Broken JSON encoding."),
        ("p=p", True, "Payload expected."),
        ("&".join(f"d{n}=1" for n in range(20)), True, "Payload expected."),
        ("d=%5B%22x", True, "Broken JSON encoding."),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_and_the_session_lives(body, form, reason):
    conversation = opened("xhr")
    headers = [("content-type", "application/x-www-form-urlencoded")] if form else []
    asked = request("jsonp_send" if form else "xhr_send", headers=headers)
    with pytest.raises(Invalid) as error:
        conversation.post(body, asked)
    refusal = SockJSSession.refuse(error.value, asked)
    assert (refusal.status, refusal.body) == (500, f"{reason}\n".encode())
    assert conversation.post(r'["{\"join\":\"r\"}"]', asked if not form else request("xhr_send")).status == 204
    assert conversation.over is None


@pytest.mark.parametrize(
    ("said", "code"), [('["a', 1002), ("{}", 1002), ("[1]", 1002), ("[" * 100_000, 1002), (b"[]", 1003)]
)
def test_a_websocket_that_says_what_is_no_frame_is_just_closed(said, code):
    conversation = opened("websocket")
    with pytest.raises(ProtocolError):
        conversation.say(said)
    assert conversation.heard() == []
    assert conversation.code == code


@pytest.mark.parametrize(("said", "code"), [('["a"]', 1007), ('["{}"]', 1002)])
def test_a_message_that_the_inner_protocol_cannot_read_ends_the_session_in_words(said, code):
    conversation = opened("websocket")
    with pytest.raises(ProtocolError):
        conversation.say(said)
    bye, closed = conversation.heard()
    assert messages([bye])[0]["bye"]["code"] == "protocol_error"
    assert closed.startswith(f"c[{code},")
    assert conversation.code == code


def test_there_is_a_limit_to_messages_in_one_body():
    conversation = opened("xhr", limits=Limits(packets=3))
    with pytest.raises(ProtocolError):
        conversation.post('["1","2","3","4"]', request("xhr_send"))


# -- receivers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["xhr", "xhr_streaming", "eventsource"])
def test_a_second_receiver_is_told_so_in_its_own_way_and_the_first_one_lives(name):
    conversation = opened("xhr_streaming")
    asked = request(name)
    with pytest.raises(Conflict) as error:
        conversation.attach("poll" if name == "xhr" else "stream", asked)
    response = SockJSSession.refuse(error.value, asked)
    pieces = [piece.decode() for piece in (response.body, *response.more)]
    assert response.status == 200
    assert (
        pieces
        == {
            "xhr": [ANOTHER + "\n"],
            "xhr_streaming": [PRELUDE, ANOTHER + "\n"],
            "eventsource": ["\r\n", f"data: {ANOTHER}\r\n\r\n"],
        }[name]
    )
    conversation.publish(said(1))
    assert messages(conversation.heard("stream"))


@pytest.mark.parametrize("line", ["poll", "stream"])
def test_a_receiver_that_is_cut_ends_the_session_and_those_who_come_are_told(line):
    conversation = opened("xhr" if line == "poll" else "xhr_streaming")
    if line == "poll":
        conversation.attach("poll")
    conversation.detach(line)
    assert conversation.over == "aborted"
    conversation.protocol.attach("poll", conversation.now, request("xhr"))
    assert conversation.protocol.pack((), "poll") == ['c[1002,"Connection interrupted"]\n']


def test_a_stream_ends_at_its_limit_and_the_next_one_goes_on():
    conversation = opened("xhr_streaming", SMALL)
    asked = request("xhr_streaming", base="/small")
    for _ in range(4):
        conversation.publish(said("x" * 900))
        assert not conversation.protocol.spent  # the prelude is not counted
    conversation.publish(said("x" * 900))
    assert conversation.protocol.spent
    conversation.heard("stream")
    conversation.publish(said("later"))
    conversation.attach("stream", asked)
    prelude, frame = conversation.heard("stream")
    assert prelude == PRELUDE
    assert messages([frame])[0]["payload"] == "later"
    assert not conversation.protocol.spent


def test_a_receiver_of_another_kind_may_take_over():
    conversation = opened("xhr")
    conversation.publish(said("x"))
    conversation.attach("stream", request("eventsource"))
    newline, event = conversation.heard("stream")
    assert newline == "\r\n"
    assert messages([event])[0]["payload"] == "x"


# -- time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "line"), [("xhr_streaming", "stream"), ("websocket", "socket")])
def test_a_heartbeat_comes_every_25_seconds(name, line):
    conversation = opened(name)
    conversation.sleep(24.9)
    assert conversation.heard(line) == []
    conversation.sleep(0.2)
    assert [str(frame).strip() for frame in conversation.heard(line)] == ["h"]
    conversation.sleep(25)
    assert [str(frame).strip() for frame in conversation.heard(line)] == ["h"]
    assert conversation.protocol.plain == (name == "websocket")


def test_a_heartbeat_answers_a_poll():
    conversation = opened("xhr")
    conversation.attach("poll")
    conversation.sleep(25)
    assert conversation.heard("poll") == ["h\n"]


@pytest.mark.parametrize("name", ["xhr", "xhr_streaming"])
def test_a_session_without_a_receiver_ends_after_5_seconds(name):
    conversation = opened(name, SMALL)
    if name == "xhr_streaming":
        conversation.publish(said("x" * 5_000))
        assert conversation.protocol.spent
    conversation.sleep(4.9)
    assert conversation.over is None
    conversation.sleep(0.2)
    assert conversation.over == "timeout"


def test_a_session_that_nobody_listens_to_from_the_start_ends_too():
    conversation = Conversation(SockJSSession, request("xhr"), LIMITS)
    conversation.sleep(5)
    assert conversation.over == "timeout"


def test_posts_do_not_keep_a_session_alive():
    conversation = opened("xhr")
    conversation.sleep(3)
    conversation.protocol.attach("post", conversation.now, request("xhr_send"))
    conversation.post("[]", request("xhr_send"))
    assert conversation.protocol.detach("post", conversation.now) == ()
    conversation.sleep(2)
    assert conversation.over == "timeout"


# -- the end -----------------------------------------------------------------------------------------------------------


def test_the_last_words_are_the_inner_protocols_and_the_close_frame():
    conversation = opened("xhr_streaming")
    conversation.end(Kicked("out"))
    bye, closed = conversation.heard("stream")
    assert messages([bye]) == [{"bye": {"code": "kicked", "reason": "out", "come_back": False}}]
    assert closed == 'c[4403,"out"]\n'


def test_a_poll_gets_them_one_by_one_and_the_close_frame_ever_again():
    conversation = opened("xhr")
    protocol = conversation.protocol
    for expected in ("a[", 'c[1012,"', 'c[1012,"', 'c[1012,"'):
        protocol.attach("poll", conversation.now, request("xhr"))
        owed = protocol.pack((), "poll")
        last, _ = protocol.close(Shutdown(), "poll")
        (frame,) = owed + last
        assert frame.startswith(expected)


def test_a_websocket_is_closed_with_the_code_of_the_close_frame():
    conversation = opened("websocket")
    conversation.end(Kicked("out"))
    assert conversation.heard()[-1] == 'c[4403,"out"]'
    assert conversation.code == 4403
    assert conversation.protocol.detach("socket", 0.0) == (Bye(),)


# -- HTTP --------------------------------------------------------------------------------------------------------------


def test_a_session_is_named_by_the_client_and_belongs_to_one_service():
    one = SockJSSession.session(request("xhr"))
    other = SMALL.session(request("xhr", base="/small"))
    assert one == SockJSSession.session(request("xhr_send")) != other
    assert SockJSSession.session(request("websocket")) is None
    assert SockJSSession.stranger(request("xhr")) == "adopt"
    assert SockJSSession.stranger(request("xhr_send")) == SockJSSession.stranger(request("jsonp_send")) == "refuse"


@pytest.mark.parametrize("query", [{}, {"c": ""}, {"c": " "}, {"c": "*"}, {"c": "a("}, {"c": "x" * 129}, {"d": "x"}])
@pytest.mark.parametrize("name", ["jsonp", "htmlfile"])
def test_a_bad_callback_opens_no_session(name, query):
    asked = request(name, **query)
    with pytest.raises(Invalid) as error:
        SockJSSession.session(asked)
    response = SockJSSession.refuse(error.value, asked)
    assert response.status == 500
    assert b'"callback" parameter' in response.body


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotFound(), 404), (Forbidden(), 403), (TooBig(), 413), (ProtocolError(), 400), (WrongMethod("POST"), 405),
     (Conflict("this session is over"), 404)],
)  # fmt: skip
def test_refusals_have_a_status(error, status):
    assert SockJSSession.refuse(error, request("xhr_send")).status == status


def test_what_is_refused_by_its_method_says_which_are_right():
    response = SockJSSession.refuse(WrongMethod("GET, OPTIONS"), request("xhr"))
    assert (response.body, response.content_type) == (b"", "")
    assert response.headers == (("allow", "GET, OPTIONS"),)


@pytest.mark.parametrize(
    ("cookie", "wanted"),
    [("", "dummy"), ("JSESSIONID=abcdef", "abcdef"), ("a=b; JSESSIONID=x; c=d", "x"), ("JSESSIONID", "dummy"),
     ("\x00;;==", "dummy")],
)  # fmt: skip
def test_a_cookie_for_load_balancers_is_kept_or_made(cookie, wanted):
    conversation = opened("xhr", SMALL)
    asked = request("xhr", base="/small", headers=[("cookie", cookie)])
    headers = conversation.protocol.answer("poll", b"", asked).headers
    assert ("set-cookie", f"JSESSIONID={wanted}; path=/") in headers


def test_subprotocols_are_not_for_what_is_inside():
    asked = request("websocket", headers=[("sec-websocket-protocol", "hubbub.msgpack")])
    conversation = Conversation(SockJSSession, asked, LIMITS)
    conversation.attach("socket")
    assert all(isinstance(frame, str) for frame in conversation.heard())


# -- the contract ------------------------------------------------------------------------------------------------------

SAMPLES = ['["{\\"join\\":\\"room\\",\\"ref\\":1}"]', '["{\\"send\\":\\"room\\",\\"event\\":\\"say\\"}"]', "[]"]


def test_it_keeps_the_contract_on_a_websocket():
    check_protocol(lambda: opened("websocket"), [(sample, "socket") for sample in SAMPLES])


def test_it_keeps_the_contract_on_a_stream():
    check_protocol(lambda: opened("xhr_streaming"), [])


@settings(deadline=None)
@given(st.text() | st.binary())
def test_only_the_contracts_errors_leave_a_post(body):
    for name in ("xhr_send", "jsonp_send"):
        try:
            opened("xhr").post(body, request(name))
        except (ProtocolError, Invalid):
            pass


def test_at_another_path_it_is_the_same():
    other = at("/deep/down/{room}", Native, SockJS(websocket=False))
    assert other.path == "/deep/down/{room}"
    assert not any(route.line == "socket" for route in other.routes)
    assert SockJSSession.path == "/sockjs"


def test_a_reply_is_told():
    conversation = opened("websocket")
    conversation.tell(Reply(Join("room", ref=7)))
    assert messages(conversation.heard()) == [{"reply": 7, "ok": True, "topic": "room"}]
