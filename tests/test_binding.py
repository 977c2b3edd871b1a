import dataclasses
import math
from collections import OrderedDict
from contextlib import suppress
from enum import Enum
from typing import Any, NamedTuple, TypedDict

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.binding import Binder, encode_result
from hubbub.bodies import encode, is_json, values
from hubbub.errors import Invalid, UsageError
from hubbub.messages import Form, Raw


class Item(msgspec.Struct):
    price: float


class Order(msgspec.Struct):
    items: list[Item]
    note: str = ""


class Row(msgspec.Struct, array_like=True):
    left: int
    right: int


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Person(TypedDict):
    name: str


class Colour(Enum):
    RED = "red"


class Message(pydantic.BaseModel):
    text: str
    stars: int = 0


def raws(*arguments: str) -> tuple[Raw, ...]:
    return tuple(Raw(argument.encode()) for argument in arguments)


def bind(function, *arguments):
    """Call the function as a channel would, with arguments written as JSON, or decoded."""
    binder = Binder(function)
    given = [Raw(argument.encode()) if isinstance(argument, str) else argument for argument in arguments]
    return binder.function("self", *binder.bind(given))


def fault(function, *arguments) -> str:
    with pytest.raises(Invalid) as caught:
        bind(function, *arguments)
    return caught.value.reason


def say(self, text: str):
    return text


def move(self, x: int, y: int = 7):
    return x, y


def order(self, order: Order):
    return order


def nothing(self):
    return "called"


# -- by position ------------------------------------------------------------------------------------------------------


def test_one_value_goes_to_the_only_parameter():
    assert bind(say, '"hi"') == "hi"


def test_several_values_bind_by_position_and_defaults_fill_the_rest():
    assert bind(move, "1", "2") == (1, 2)
    assert bind(move, "1") == (1, 7)


def test_what_is_left_over_goes_to_the_star():
    def shout(self, first: str, *others: int):
        return first, others

    assert bind(shout, '"a"') == ("a", ())
    assert bind(shout, '"a"', "1", "2") == ("a", (1, 2))
    assert fault(shout, '"a"', "1", '"b"') == "others[1]: expected int, got str"


def test_too_many_values_are_refused():
    assert fault(say, '"x"', '"y"') == "expected 1 argument, got 2"
    assert fault(move, "1", "2", "3") == "expected at most 2 arguments, got 3"
    assert fault(nothing, "1") == "expected no arguments, got 1"


def test_what_is_missing_is_named():
    assert fault(say) == "missing: text"
    assert fault(move) == "missing: x"


def test_a_value_of_another_type_is_refused_with_the_parameter_s_name():
    assert fault(say, "5") == "text: expected str, got int"
    assert fault(move, "1", "true") == "y: expected int, got bool"
    assert fault(move, '"1"') == "x: expected int, got str"


def test_a_fault_deep_inside_is_refused_with_its_path():
    assert fault(order, '{"items":[{"price":1},{"price":"x"}]}') == "$.items[1].price: expected float, got str"
    assert fault(order, '{"items":[{}]}') == "missing: $.items[0].price"
    assert fault(move, '{"x":1,"y":[]}') == "y: expected int, got array"

    def count(self, scores: dict[str, int], words: dict[int, str]):
        pass

    assert fault(count, '{"a":"b"}', "{}") == "scores[...]: expected int, got str"
    assert fault(count, "{}", '{"a":"b"}') == "key in words: expected int, got str"


# -- by name ----------------------------------------------------------------------------------------------------------


def test_one_object_binds_by_name_in_any_order():
    assert bind(say, '{"text":"hi"}') == "hi"
    assert bind(move, '{"y":2,"x":1}') == (1, 2)


def test_names_that_no_parameter_has_are_ignored():
    assert bind(move, '{"x":1,"z":[1,2]}') == (1, 7)


def test_faults_by_name_are_told_like_those_by_position():
    assert fault(say, '{"text":5}') == "text: expected str, got int"
    assert fault(say, "{}") == "missing: text"


def test_a_default_is_the_very_object():
    marker = ["shared"]

    def keep(self, first: int = 0, second: list[str] = marker):
        return second

    assert bind(keep, '{"first":1}') is marker
    assert bind(keep, "1") is marker
    assert bind(keep) is marker


def test_keyword_only_parameters_bind_by_name_only():
    def tell(self, text: str, *, loud: bool = False):
        return text, loud

    def mark(self, *, done: bool):
        return done

    assert bind(tell, '{"text":"a","loud":true}') == ("a", True)
    assert bind(tell, '"a"') == ("a", False)
    assert fault(tell, '"a"', "true") == "expected 1 argument, got 2"
    assert bind(mark, '{"done":true}') is True
    assert fault(mark, "true") == "expected no arguments, got 1"
    assert fault(mark) == "missing: done"


def test_keyword_only_parameters_stand_behind_the_star():
    def add(self, *numbers: int, scale: int = 1):
        return numbers, scale

    def pick(self, *numbers: int, scale: int):
        return numbers, scale

    assert bind(add, "1", "2") == ((1, 2), 1)
    assert bind(add, "1") == ((1,), 1)
    assert bind(add, '{"scale":3}') == ((), 3)
    assert fault(pick, "1") == "missing: scale"
    assert bind(pick, '{"scale":3}') == ((), 3)


# -- the whole object -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("annotation", [dict, dict[str, Any], Any, object, dict | None, int | dict[str, int]])
def test_a_first_parameter_that_takes_objects_gets_it_whole(annotation):
    def take(self, data, room="lobby"):
        return data, room

    take.__annotations__["data"] = annotation
    assert bind(take, '{"room":1}') == ({"room": 1}, "lobby")
    assert bind(take, {"room": 1}) == ({"room": 1}, "lobby")


def test_an_unannotated_parameter_takes_anything():
    def take(self, data):
        return data

    for text, value in ('{"a":1}', {"a": 1}), ("[1]", [1]), ("null", None), ("1.5", 1.5):
        assert bind(take, text) == value


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Point, Point(1, 2)),
        (Person, {"name": "Ada"}),
        (Message, Message(text="hi")),
        (Message | None, Message(text="hi")),
    ],
)
def test_records_of_every_make_take_the_whole_object(annotation, expected):
    def take(self, record):
        return record

    take.__annotations__["record"] = annotation
    sent = '{"x":1,"y":2,"name":"Ada","text":"hi"}'
    assert bind(take, sent) == expected
    assert bind(take, msgspec.json.decode(sent)) == expected


def test_it_binds_by_name_when_another_parameter_has_no_default():
    def put(self, record: dict, key: str):
        return key, record

    assert bind(put, '{"key":"a","record":{"b":1}}') == ("a", {"b": 1})
    assert fault(put, '{"record":{}}') == "missing: key"


def test_the_star_takes_a_whole_object_if_it_takes_objects():
    def take(self, *records: dict):
        return records

    def words(self, *words: str):
        return words

    assert bind(take, '{"a":1}') == ({"a": 1},)
    assert fault(words, '{"a":1}') == "words[0]: expected str, got object"


# -- nothing ----------------------------------------------------------------------------------------------------------


def test_null_counts_as_nothing_where_the_first_parameter_does_not_take_it():
    assert bind(nothing, "null") == "called"
    assert bind(nothing, None) == "called"
    assert fault(say, "null") == "missing: text"
    assert fault(order, "null") == "missing: order"


def test_null_is_a_value_where_the_first_parameter_takes_it():
    def clear(self, until: int | None = 5):
        return until

    assert bind(clear, "null") is None
    assert bind(clear) == 5


def test_an_empty_object_is_nothing_to_a_handler_without_parameters():
    assert bind(nothing) == bind(nothing, "{}") == bind(nothing, "{ }") == bind(nothing, {}) == "called"
    assert fault(nothing, '{"a":1}') == "expected no arguments, got 1"
    assert fault(nothing, "[]") == "expected no arguments, got 1"


def test_a_struct_that_is_an_array_binds_beside_objects_by_name():
    def put(self, pair: Row, note: str = ""):
        return pair, note

    assert bind(put, "[1,2]") == (Row(1, 2), "")
    assert bind(put, '{"pair":[1,2],"note":"x"}') == (Row(1, 2), "x")
    assert fault(put, "[1]").startswith("pair: ")


# -- bytes and decoded values -----------------------------------------------------------------------------------------


def test_bytes_come_as_they_are_or_as_base64_text():
    def store(self, data: bytes):
        return data

    assert bind(store, b"\x00\xff") == b"\x00\xff"
    assert bind(store, '"AP8="') == b"\x00\xff"
    assert bind(store, {"data": b"\x00\xff"}) == b"\x00\xff"
    assert fault(store, '"?"') == "data: invalid base64 encoded string"
    assert fault(say, b"hi") == "text: expected str, got bytes"


def test_decoded_values_are_validated_as_strictly():
    assert bind(move, 1, 2) == (1, 2)
    assert bind(move, {"x": 1}) == (1, 7)
    assert bind(order, {"items": [{"price": 1}]}) == Order([Item(1.0)])
    assert fault(move, {"x": "1"}) == "x: expected int, got str"
    assert fault(order, {"items": [{"price": b""}]}) == "$.items[0].price: expected float, got bytes"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "data: a number that is not finite"),
        ([1, {"a": -math.inf}], "data: a number that is not finite"),
        (2**64, "data: a number of more than 64 bits"),
        (["\ud800"], "data: not valid Unicode"),
        ([{1: 2}], "data: an object's key is not text"),
        ([msgspec.msgpack.Ext(5, b"")], "data: a MessagePack extension"),
    ],
)
def test_decoded_values_that_json_cannot_say_are_refused(value, reason):
    def take(self, data: Any):
        return data

    assert fault(take, value) == reason


# -- pydantic ---------------------------------------------------------------------------------------------------------


def test_faults_of_pydantic_models_have_the_same_form():
    def post(self, message: Message):
        return message

    def posts(self, messages: list[Message]):
        return messages

    assert fault(post, "{}") == "missing: $.text"
    assert fault(post, '{"text":5}') == "$.text: input should be a valid string"
    assert fault(posts, '[{"text":"a"},{"text":"b","stars":"many"}]').startswith("messages[1].stars: input should be")
    assert fault(post, '"hi"').startswith("message: input should be")
    assert fault(post, {"text": b"\xff"}).startswith("$.text: ")


def test_models_bind_beside_other_parameters():
    def post(self, message: Message, room: str, copy: Message | None = None):
        return message, room, copy

    assert bind(post, '{"message":{"text":"a"},"room":"b"}') == (Message(text="a"), "b", None)
    assert bind(post, '{"text":"a"}', '"b"', '{"text":"c"}') == (Message(text="a"), "b", Message(text="c"))
    assert fault(post, '{"message":{},"room":"b"}') == "missing: message.text"


# -- hostile input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("annotation", [Any, str, list, dict, Order, Message, list[Message], bytes, float, Raw])
def test_nesting_without_end_is_invalid(annotation):
    def take(self, data):
        return data

    take.__annotations__["data"] = annotation
    deep = value = []
    for _ in range(10_000):
        deep.append(deep := [])
    assert fault(take, "[" * 10_000 + "]" * 10_000)
    assert fault(take, '{"a":' * 10_000 + "1" + "}" * 10_000)
    assert fault(take, value) == "data: nested too deeply"


@pytest.mark.parametrize(
    "text",
    ["NaN", "[NaN]", '{"a":Infinity}', r'"\ud800"', r'{"\udc00":1}', "1e999", "1" * 5_000, "", "{", "tru", "1 2"],
)
@pytest.mark.parametrize("annotation", [Any, Message, dict[str, Message], pydantic.RootModel[float]])
def test_what_is_not_json_is_invalid(text, annotation):
    def take(self, data):
        return data

    take.__annotations__["data"] = annotation
    assert fault(take, text)


def test_raw_hands_over_what_came_without_looking_at_it():
    def relay(self, data: Raw):
        return data

    assert bind(relay, '{"a": [1e999]}') == Raw(b'{"a": [1e999]}')
    assert bind(relay, {"a": b"\xff"}) == Raw(b'{"a":"/w=="}')
    assert fault(relay, '{"a": [NaN]}') == "$: not valid JSON"


def test_a_reason_does_not_repeat_a_megabyte():
    def paint(self, colour: Colour):
        pass

    assert len(fault(paint, '"' + "x" * 1_000_000 + '"')) < 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4),
    max_leaves=12,
)
RAW = st.binary(max_size=30).map(Raw) | JSON.map(lambda value: Raw(msgspec.json.encode(_printable(value))))


def _printable(value):
    try:
        msgspec.json.encode(value)
    except (TypeError, ValueError):
        return repr(value).encode("ascii", "replace").decode()
    return value


def anything(self, data, more=None):
    pass


def mixed(self, text: str, count: int = 1, *rest: Order | None, flag: bool = False):
    pass


def modelled(self, message: Message, point: Point | None = None):
    pass


BINDERS = [Binder(function) for function in (say, move, order, nothing, anything, mixed, modelled)]


@given(st.sampled_from(BINDERS), st.lists(JSON | RAW, max_size=3))
def test_only_invalid_leaves_bind(binder, arguments):
    with suppress(Invalid):
        binder.bind(arguments)


@given(
    st.sampled_from(BINDERS),
    st.dictionaries(st.sampled_from(["text", "x", "message", "data"]), st.text(st.characters()), max_size=2),
    JSON | RAW,
)
def test_only_invalid_leaves_bind_named(binder, variables, params):
    with suppress(Invalid):
        binder.bind_named(variables, params)


def _same_in_json(value) -> bool:
    try:
        return msgspec.json.decode(msgspec.msgpack.encode(value) and msgspec.json.encode(value)) == value
    except (TypeError, ValueError, OverflowError):
        return False


@given(st.lists(JSON.filter(_same_in_json), max_size=3))
def test_raw_and_decoded_arguments_bind_alike(arguments):
    encoded = [Raw(msgspec.json.encode(argument)) for argument in arguments]
    for binder in BINDERS:
        assert _outcome(binder, encoded) == _outcome(binder, arguments)


def _outcome(binder, arguments):
    try:
        return binder.bind(arguments)
    except Invalid:
        return "invalid"


# -- joins ------------------------------------------------------------------------------------------------------------


def join(self, room: int, name: str, colour: str = "grey"):
    return room, name, colour


def test_a_join_binds_variables_and_parameters_by_name():
    binder = Binder(join)
    assert binder.bind_named({"room": "12"}, Raw(b'{"name":"Ada","unknown":1}')) == (12, "Ada", "grey")
    assert binder.bind_named({"room": "12"}, {"name": "Ada", "colour": "red"}) == (12, "Ada", "red")


def test_the_client_cannot_override_a_variable():
    assert Binder(join).bind_named({"room": "12"}, Raw(b'{"room":13,"name":"Ada"}')) == (12, "Ada", "grey")


@pytest.mark.parametrize(
    ("variables", "params", "reason"),
    [
        ({"room": "12"}, None, "missing: name"),
        ({"room": "12"}, Raw(b"null"), "missing: name"),
        ({"room": "12"}, Raw(b"{}"), "missing: name"),
        ({}, Raw(b'{"name":"Ada"}'), "missing: room"),
        ({"room": "lobby"}, {"name": "Ada"}, "room: expected int, got str"),
        ({"room": "1" * 5_000}, {"name": "Ada"}, "room: integer value out of range"),
        ({"room": "1"}, {"name": 5}, "name: expected str, got int"),
        ({"room": "1"}, Raw(b'{"name":5}'), "name: expected str, got int"),
        ({"room": "1"}, Raw(b"[]"), "$: expected object, got array"),
        ({"room": "1"}, ["Ada"], "$: expected object, got array"),
        ({"room": "1"}, Raw(b'{"name":'), "$: not valid JSON"),
    ],
)
def test_a_join_that_does_not_fit_is_invalid(variables, params, reason):
    with pytest.raises(Invalid) as caught:
        Binder(join).bind_named(variables, params)
    assert caught.value.reason == reason


def test_a_variable_that_is_no_number_stays_out_of_a_float():
    def sense(self, level: float):
        return level

    assert Binder(sense).bind_named({"level": "1.5"}, None) == (1.5,)
    with pytest.raises(Invalid, match="level: a number that is not finite"):
        Binder(sense).bind_named({"level": "nan"}, None)


def test_a_variable_may_be_what_pydantic_says():
    def visit(self, page: pydantic.RootModel[int]):
        return page.root

    assert Binder(visit).bind_named({"page": "3"}, None)[0].root == 3


# -- what clients could not call --------------------------------------------------------------------------------------


def test_what_cannot_be_bound_is_refused_at_registration():
    def open_ended(self, **options: str):
        pass

    def unknown(self, text: "NoSuchName"):  # noqa: F821
        pass

    with pytest.raises(UsageError, match=r"open_ended: options: name the parameters"):
        Binder(open_ended)
    with pytest.raises(UsageError, match=r"unknown: text: .*NoSuchName"):
        Binder(unknown)
    with pytest.raises(UsageError, match="parameters cannot be read"):
        Binder(5)


def test_the_return_annotation_does_not_matter():
    def reply(self, text: str) -> "NoSuchName":  # noqa: F821
        return text

    assert bind(reply, '"hi"') == "hi"


# -- results ----------------------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    left: int
    right: int


class Blob(msgspec.Struct):
    data: Any


@dataclasses.dataclass
class Parcel:
    inside: list[Any]


@attrs.define
class Part:
    data: Any


class Picture(pydantic.BaseModel):
    pixels: bytes
    size: tuple[int, int] = (1, 1)


@pytest.mark.parametrize(
    ("result", "body"),
    [
        (None, b"[]"),
        ("hi", b'["hi"]'),
        ((1, "a"), b'[1,"a"]'),
        ((), b"[]"),
        ([1, 2], b"[[1,2]]"),
        (Pair(1, 2), b"[[1,2]]"),
        ({"a": None}, b'[{"a":null}]'),
        (Point(1, 2), b'[{"x":1,"y":2}]'),
        (Item(1.5), b'[{"price":1.5}]'),
        (Message(text="hi"), b'[{"text":"hi","stars":0}]'),
        ({"deep": [Message(text="hi")]}, b'[{"deep":[{"text":"hi","stars":0}]}]'),
        (Raw(b'{"a":1}'), b'[{"a":1}]'),
    ],
)
def test_a_result_is_a_reply_s_body(result, body):
    assert encode_result(result) == body


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (b"\xff", [b"\xff"]),
        (bytearray(b"\xff"), [b"\xff"]),
        (Blob(b"\xff"), [{"data": b"\xff"}]),
        (Blob(Parcel([Blob([b"\xff"])])), [{"data": {"inside": [{"data": [b"\xff"]}]}}]),
        (Parcel([1, {"a": b"\xff"}]), [{"inside": [1, {"a": b"\xff"}]}]),
        (Pair(b"\xff", 2), [[b"\xff", 2]]),
        (Part(b"\xff"), [{"data": b"\xff"}]),
        (OrderedDict(data=b"\xff"), [{"data": b"\xff"}]),
        (Picture(pixels=b"\xff"), [{"pixels": b"\xff", "size": [1, 1]}]),
        ({"raw": Raw(b'{"a":1}'), "data": b"\xff", 5: 6}, [{"raw": {"a": 1}, "data": b"\xff", "5": 6}]),
        ((b"\xff", Message(text="hi")), [b"\xff", {"text": "hi", "stars": 0}]),
    ],
)
def test_bytes_anywhere_in_a_result_stay_bytes(result, told):
    body = encode_result(result)
    assert not is_json(body)
    assert values(body) == told


def test_records_without_bytes_stay_json():
    assert is_json(encode((Blob(Parcel([Blob("text")])), Picture(pixels=b"").size, {1, 2})))


def test_what_nobody_can_say_is_a_type_error():
    with pytest.raises(TypeError, match="object cannot be sent"):
        encode_result(object())
    with pytest.raises(TypeError, match="object cannot be sent"):
        encode_result((b"", object()))


# -- what is text by nature --------------------------------------------------------------------------------------------


def test_the_fields_of_a_form_are_read_as_their_parameters_types():
    def order(count: int, price: float, name: str, *, gift: bool = False): ...

    binder = Binder(order, skip=0)
    assert binder.bind((Form(count="3", price="1.5", name="12", gift="true", unknown="x"),)) == (3, 1.5, "12", True)
    assert binder.bind_named({"name": "12"}, Form(count="3", price="2", name="no")) == (3, 2.0, "12", False)


def test_a_form_may_be_one_record():
    def plain(order: Message): ...
    def typed(point: Point): ...
    def any_object(values: dict): ...

    assert Binder(plain, skip=0).bind((Form(text="hi", stars="5"),)) == (Message(text="hi", stars=5),)
    assert Binder(typed, skip=0).bind((Form(x="1", y="2"),)) == (Point(1, 2),)
    assert Binder(any_object, skip=0).bind((Form(x="1"),)) == ({"x": "1"},)


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (Form(x="1"), "missing: y"),
        (Form(x="one", y="2"), "x: expected int, got str"),
        (Form(x="", y="2"), "x: expected int, got str"),
        (Form(x="1", y="\ud800"), "y: not valid Unicode"),
    ],
)
def test_a_form_that_does_not_fit_is_invalid(form, reason):
    def by_name(x: int, y: int): ...

    with pytest.raises(Invalid) as caught:
        Binder(by_name, skip=0).bind((form,))
    assert caught.value.reason == reason
