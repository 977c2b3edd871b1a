"""From a client's arguments to a handler's parameters: the signature is read once, the arguments for each message.

Rules:

1. Several arguments bind by position; defaults fill the rest, ``*args`` takes what is left over.
2. One argument that is a JSON object binds by parameter name; names that no parameter has are ignored. But it goes
   whole to the first parameter if that one takes objects and all others have defaults.
3. One ``null`` that the first parameter does not take counts as no argument; so does ``{}`` for a handler without
   parameters.
4. Values are validated strictly: no text becomes a number. Only what is text by nature is converted: the variables
   of a topic's pattern, and the fields of a form.
5. Whatever a client sends is bound, or is Invalid: nothing else leaves.
"""

import inspect
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final, get_type_hints

import msgspec

from hubbub.bodies import encode
from hubbub.errors import Invalid, UsageError
from hubbub.messages import Arguments, Form, Raw
from hubbub.shapes import FAULTS, Shape, explain, shape_of

_Raw: Final = Raw
_MISSING: Final = inspect.Parameter.empty
_object: Final = msgspec.json.Decoder(dict[str, Raw])
_encode_json: Final = msgspec.json.Encoder().encode


class Parameter:
    """One parameter of a handler. ``default`` is ``inspect.Parameter.empty`` where there is none."""

    __slots__ = ("default", "name", "shape")

    def __init__(self, name: str, default: Any, shape: Shape) -> None:
        self.name = name
        self.default = default
        self.shape = shape

    def absent(self) -> Any:
        """What it is when the client did not say. Raises Invalid when it had to."""
        if self.default is _MISSING:
            raise Invalid(f"missing: {self.name}")
        return self.default


class Binder:
    """Binds what clients send to the parameters of ``function``, after the first ``skip`` of them.

    What it binds is a tuple for ``binder.function(*skipped, *bound)``: that is ``function`` itself, or, where it has
    keyword-only parameters, a function that hands them over by name.

    Raises UsageError when clients could not call ``function``.
    """

    def __init__(self, function: Callable[..., Any], skip: int = 1) -> None:
        self.function = function
        self._places: list[Parameter] = []
        self._keywords: list[Parameter] = []
        self._rest = self._read_signature(function, skip)
        self._parameters = self._places + self._keywords
        first = self._places[0] if self._places else self._rest
        others = self._places[1:] + self._keywords
        one_will_do = first is not None and not any(parameter.default is _MISSING for parameter in others)
        self._tail = tuple(parameter.default for parameter in others)
        self._whole = first.shape if first is not None and one_will_do and first.shape.takes_object else None
        self._takes_null = first is not None and first.shape.takes_null
        self._named_type = self._as_struct()
        self._named = msgspec.json.Decoder(self._named_type)
        self._at_once = self._decoder(first.shape if first is not None and one_will_do else None)
        if self._keywords:
            self.function = _by_keyword(function, tuple(parameter.name for parameter in self._keywords))

    def bind(self, arguments: Arguments) -> tuple[Any, ...]:
        """The values for ``function``. Raises Invalid, whose reason names the fault by its path."""
        if len(arguments) == 1 and self._at_once is not None and type(argument := arguments[0]) is _Raw:
            try:
                value = self._at_once(argument)
            except FAULTS:
                return self._bind(arguments)
            if type(value) is self._named_type:
                return msgspec.structs.astuple(value)
            return (value, *self._tail) if self._tail else (value,)
        return self._bind(arguments)

    def bind_named(self, variables: Mapping[str, str], params: Any) -> tuple[Any, ...]:
        """The values for ``function``, all by name: from the ``variables`` of a topic's pattern, and from the client's
        object of join parameters (Raw, decoded, or None), which cannot override them.

        Raises Invalid, whose reason names the fault by its path.
        """
        given = _as_mapping(params)
        texts = {**given, **variables} if isinstance(params, Form) else variables
        return tuple(
            parameter.shape.read_text(texts[parameter.name], parameter.name)
            if parameter.name in texts
            else parameter.shape.read(given[parameter.name], parameter.name)
            if parameter.name in given
            else parameter.absent()
            for parameter in self._parameters
        )

    # -- message by message ----------------------------------------------------------------------------------------

    def _bind(self, arguments: Arguments) -> tuple[Any, ...]:
        if len(arguments) == 1:
            argument = arguments[0]
            if _is_null(argument) and not self._takes_null:
                return self._by_position(())
            if _is_object(argument):
                if self._whole is not None and isinstance(argument, Form):
                    return (self._whole.read_text(argument, "$"), *self._tail)
                if self._whole is not None:
                    return (self._whole.read(argument, "$"), *self._tail)
                if self._parameters:
                    return self._by_name(argument)
                if self._rest is None and not _as_mapping(argument):
                    return ()
        return self._by_position(arguments)

    def _by_position(self, arguments: Arguments) -> tuple[Any, ...]:
        places, rest = self._places, self._rest
        count = len(arguments)
        bound = [
            parameter.shape.read(value, parameter.name) for parameter, value in zip(places, arguments, strict=False)
        ]
        if count < len(places):
            bound += [parameter.absent() for parameter in places[count:]]
        elif count > len(places):
            if rest is None:
                raise Invalid(self._too_many(count))
            left_over = enumerate(arguments[len(places) :])
            bound += [rest.shape.read(value, f"{rest.name}[{index}]") for index, value in left_over]
        if self._keywords:
            bound += [parameter.absent() for parameter in self._keywords]
        return tuple(bound)

    def _too_many(self, count: int) -> str:
        places = len(self._places)
        at_most = "at most " if any(parameter.default is not _MISSING for parameter in self._places) else ""
        return f"expected {at_most}{places or 'no'} {'argument' if places == 1 else 'arguments'}, got {count}"

    def _by_name(self, argument: Any) -> tuple[Any, ...]:
        if type(argument) is not Raw:
            return self.bind_named({}, argument)
        try:
            values = msgspec.structs.astuple(self._named.decode(argument))
        except FAULTS as error:
            raise Invalid(explain(error, "")) from None
        return tuple(
            parameter.shape.read(value, parameter.name) if type(value) is Raw else value
            for parameter, value in zip(self._parameters, values, strict=True)
        )

    # -- once, at registration -------------------------------------------------------------------------------------

    def _read_signature(self, function: Callable[..., Any], skip: int) -> Parameter | None:
        """Note its parameters, and give the one that takes what is left over."""
        rest = None
        where = getattr(function, "__qualname__", repr(function))
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError, NameError) as error:
            raise UsageError(f"{where}: its parameters cannot be read: {error}") from error
        scope = getattr(inspect.unwrap(function), "__globals__", {})
        for parameter in list(signature.parameters.values())[skip:]:
            place = f"{where}: {parameter.name}"
            if parameter.kind is parameter.VAR_KEYWORD:
                raise UsageError(f"{place}: name the parameters; clients may not fill **{parameter.name}")
            shape = shape_of(_annotation(parameter, scope, place), place)
            entry = Parameter(parameter.name, parameter.default, shape)
            if parameter.kind is parameter.VAR_POSITIONAL:
                rest = entry
            elif parameter.kind is parameter.KEYWORD_ONLY:
                self._keywords.append(entry)
            else:
                self._places.append(entry)
        return rest

    def _as_struct(self) -> type[msgspec.Struct]:
        """All parameters as the fields of one type, so that an object of them is decoded in one call."""
        fields = [
            (parameter.name, parameter.shape.field)
            if parameter.default is _MISSING
            else (parameter.name, parameter.shape.field, msgspec.field(default_factory=_constant(parameter.default)))
            for parameter in self._parameters
        ]
        # Such a struct lives for one line of this file: nothing in it can become garbage in a cycle.
        return msgspec.defstruct("Parameters", fields, kw_only=True, gc=False)

    def _decoder(self, first: Shape | None) -> Callable[[Raw], Any] | None:
        """Decodes one argument in one call, where there is such a call: to all parameters by name, or, where one
        value will do for the handler, to that of its ``first`` parameter."""
        if self._whole is not None:
            return self._whole.decode
        if not self._parameters or any(parameter.shape.field is Raw for parameter in self._parameters):
            return None
        if first is None:
            return self._named.decode
        try:
            return msgspec.json.Decoder(first.field | self._named_type).decode
        except TypeError:  # msgspec cannot tell these apart: binding then takes two calls
            return None


def encode_result(value: object) -> bytes:
    """What a handler returned, as a reply's body: None is nothing, a plain tuple is several values, all else is one.

    Raises TypeError for what neither JSON nor MessagePack can say.
    """
    if value is None:
        return b"[]"
    if type(value) is str:  # what most handlers return has no bytes inside to be looked for
        return _encode_json((value,))
    return encode(value if type(value) is tuple else (value,))


def _annotation(parameter: inspect.Parameter, scope: dict[str, Any], place: str) -> Any:
    if parameter.annotation is parameter.empty:
        return Any
    alone = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return get_type_hints(alone, globalns=scope, include_extras=True)[parameter.name]
    except Exception as error:
        raise UsageError(f"{place}: its annotation cannot be read: {error}") from error


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def _by_keyword(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        return function(*values[: -len(names)], **dict(zip(names, values[-len(names) :], strict=True)))

    return call


def _is_object(argument: Any) -> bool:
    return bytes(memoryview(argument)[:1]) == b"{" if type(argument) is Raw else isinstance(argument, dict)


def _is_null(argument: Any) -> bool:
    return bytes(memoryview(argument)[:1]) == b"n" if type(argument) is Raw else argument is None


def _as_mapping(params: Any) -> Mapping[str, Any]:
    if params is None or _is_null(params):
        return {}
    try:
        if type(params) is Raw:
            return _object.decode(params)
        return msgspec.convert(params, dict[str, Any])
    except FAULTS as error:
        raise Invalid(explain(error, "$")) from None
