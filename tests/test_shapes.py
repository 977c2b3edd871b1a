import dataclasses
import enum
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict

import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import pytest

from hubbub.errors import Invalid, UsageError
from hubbub.messages import Raw
from hubbub.shapes import Model, Shape, shape_of


class Struct(msgspec.Struct):
    child: "Struct | None" = None


class Row(msgspec.Struct, array_like=True):
    x: int


@dataclasses.dataclass
class Record:
    x: int


@attrs.define
class Part:
    x: int


class Typed(TypedDict):
    x: int


class Pair(NamedTuple):
    x: int


class Colour(enum.Enum):
    RED = "red"


class Item(pydantic.BaseModel):
    price: float


@pydantic.dataclasses.dataclass
class Checked:
    price: float


@dataclasses.dataclass
class Basket:
    item: Item


class Holder(msgspec.Struct):
    item: Item


class Stranger:
    pass


UserId = NewType("UserId", int)
Place = NewType("Place", Record)


@pytest.mark.parametrize(
    ("annotation", "takes_object", "takes_null"),
    [
        (Any, True, True),
        (object, True, True),
        (Raw, True, True),
        (Raw | None, True, True),
        (None, False, True),
        (str, False, False),
        (str | None, False, True),
        (dict, True, False),
        (dict | None, True, True),
        (Mapping[str, int], True, False),
        (Sequence[int], False, False),
        (Struct, True, False),
        (Row, False, False),
        (Record, True, False),
        (Part, True, False),
        (Typed, True, False),
        (Pair, False, False),
        (Colour, False, False),
        (Literal["a", None], False, True),  # noqa: PYI061 - people write it
        (int | list[dict], False, False),
        (Annotated[dict | None, "what it is for"], True, True),
        (Annotated[int, msgspec.Meta(ge=1)], False, False),
        (UserId, False, False),
        (Place, True, False),
        (Item, True, False),
        (Item | None, True, True),
        (list[Item], False, False),
        (dict[str, Item], True, False),
        (Checked, True, False),
        (Basket, True, False),
        (pydantic.RootModel[list[int]], False, False),
        (pydantic.RootModel[dict[str, int] | None], True, True),
    ],
)
def test_it_knows_whether_objects_and_null_fit(annotation, takes_object, takes_null):
    shape = shape_of(annotation, "here")
    assert (shape.takes_object, shape.takes_null) == (takes_object, takes_null)


@pytest.mark.parametrize(
    "annotation", [Item, Item | None, list[Item], dict[str, list[Item]], Annotated[Item, 1], Checked, Basket]
)
def test_pydantic_validates_what_mentions_its_models(annotation):
    assert type(shape_of(annotation, "here")) is Model


@pytest.mark.parametrize("annotation", [Any, dict, Struct, Record, Part, Typed, list[int]])
def test_msgspec_validates_everything_else(annotation):
    assert type(shape_of(annotation, "here")) is Shape


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (Stranger, "here: no payload can become Stranger"),
        (list[Stranger], "here: no payload can become Stranger"),
        (Stranger | None, "here: no payload can become Stranger"),
        (complex, "here: no payload can become complex"),
        (Callable[[], None], "here: no payload can become Callable"),
        (Struct | Record, "here: "),
        (Holder, "here: "),
        (5, "here: "),
    ],
)
def test_an_annotation_that_no_payload_fits_is_the_developer_s_mistake(annotation, reason):
    with pytest.raises(UsageError) as caught:
        shape_of(annotation, "here")
    assert caught.value.reason.startswith(reason)


def test_constraints_and_validators_are_told_to_the_client():
    class Even(msgspec.Struct):
        x: int

        def __post_init__(self):
            if self.x % 2:
                raise ValueError("x must be even")

    for annotation, value, reason in (
        (Annotated[int, msgspec.Meta(ge=1)], b"0", "n: expected int >= 1"),
        (Annotated[str, msgspec.Meta(max_length=2)], b'"abc"', "n: expected str of length <= 2"),
        (Colour, b'"blue"', "n: invalid enum value 'blue'"),
        (Even, b'{"x":1}', "n: x must be even"),
    ):
        with pytest.raises(Invalid) as caught:
            shape_of(annotation, "here").read(Raw(value), "n")
        assert caught.value.reason == reason


def test_the_developer_s_own_mistakes_are_not_the_client_s():
    class Broken(msgspec.Struct):
        x: int

        def __post_init__(self):
            raise KeyError("a mistake")

    with pytest.raises(KeyError):
        shape_of(Broken, "here").read(Raw(b'{"x":1}'), "n")


def test_pydantic_is_imported_only_for_its_models():
    script = (
        "import sys\n"
        "from hubbub.binding import Binder\n"
        "def say(self, text: str, more: dict): ...\n"
        "Binder(say)\n"
        "sys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
