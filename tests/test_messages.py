"""What clients ask and are told does not change once it is made."""

import pytest

from hubbub.history import NOWHERE
from hubbub.messages import Answer, Bye, Join, Leave, Publication, Push, Reply, Send


@pytest.mark.parametrize(
    "message",
    [
        Join("t"), Leave("t"), Send("t", "e"), Answer("t", 1), Bye(), Reply(Join("t")), Push("t", b"[]"),
        Publication("t", b"[]"),
    ],
)  # fmt: skip
def test_messages_do_not_change(message):
    with pytest.raises(AttributeError):
        setattr(message, message.__struct_fields__[0], "other")


def test_what_no_log_keeps_is_nowhere():
    assert Publication("t", b"[]").position is NOWHERE
