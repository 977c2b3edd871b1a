"""Config: what `hubbub run` is told, as one frozen struct.

A setting has one name everywhere: ``drain_timeout`` in a file, ``HUBBUB_DRAIN_TIMEOUT`` in the environment,
``--drain-timeout`` on the command line. Of the sources, each wins over those before it:

    the defaults below
    the table [tool.hubbub] of pyproject.toml, in the working directory
    hubbub.toml, in the working directory
    the environment; a variable that is empty counts as not set
    the command line

A value that does not fit is a UsageError: one sentence that names the source. In a field's ``Meta`` the title is
what such a sentence says is wanted, and the description is what ``--help`` says.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from hubbub.errors import UsageError

Secret = Annotated[str, Meta(pattern=r"^[\x21-\x7e]+$")]
"""What travels unchanged in an Authorization header: VCHAR of RFC 9110, section 5.5."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """How one server runs. Times are seconds."""

    host: Annotated[str, Meta(title="a host name or an address", description="The address to listen on.")] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65_535, title="a whole number from 0 to 65535", description="The port; 0 takes a free one.")
    ] = 3000
    broker: Annotated[
        str | None,
        Meta(
            title="a URL",
            description="memory://, sqlite:///file or redis://host, instead of what the App says.",
        ),
    ] = None
    secret: Annotated[
        Secret | None,
        Meta(
            title="printable ASCII without blanks",
            description="What a publisher must know; safer in the environment.",
        ),
    ] = None
    ssl_certfile: Annotated[
        str | None, Meta(title="the path of a file", description="Serve TLS with this certificate chain (PEM).")
    ] = None
    ssl_keyfile: Annotated[
        str | None, Meta(title="the path of a file", description="The private key, where it is not in that file.")
    ] = None
    forwarded_allow_ips: Annotated[
        str,
        Meta(
            title="addresses with commas between them, or *",
            description="Proxies whose X-Forwarded headers are believed, or * for all.",
        ),
    ] = "127.0.0.1,::1"
    drain_timeout: Annotated[
        float,
        Meta(
            ge=0,
            le=3_600,
            title="a number of seconds from 0 to 3600",
            description="How many seconds stopping may take.",
        ),
    ] = 10.0
    lane: Annotated[
        Literal["fast", "asgi"],
        Meta(
            title="fast or asgi",
            description="How WebSockets reach the application: fast, or asgi through the server's own.",
        ),
    ] = "fast"
    compression: Annotated[
        bool, Meta(title="true or false", description="Compress the messages of WebSockets whose clients can.")
    ] = True
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(
            title="debug, info, warning or error",
            description="The least that is logged: debug, info, warning or error.",
        ),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "console", "json"],
        Meta(
            title="auto, console or json",
            description="How it is written: console, json; auto is console on a terminal.",
        ),
    ] = "auto"
    reload: Annotated[bool, Meta(title="true or false", description="Start again whenever a source file changes.")] = (
        False
    )

    def __post_init__(self) -> None:
        if self.ssl_keyfile is not None and self.ssl_certfile is None:
            raise UsageError("A private key (ssl_keyfile) needs its certificate (ssl_certfile).")

    def __repr__(self) -> str:
        told = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name != "secret")
        return f"Config({', '.join(told)})"


class Setting(msgspec.Struct, frozen=True):
    """A row of the table of settings, as ``Config`` declares it."""

    name: str
    type: Any
    default: object
    wanted: str
    description: str

    @property
    def variable(self) -> str:
        return f"HUBBUB_{self.name.upper()}"

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")


def _settings() -> dict[str, Setting]:
    found = {}
    annotations = Config.__annotations__
    for field in msgspec.structs.fields(Config):
        (meta,) = annotations[field.name].__metadata__
        found[field.name] = Setting(field.name, annotations[field.name], field.default, meta.title, meta.description)
    return found


SETTINGS: Mapping[str, Setting] = _settings()


def load(directory: Path | None, environ: Mapping[str, str], options: Mapping[str, object]) -> Config:
    """Read the files of ``directory`` (None: no files), the environment and the options; None is an option not given.

    Raises UsageError.
    """
    values: dict[str, object] = {}
    if directory is not None:
        values |= _from_file(directory / "pyproject.toml", ("tool", "hubbub"))
        values |= _from_file(directory / "hubbub.toml", ())
    for setting in SETTINGS.values():
        if text := environ.get(setting.variable):
            values[setting.name] = _fit(setting, text, setting.variable)
        if (value := options.get(setting.name)) is not None:
            values[setting.name] = _fit(setting, value, setting.option)
    return Config(**values)  # type: ignore[arg-type]  # _fit made each what its field wants


def _from_file(path: Path, table: tuple[str, ...]) -> dict[str, object]:
    try:
        content: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read: {error.strerror}.") from None
    except ValueError as error:  # neither UTF-8 nor TOML
        raise UsageError(f"{path.name} cannot be read: {' '.join(str(error).split())}.") from None
    for name in table:
        content = content.get(name, {}) if isinstance(content, dict) else {}
    if not isinstance(content, dict):
        raise UsageError(f"{path.name}: {'.'.join(table)} must be a table.")
    return {name: _fit(_known(name, path), value, f"{path.name}: {name}") for name, value in content.items()}


def _known(name: str, path: Path) -> Setting:
    if name in SETTINGS:
        return SETTINGS[name]
    near = difflib.get_close_matches(name, SETTINGS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SETTINGS)}."
    raise UsageError(f"{path.name}: there is no setting {name!r}; {hint}")


def _fit(setting: Setting, value: object, source: str) -> object:
    try:
        return msgspec.convert(value, setting.type, strict=False)
    except msgspec.ValidationError:
        shown = "" if setting.name == "secret" else f", not {_short(value)}"
        raise UsageError(f"{source} must be {setting.wanted}{shown}.") from None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
