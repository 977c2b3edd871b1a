"""Limits: every number a client can hit."""

import pytest

from hubbub.limits import Limits


@pytest.mark.parametrize("name", Limits.__struct_fields__)
def test_every_limit_is_a_positive_number(name):
    assert getattr(Limits(), name) > 0


def test_limits_are_given_by_name_and_stay():
    with pytest.raises(TypeError):
        Limits(5)
    with pytest.raises(AttributeError):
        Limits().message = 5
