"""SockJS 0.3 over the network, in both lanes: what the protocol's own suite asserts, and what trips implementers.

https://github.com/sockjs/sockjs-protocol/blob/main/sockjs-protocol.py, from the greeting to receivers that clash.
Its remaining cases, WebSockets and HTTP itself, are in test_sockjs_sockets.py.
"""

import json
import re

import aiohttp
import pytest

from tests.conformance.sockjs_clients import FORM, NOT_CACHED, new_session

PRELUDE = "h" * 2048 + "\n"
GO_AWAY = 'c[3000,"Go away!"]'
ANOTHER = 'c[2010,"Another connection still open"]'
SCRIPT = "application/javascript;charset=UTF-8"
PLAIN = "text/plain;charset=UTF-8"


def is_open_to(answer, origin):
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-credentials"] == "true"


def is_not_cached(answer):
    assert answer.headers["cache-control"] == NOT_CACHED
    assert "expires" not in answer.headers
    assert "last-modified" not in answer.headers


def is_cached(answer):
    assert "public" in answer.headers["cache-control"]
    assert re.search("max-age=[1-9][0-9]{6}", answer.headers["cache-control"])
    assert answer.headers["expires"]


async def allows(http, url, *methods):
    for origin in ("http://test", "test", "null"):
        headers = {"access-control-request-method": ", ".join(methods), "origin": origin}
        answer = await http.ask("OPTIONS", url, headers=headers)
        assert answer.status in (200, 204)
        assert answer.text == ""
        is_cached(answer)
        is_open_to(answer, origin)
        assert int(answer.headers["access-control-max-age"]) > 1_000_000
        assert set(methods) <= set(answer.headers["access-control-allow-methods"].split(", "))


class TestGreeting:
    @pytest.mark.parametrize("slash", ["", "/"])
    async def test_the_url_itself_says_welcome(self, http, echo, slash):
        answer = await http.get(echo + slash)
        assert (answer.status, answer.type, answer.text) == (200, PLAIN, "Welcome to SockJS!\n")
        assert "set-cookie" not in answer.headers

    @pytest.mark.parametrize("path", ["/a", "/a.html", "//", "///", "/a/a", "/a/a/", "/a/", "/websocke", "/xhr"])
    async def test_anything_else_is_not_found(self, http, echo, path):
        assert (await http.get(echo + path)).status == 404


class TestFrame:
    PAGE = re.compile(
        r'<!DOCTYPE html>\n<html>\n<head>\n  <meta http-equiv="X-UA-Compatible" content="IE=edge" />\n'
        r'  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />\n'
        r'  <script src="(?P<client>(?:/|http)[^"]*)"></script>\n  <script>\n    document.domain = document.domain;\n'
        r"    SockJS.bootstrap_iframe\(\);\n  </script>\n</head>\n<body>\n  <h2>Don't panic!</h2>\n"
        r"  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>\n</body>\n</html>"
    )

    @pytest.mark.parametrize("version", ["", "-a", "-", "-0.1.2", "-0.1.2abc-dirty.2144"])
    @pytest.mark.parametrize("query", ["", "?t=1234"])
    async def test_every_version_is_the_same_page(self, http, url, echo, version, query):
        answer = await http.get(f"{echo}/iframe{version}.html{query}")
        assert (answer.status, answer.type) == (200, "text/html;charset=UTF-8")
        is_cached(answer)
        assert answer.headers["etag"]
        assert "last-modified" not in answer.headers
        assert "set-cookie" not in answer.headers
        found = self.PAGE.fullmatch(answer.text)
        client = await http.get(url + found["client"])
        assert client.status == 200
        assert "sockjs-client" in client.text[:100]

    @pytest.mark.parametrize(
        "path", ["/iframe.htm", "/iframe", "/IFRAME.HTML", "/IFRAME", "/iframe.HTML", "/iframe.xml", "/iframe-/.html"]
    )
    async def test_other_names_are_not_found(self, http, echo, path):
        assert (await http.get(echo + path)).status == 404

    async def test_who_has_it_is_told_so(self, http, echo):
        first, second = [(await http.get(f"{echo}/iframe.html")).headers["etag"] for _ in range(2)]
        assert first == second
        answer = await http.get(f"{echo}/iframe.html", headers={"if-none-match": first})
        assert (answer.status, answer.type, answer.text) == (304, "", "")
        assert (await http.get(f"{echo}/iframe.html", headers={"if-none-match": '"other"'})).status == 200


class TestInfo:
    async def test_it_says_what_can_be_done(self, http, echo):
        answer = await http.get(f"{echo}/info", headers={"origin": "test"})
        assert (answer.status, answer.type) == (200, "application/json;charset=UTF-8")
        assert "set-cookie" not in answer.headers
        is_not_cached(answer)
        is_open_to(answer, "test")
        told = json.loads(answer.text)
        assert 0 <= told.pop("entropy") < 2**32
        assert told == {"websocket": True, "cookie_needed": False, "origins": ["*:*"]}

    async def test_its_entropy_is_never_the_same(self, http, echo):
        seen = {json.loads((await http.get(f"{echo}/info")).text)["entropy"] for _ in range(20)}
        assert len(seen) == 20

    async def test_every_page_may_ask(self, http, echo):
        await allows(http, f"{echo}/info", "OPTIONS", "GET")

    async def test_it_says_where_websockets_are_off(self, http, url):
        told = json.loads((await http.get(f"{url}/disabled_websocket_echo/info")).text)
        assert told["websocket"] is False
        for path in ("/websocket", "/0/0/websocket"):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await http.client.ws_connect(f"{url}/disabled_websocket_echo{path}")

    async def test_it_says_that_cookies_are_needed(self, http, url):
        answer = await http.get(f"{url}/cookie_needed_echo/info")
        assert json.loads(answer.text)["cookie_needed"] is True
        assert "set-cookie" not in answer.headers


class TestSessions:
    @pytest.mark.parametrize("path", ["/a/a{}", "/_/_{}", "/1/{}", "/abcdefgh_i-j%20/abcdefg_i-j%20{}"])
    async def test_any_name_will_do(self, http, echo, path):
        fresh = new_session("").rpartition("/")[2]
        assert await http.poll(echo + path.format(fresh)) == "o\n"

    @pytest.mark.parametrize("path", ["//", "/a./a", "/a/a.", "/./.", "/", "///", f"/a/{'x' * 256}"])
    async def test_but_none_that_is_empty_or_has_a_dot(self, http, echo, path):
        for method in ("GET", "POST"):
            answer = await http.ask(method, aiohttp.client.URL(f"{echo}{path}/xhr", encoded=True))
            assert answer.status == 404

    async def test_the_servers_part_means_nothing(self, http, echo):
        one = new_session(echo)
        other = one.replace("/000/", "/999/")
        assert await http.poll(one) == "o\n"
        assert await http.send(one, '["a"]') == 204
        assert await http.poll(other) == 'a["a"]\n'

    async def test_a_name_belongs_to_one_service(self, http, url, session):
        elsewhere = session.replace("/echo/", "/cookie_needed_echo/")
        assert await http.send(elsewhere, '["a"]') == 404
        assert await http.poll(elsewhere) == "o\n"

    async def test_what_is_sent_comes_back(self, http, session):
        answer = await http.post(f"{session}/xhr_send", '["a"]')
        assert (answer.status, answer.text) == (204, "")
        assert await http.poll(session) == 'a["a"]\n'

    async def test_nothing_can_be_sent_before_there_is_a_session(self, http, echo):
        assert await http.send(f"{echo}/000/bad_session", '["a"]') == 404
        assert (await http.post(f"{new_session(echo)}/jsonp_send", "d=%5B%22x%22%5D", headers=FORM)).status == 404

    async def test_a_session_that_is_closed_says_so_to_everyone(self, http, url):
        session = new_session(f"{url}/close")
        assert [await http.poll(session) for _ in range(3)] == ["o\n", GO_AWAY + "\n", GO_AWAY + "\n"]
        assert await http.send(session, '["a"]') == 404


class TestPolling:
    @pytest.mark.parametrize("name", ["xhr", "xhr_send"])
    async def test_every_page_may_ask(self, http, echo, name):
        await allows(http, f"{echo}/abc/abc/{name}", "OPTIONS", "POST")

    async def test_a_conversation(self, http, echo):
        session, headers = new_session(echo), {"origin": "test"}
        answer = await http.post(f"{session}/xhr", headers=headers)
        assert (answer.status, answer.text, answer.type) == (200, "o\n", SCRIPT)
        is_open_to(answer, "test")
        is_not_cached(answer)
        answer = await http.post(f"{session}/xhr_send", '["x"]', headers=headers)
        assert (answer.status, answer.text, answer.type) == (204, "", PLAIN)
        is_open_to(answer, "test")
        is_not_cached(answer)
        assert await http.poll(session) == 'a["x"]\n'

    async def test_bad_json_is_refused_and_the_session_lives(self, http, session):
        for body, reason in (('["x', "Broken JSON encoding."), ("", "Payload expected.")):
            answer = await http.post(f"{session}/xhr_send", body)
            assert answer.status == 500
            assert reason in answer.text
        assert await http.send(session, '["a"]') == 204
        assert await http.poll(session) == 'a["a"]\n'

    async def test_the_type_of_a_body_does_not_matter(self, http, session):
        types = ["text/plain", "T", "application/json", "application/xml", "", "application/json; charset=utf-8",
                 "text/xml; charset=utf-8", "text/xml"]  # fmt: skip
        for kind in types:
            answer = await http.post(f"{session}/xhr_send", '["a"]', headers={"content-type": kind})
            assert (answer.status, answer.text) == (204, "")
        assert json.loads((await http.poll(session))[1:]) == ["a"] * len(types)

    @pytest.mark.parametrize("asked", ["a, b, c", "", None])
    async def test_the_headers_that_a_page_asks_for_are_allowed(self, http, echo, asked):
        headers = {"origin": "test", "access-control-request-method": "POST"}
        if asked is not None:
            headers["access-control-request-headers"] = asked
        answer = await http.ask("OPTIONS", f"{new_session(echo)}/xhr", headers=headers)
        assert answer.status in (200, 204)
        is_open_to(answer, "test")
        assert answer.headers.get("access-control-allow-headers") == (asked or None)

    async def test_no_messages_may_be_sent_too(self, http, session):
        assert await http.send(session, "[]") == 204
        assert await http.send(session, '["a"]') == 204
        assert await http.poll(session) == 'a["a"]\n'


class TestStreaming:
    async def test_every_page_may_ask(self, http, echo):
        await allows(http, f"{echo}/abc/abc/xhr_streaming", "OPTIONS", "POST")

    async def test_a_conversation(self, http, echo):
        session = new_session(echo)
        async with http.stream("POST", f"{session}/xhr_streaming", headers={"origin": "test"}) as stream:
            assert (stream.status, stream.type) == (200, SCRIPT)
            is_open_to(stream, "test")
            is_not_cached(stream)
            assert await stream.chunk() == PRELUDE
            assert await stream.chunk() == "o\n"
            assert await http.send(session, '["x"]') == 204
            assert await stream.chunk() == 'a["x"]\n'

    async def test_the_response_ends_at_its_limit(self, http, echo):
        session, frame = new_session(echo), '["' + "x" * 128 + '"]'
        async with http.stream("POST", f"{session}/xhr_streaming") as stream:
            assert await stream.chunk() == PRELUDE
            assert await stream.chunk() == "o\n"
            for _ in range(31):
                assert await http.send(session, frame) == 204
                assert await stream.chunk() == f"a{frame}\n"
            assert await stream.chunk() == ""
        assert await http.send(session, '["after"]') == 204
        assert await http.poll(session) == 'a["after"]\n'


class TestEventSource:
    async def test_a_conversation(self, http, echo):
        session = new_session(echo)
        async with http.stream("GET", f"{session}/eventsource") as stream:
            assert (stream.status, stream.type) == (200, "text/event-stream")
            is_not_cached(stream)
            assert await stream.chunk() == "\r\n"
            assert await stream.chunk() == "data: o\r\n\r\n"
            assert await http.send(session, '["x"]') == 204
            assert await stream.chunk() == 'data: a["x"]\r\n\r\n'
            assert await http.send(session, r'["  \u0000\n\r "]') == 204
            assert await stream.chunk() == 'data: a["  \\u0000\\n\\r "]\r\n\r\n'

    async def test_the_response_ends_at_its_limit(self, http, echo):
        session, frame = new_session(echo), '["' + "x" * 4096 + '"]'
        async with http.stream("GET", f"{session}/eventsource") as stream:
            assert [await stream.chunk(), await stream.chunk()] == ["\r\n", "data: o\r\n\r\n"]
            assert await http.send(session, frame) == 204
            assert await stream.chunk() == f"data: a{frame}\r\n\r\n"
            assert await stream.chunk() == ""


class TestHtmlFile:
    PAGE = """<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.callback;
    c.start();
    function p(d) {c.message(d);};
    window.onload = function() {c.stop();};
  </script>"""

    async def test_a_conversation(self, http, echo):
        session = new_session(echo)
        async with http.stream("GET", f"{session}/htmlfile?c=%63allback") as stream:
            assert (stream.status, stream.type) == (200, "text/html;charset=UTF-8")
            is_not_cached(stream)
            page = await stream.chunk()
            assert page.strip() == self.PAGE
            assert len(page) > 1024
            assert await stream.chunk() == '<script>\np("o");\n</script>\r\n'
            assert await http.send(session, '["x"]') == 204
            assert await stream.chunk() == '<script>\np("a[\\"x\\"]");\n</script>\r\n'

    async def test_the_response_ends_at_its_limit(self, http, echo):
        session = new_session(echo)
        async with http.stream("GET", f"{session}/htmlfile?c=callback") as stream:
            assert await stream.chunk()
            assert await stream.chunk() == '<script>\np("o");\n</script>\r\n'
            assert await http.send(session, '["' + "x" * 4096 + '"]') == 204
            assert await stream.chunk() == '<script>\np("a[\\"' + "x" * 4096 + '\\"]");\n</script>\r\n'
            assert await stream.chunk() == ""


@pytest.mark.parametrize("name", ["htmlfile", "jsonp"])
class TestCallbacks:
    async def test_there_must_be_one(self, http, echo, name):
        answer = await http.get(f"{echo}/a/a/{name}")
        assert answer.status == 500
        assert '"callback" parameter required' in answer.text

    @pytest.mark.parametrize("callback", ["%20", "*", "abc(", "abc%28", "%3C/script%3E", "a%0d%0ab", "x" * 5_000])
    async def test_it_must_be_a_name(self, http, echo, name, callback):
        answer = await http.get(aiohttp.client.URL(f"{echo}/a/a/{name}?c={callback}", encoded=True))
        assert answer.status == 500
        assert 'invalid "callback" parameter' in answer.text


class TestJsonp:
    @pytest.fixture
    async def session(self, http, echo):
        session = new_session(echo)
        assert await self.poll(http, session) == '/**/x("o");\r\n'
        return session

    async def poll(self, http, session):
        return (await http.get(f"{session}/jsonp?c=x")).text

    async def send(self, http, session, body, **headers):
        return (await http.post(f"{session}/jsonp_send", body, headers=FORM | headers)).text

    async def test_a_conversation(self, http, echo):
        session = new_session(echo)
        answer = await http.get(f"{session}/jsonp?c=%63allback")
        assert (answer.status, answer.type) == (200, SCRIPT)
        assert answer.text == '/**/callback("o");\r\n'
        is_not_cached(answer)
        assert answer.headers["x-content-type-options"] == "nosniff"
        answer = await http.post(f"{session}/jsonp_send", "d=%5B%22x%22%5D", headers=FORM)
        assert (answer.status, answer.text, answer.type) == (200, "ok", PLAIN)
        is_not_cached(answer)
        assert (await http.get(f"{session}/jsonp?c=%63allback")).text == '/**/callback("a[\\"x\\"]");\r\n'

    async def test_bad_json_is_refused_and_the_session_lives(self, http, session):
        for body, reason in (
            ("d=%5B%22x", "Broken JSON encoding."),
            ("", "Payload expected."),
            ("d=", "Payload expected."),
            ("p=p", "Payload expected."),
        ):
            answer = await http.post(f"{session}/jsonp_send", body, headers=FORM)
            assert answer.status == 500
            assert reason in answer.text
        assert await self.send(http, session, "d=%5B%22b%22%5D") == "ok"
        assert await self.poll(http, session) == '/**/x("a[\\"b\\"]");\r\n'

    async def test_a_body_is_a_form_only_if_it_says_so(self, http, session):
        assert await self.send(http, session, "d=%5B%22abc%22%5D") == "ok"
        answer = await http.post(f"{session}/jsonp_send", '["%61bc"]', headers={"content-type": "text/plain"})
        assert answer.text == "ok"
        assert await self.poll(http, session) == '/**/x("a[\\"abc\\",\\"%61bc\\"]");\r\n'

    async def test_a_session_that_is_closed_says_so(self, http, url):
        session = new_session(f"{url}/close")
        said = [await self.poll(http, session) for _ in range(3)]
        assert said == ['/**/x("o");\r\n'] + ['/**/x("c[3000,\\"Go away!\\"]");\r\n'] * 2

    async def test_no_messages_may_be_sent_too(self, http, session):
        assert await self.send(http, session, "d=%5B%5D") == "ok"
        assert await self.send(http, session, "d=%5B%22x%22%5D") == "ok"
        assert await self.poll(http, session) == '/**/x("a[\\"x\\"]");\r\n'


class TestCookies:
    @pytest.fixture
    def session(self, url):
        return new_session(f"{url}/cookie_needed_echo")

    def is_given(self, answer, value="dummy"):
        name, path, *_ = (part.strip() for part in answer.headers["set-cookie"].split(";"))
        assert name == f"JSESSIONID={value}"
        assert path.lower() == "path=/"

    async def test_a_poll_brings_one(self, http, session):
        answer = await http.post(f"{session}/xhr")
        assert answer.text == "o\n"
        self.is_given(answer)
        self.is_given(await http.post(f"{session}/xhr_send", '["x"]'))

    async def test_the_clients_own_is_kept(self, http, session):
        answer = await http.post(f"{session}/xhr", headers={"cookie": "JSESSIONID=abcdef"})
        assert answer.text == "o\n"
        self.is_given(answer, "abcdef")

    @pytest.mark.parametrize("path", ["xhr_streaming", "eventsource", "htmlfile?c=%63allback"])
    async def test_a_stream_brings_one(self, http, session, path):
        async with http.stream("POST" if path == "xhr_streaming" else "GET", f"{session}/{path}") as stream:
            assert stream.status == 200
            self.is_given(stream)

    async def test_jsonp_brings_one_both_ways(self, http, session):
        answer = await http.get(f"{session}/jsonp?c=%63allback")
        assert answer.text == '/**/callback("o");\r\n'
        self.is_given(answer)
        answer = await http.post(f"{session}/jsonp_send", "d=%5B%22x%22%5D", headers=FORM)
        assert answer.text == "ok"
        self.is_given(answer)


class TestUnicode:
    """It says: "The server must encode at least all the characters it's supposed to encode"."""

    UNSAFE = (*range(0x200C, 0x2010), *range(0x2028, 0x2030), *range(0x2060, 0x2070), *range(0xFFF0, 0x10000))

    async def test_what_browsers_would_change_is_escaped(self, http, session):
        escaped = "".join(f"\\u{code:04x}" for code in self.UNSAFE)
        assert await http.send(session, f'["{escaped}"]') == 204
        assert await http.poll(session) == f'a["{escaped}"]\n'

    async def test_every_unit_of_utf_16_comes_back(self, http, session):
        for start in range(0, 0x10000, 0x4000):
            text = "".join(map(chr, range(start, start + 0x4000)))
            assert await http.send(session, json.dumps([text])) == 204
            (answer,) = json.loads((await http.poll(session))[1:])
            # JSON knows no lone surrogates, so Python pairs those that happen to stand side by side
            assert answer.encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")

    async def test_text_is_sent_as_it_is(self, http, session):
        assert await http.send(session, json.dumps(["déjà \U0001f642"], ensure_ascii=False).encode()) == 204
        assert await http.poll(session) == 'a["déjà \U0001f642"]\n'
