"""Which broker answers which URL."""

import sys
from types import ModuleType

import pytest

from hubbub import brokers
from hubbub.brokers.base import Broker
from hubbub.brokers.memory import MemoryBroker
from hubbub.brokers.sqlite import SqliteBroker
from hubbub.errors import UsageError


def test_a_url_becomes_its_broker():
    assert type(brokers.create("memory://")) is MemoryBroker
    assert brokers.create("sqlite:///chat.db").path == "chat.db"
    assert brokers.create("sqlite:////var/lib/chat 100%.db").path == "/var/lib/chat 100%.db"


def test_every_broker_of_the_table_is_there():
    for name in brokers.BROKERS.values():
        module, _, broker = name.partition(":")
        assert issubclass(getattr(__import__(module, fromlist=[broker]), broker), Broker)
    assert SqliteBroker.durable


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("amqp://guest:secret@host", "there is no broker amqp://; there are memory://, sqlite://"),
        ("chat.db", "a broker is named by a URL"),
        ("", "a broker is named by a URL"),
        ("://", "there is no broker ://"),
        ("sqlite://", "needs a file: sqlite:///chat.db"),
        ("sqlite:///", "needs a file: sqlite:///chat.db"),
        ("sqlite://chat.db", "needs a file: sqlite:///chat.db"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///a\0b", "needs a file"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(url, words):
    with pytest.raises(UsageError) as caught:
        brokers.create(url)
    assert words in caught.value.reason
    assert "secret" not in caught.value.reason
    assert "\n" not in caught.value.reason


def test_a_missing_package_is_named_with_its_cure(monkeypatch, tmp_path):
    (tmp_path / "standing_on_air.py").write_text("import package_that_is_not_there\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(brokers.BROKERS, "air", "standing_on_air:AirBroker")
    with pytest.raises(UsageError) as caught:
        brokers.create("air://")
    assert caught.value.reason == (
        "air:// needs package_that_is_not_there, which is missing: pip install 'hubbub[air]'"
    )


def test_a_fault_of_our_own_is_not_taken_for_a_missing_package(monkeypatch):
    monkeypatch.setitem(brokers.BROKERS, "air", "hubbub.brokers.air:AirBroker")
    with pytest.raises(ModuleNotFoundError):
        brokers.create("air://")


def test_a_broker_is_imported_when_it_is_asked_for(monkeypatch):
    asked = ModuleType("broker_of_a_third_party")
    asked.TheirBroker = lambda url: url
    monkeypatch.setitem(brokers.BROKERS, "theirs", "broker_of_a_third_party:TheirBroker")
    monkeypatch.setitem(sys.modules, "broker_of_a_third_party", asked)
    assert brokers.create("theirs://host") == "theirs://host"
