"""What one value of a payload must look like: an annotation, turned into something that validates.

msgspec validates all it knows: builtins and their generics, TypedDict, Struct, dataclass, attrs, enums, dates, UUID.
An annotation that mentions a pydantic model is validated by pydantic, as that model is configured. pydantic is
imported only then: an application that has no such model does not need it.

A reason names the fault by its path: ``items[3].price: expected float, got str``.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import inspect as types

from hubbub.errors import Invalid, UsageError
from hubbub.messages import Form, Raw

FAULTS = (ValueError, RecursionError)
"""What decoding raises of a client's making; msgspec's, pydantic's and Unicode's errors are ValueErrors."""

_LONGEST_REASON = 300
"""Characters. msgspec and pydantic quote what they were given, and that may be a megabyte."""

DEEP = 250
"""Levels. Walking a value in Python takes a frame or two for each, and there are 1,000 for everything."""

_NESTING = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_AT = " - at `"
_ABSENT = "Object missing required field `"
_RECORDS = (types.AnyType, types.DictType, types.TypedDictType, types.DataclassType)
_json = msgspec.json.Decoder()


class Shape:
    """A type that a value must have, as msgspec validates it.

    ``takes_object``: whether a JSON object may fit. ``field``: the type to give a struct's field that is to hold such
    a value; where it is Raw, the value is still to be read.
    """

    __slots__ = ("decode", "field", "takes_object")

    def __init__(self, annotation: Any, takes_object: bool) -> None:
        self.field = annotation
        self.takes_object = takes_object
        self.decode: Callable[[Raw], Any] = msgspec.json.Decoder(annotation).decode
        """Validates encoded JSON. Raises FAULTS."""

    @property
    def takes_null(self) -> bool:
        """Whether null may fit."""
        try:
            self.decode(Raw(b"null"))
        except Exception:  # also what a model's own code raises of a None that it did not expect
            return False
        return True

    def read(self, value: Any, path: str) -> Any:
        """Validate a value, encoded or not. Raises Invalid."""
        try:
            if type(value) is Raw:
                return self.decode(value)
            _sayable(value)
            return self._convert(value)
        except FAULTS as error:
            raise Invalid(explain(error, path)) from None

    def read_text(self, text: str | Form, path: str) -> Any:
        """What this text says, or these texts by name, numbers and dates included. Raises Invalid."""
        try:
            _sayable(text if isinstance(text, str) else dict(text))
            value = self._parse(text)
            _finite(value)
            return value
        except FAULTS as error:
            raise Invalid(explain(error, path)) from None

    def _convert(self, value: Any) -> Any:
        return msgspec.convert(value, self.field)

    def _parse(self, text: str | Form) -> Any:
        return msgspec.convert(text, self.field, strict=False)


class Encoded(Shape):
    """JSON as it came, for whoever passes it on."""

    __slots__ = ()

    def _convert(self, value: Any) -> Any:
        return Raw(msgspec.json.encode(value))

    def _parse(self, text: str | Form) -> Any:
        return self._convert(text)


class Model(Shape):
    """A type that pydantic validates."""

    __slots__ = ("_adapter",)

    def __init__(self, annotation: Any, takes_object: bool) -> None:
        from pydantic import TypeAdapter

        super().__init__(Raw, takes_object)
        adapter: Any = TypeAdapter(annotation)
        self._adapter = adapter
        self.decode = lambda raw: adapter.validate_json(_proven(raw))

    def _convert(self, value: Any) -> Any:
        return self._adapter.validate_python(value)

    def _parse(self, text: str | Form) -> Any:
        return self._adapter.validate_strings(text)


def _proven(raw: Raw) -> bytes:
    """pydantic's parser takes NaN, and 1e999 as infinity; msgspec's does not, and takes a tenth of the time."""
    _json.decode(raw)
    return bytes(raw)


def shape_of(annotation: Any, place: str) -> Shape:
    """Raises UsageError, which begins with ``place``, for an annotation that no payload can fit."""
    try:
        members = list(_members(annotation))
        if Raw in members:  # whatever else it may be
            return Encoded(Raw, takes_object=True)
        return _maker(annotation)(annotation, any(map(_takes_object, members)))
    except Exception as error:
        raise UsageError(f"{place}: {error}") from error


def is_deep(value: Any) -> bool:
    """Whether this, encoded or not, is nested so deeply that a RecursionError over it is its sender's doing."""
    if type(value) is Raw:
        return _depth(value) > DEEP
    level = [value]
    for _ in range(DEEP):
        level = [inner for each in level for inner in _inside(each)]
    return bool(level)


def _depth(text: Raw) -> int:
    depth = deepest = 0
    for found in _NESTING.finditer(text):
        depth += (found[0] in (b"[", b"{")) - (found[0] in (b"]", b"}"))
        deepest = max(deepest, depth)
    return deepest


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()


def explain(error: Exception, path: str) -> str:
    """The reason to give a client. ``path`` is where in its payload the value was."""
    if isinstance(error, RecursionError):
        place, fault = path, "nested too deeply"
    elif isinstance(error, msgspec.ValidationError):
        place, fault = _from_msgspec(str(error), path)
    elif hasattr(error, "errors"):
        place, fault = _from_pydantic(
            error.errors(include_url=False, include_context=False, include_input=False)[0], path
        )
    elif isinstance(error, UnicodeError):
        place, fault = path, "not valid Unicode"
    elif isinstance(error, _Unsayable):
        place, fault = path, str(error)
    else:
        place, fault = path, "not valid JSON"
    place = place.removeprefix(".") or "$"
    reason = f"missing: {place}" if fault == "missing" else f"{place}: {fault}"
    return reason if len(reason) <= _LONGEST_REASON else reason[:_LONGEST_REASON] + "..."


def _from_msgspec(text: str, path: str) -> tuple[str, str]:
    """msgspec writes "Expected `int`, got `str` - at `$.items[3].price`", or "... - at `key` in `$.scores`"."""
    fault, at, below = text.rpartition(_AT)
    if not at:
        fault, below = text, "$`"
    _, is_key, below = below.rpartition("key` in `")
    place = path + below.removeprefix("$").removesuffix("`")
    if fault.startswith(_ABSENT):
        return f"{place}.{fault.removeprefix(_ABSENT).removesuffix('`')}", "missing"
    fault = fault.replace("`", "")
    return f"key in {place}" if is_key else place, fault[:1].lower() + fault[1:]


def _from_pydantic(fault: dict[str, Any], path: str) -> tuple[str, str]:
    place = path + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"])
    if fault["type"] == "missing":
        return place, "missing"
    return place, fault["msg"][:1].lower() + fault["msg"][1:]


# -- what an annotation means -----------------------------------------------------------------------------------------


def _members(annotation: Any) -> Iterator[Any]:
    """The types of a union; of anything else just itself, without its wrappings."""
    if get_origin(annotation) is Annotated:
        yield from _members(get_args(annotation)[0])
    elif hasattr(annotation, "__value__"):  # type Name = ...
        yield from _members(annotation.__value__)
    elif hasattr(annotation, "__supertype__"):  # NewType
        yield from _members(annotation.__supertype__)
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _maker(annotation: Any) -> type[Shape]:
    """Who validates this. Raises TypeError where nobody can."""
    if _mentions_model(annotation):
        return Model
    strangers = set(_strangers(types.type_info(annotation), set()))
    for stranger in strangers:
        if not _is_model(stranger):
            raise TypeError(f"no payload can become {stranger.__qualname__}")
    return Model if strangers else Shape


def _takes_object(member: Any) -> bool:
    if member in (Any, object, Raw):
        return True
    if _is_model(member):
        is_root = getattr(member, "__pydantic_root_model__", False)
        return not is_root or any(map(_takes_object, _members(member.model_fields["root"].annotation)))
    # Of dict[str, Model] only the dict matters here, and msgspec does not know models.
    info = types.type_info(get_origin(member) if _mentions_model(member) else member)
    return not info.array_like if isinstance(info, types.StructType) else isinstance(info, _RECORDS)


def _is_model(annotation: Any) -> bool:
    """Whether it is a pydantic model (or a dataclass of pydantic's): both carry their validator."""
    return isinstance(annotation, type) and hasattr(annotation, "__pydantic_validator__")


def _mentions_model(annotation: Any) -> bool:
    return any(_is_model(member) or any(map(_mentions_model, get_args(member))) for member in _members(annotation))


def _strangers(info: Any, seen: set[int]) -> Iterator[type]:
    """The classes in a type that msgspec does not know."""
    if isinstance(info, types.CustomType):
        if info.cls is not object:
            yield info.cls
    elif isinstance(info, types.Type | types.Field) and id(info) not in seen:
        seen.add(id(info))
        for name in info.__struct_fields__:
            value = getattr(info, name)
            for part in value if isinstance(value, tuple) else (value,):
                yield from _strangers(part, seen)


# -- decoded values ---------------------------------------------------------------------------------------------------


class _Unsayable(ValueError):
    """A decoded value that JSON, or MessagePack, cannot say. It would fail, or be changed, where it is published."""


def _sayable(value: Any) -> None:
    """Values that never were JSON (MessagePack, binary attachments) may hold what no JSON could have held. Raises
    ValueError."""
    kind = type(value)
    if kind is str:
        if not value.isascii():
            value.encode()
    elif kind is float:
        _finite(value)
    elif kind is int:
        if not -(2**63) <= value < 2**64:
            raise _Unsayable("a number of more than 64 bits")
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise _Unsayable("an object's key is not text")
            _sayable(key)
            _sayable(item)
    elif kind is list or kind is tuple:
        for item in value:
            _sayable(item)
    elif kind is msgspec.msgpack.Ext:
        raise _Unsayable("a MessagePack extension")


def _finite(value: Any) -> None:
    if type(value) is float and not math.isfinite(value):
        raise _Unsayable("a number that is not finite")
