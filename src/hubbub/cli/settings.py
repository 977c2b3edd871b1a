"""The settings of ``Config`` as command-line options: declared there, once."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from hubbub.config import SETTINGS, Setting

F = TypeVar("F", bound=Callable[..., Any])


def settings(*names: str) -> Callable[[F], F]:
    """Give a command these settings as options (without names, all). Values are text: ``config.load`` reads them,
    so that a bad one gets the same sentence wherever it came from."""

    def decorate(function: F) -> F:
        for name in reversed(names or tuple(SETTINGS)):
            function = _option(SETTINGS[name])(function)
        return function

    return decorate


def given(options: dict[str, object]) -> list[str]:
    """The options that were given, as arguments for another ``hubbub run``."""
    arguments = []
    for name, value in options.items():
        if isinstance(value, bool):
            arguments.append(SETTINGS[name].option if value else f"--no-{SETTINGS[name].option[2:]}")
        elif value is not None:
            arguments += [SETTINGS[name].option, str(value)]
    return arguments


def _option(setting: Setting) -> Callable[[F], F]:
    if isinstance(setting.default, bool):
        return click.option(f"{setting.option}/--no-{setting.option[2:]}", default=None, help=setting.description)
    default = "" if setting.default is None else f"  [default: {setting.default}]"
    metavar = setting.name.rpartition("_")[2].upper()
    return click.option(setting.option, metavar=metavar, default=None, help=setting.description + default)
