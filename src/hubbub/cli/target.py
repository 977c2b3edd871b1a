"""Finding the App that a command names.

    chat:app            the name ``app`` of the module ``chat``, in the working directory or installed
    chat                the same: ``app`` is the name to look for
    demos/chat/app.py   a file; what lies beside it can be imported

Whatever is wrong with it is a UsageError of one sentence, with file and line where there are such.
"""

import importlib
import importlib.util
import logging
import sys
import traceback
from pathlib import Path
from types import ModuleType

from hubbub.app import App
from hubbub.errors import HubbubError, UsageError

PACKAGE = Path(__file__).parents[1]
log = logging.getLogger("hubbub.cli")


def find(target: str, directory: Path) -> App:
    """The App of this name. Raises UsageError."""
    source, _, name = target.partition(":")
    name = name or "app"
    module = _file(source, directory) if source.endswith(".py") else _module(source, directory)
    found = _attribute(module, name, source)
    if isinstance(found, App):
        return found
    kind = f"{source}:{name} is of type {type(found).__name__}, and not a hubbub.App"
    if callable(found):
        raise UsageError(f"{kind}: serve both with App(fallback={name}); or if an App is mounted in it, with uvicorn.")
    raise UsageError(f"{kind}.")


def folder(target: str, directory: Path) -> Path:
    """Where the sources of this target are."""
    source = target.partition(":")[0]
    return (directory / source).parent if source.endswith(".py") else directory


def _module(name: str, directory: Path) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"{name!r} is neither a module's name, as in chat:app, nor the path of a .py file.")
    sys.path.insert(0, str(directory))
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise _mistake(error, name, directory) from error
    hidden = directory / f"{name}.py"
    if hidden.exists() and not hidden.samefile(getattr(module, "__file__", None) or directory):
        raise UsageError(f"{hidden.name} is hidden by another module named {name}: give the file another name.")
    return module


def _file(source: str, directory: Path) -> ModuleType:
    path = (directory / source).resolve()
    if not path.is_file():
        raise UsageError(f"There is no file {source}.")
    # Classes look up their own module by its name, so it must be registered; but not over one that is in use.
    name = path.stem if path.stem not in sys.modules else f"hubbub_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None  # there is one for .py
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _mistake(error, name, path.parent) from error
    return module


def _attribute(module: ModuleType, name: str, source: str) -> object:
    found: object = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            apps = [name for name, value in vars(module).items() if isinstance(value, App)]
            hint = f"it has {_and(apps)}: hubbub run {source}:{apps[0]}" if apps else "nor any other App"
            raise UsageError(f"There is no {name!r} in {source}{';' if apps else ','} {hint}.") from None
    return found


def _and(names: list[str]) -> str:
    return ", ".join(map(repr, names[:-1])) + " and " * (len(names) > 1) + repr(names[-1])


# -- what is said of a module that cannot be imported ---------------------------------------------------------------


def _mistake(error: BaseException, name: str, directory: Path) -> UsageError:
    log.debug("the application cannot be imported", exc_info=error)
    if isinstance(error, SyntaxError):
        return UsageError(f"{_shown(error.filename or name)}:{error.lineno or 1}: {error.msg}.")
    where = _where(error, directory) or name
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        if name == error.name or name.startswith(f"{error.name}."):
            return UsageError(f"There is no module {error.name!r} in {directory}, and none is installed.")
        return UsageError(f"{where} imports {error.name!r}, which is not installed.")
    if isinstance(error, HubbubError):
        return UsageError(f"{where}: {error.reason.rstrip('.')}.")
    if isinstance(error, SystemExit):
        return UsageError(f"{where} ends the process when it is imported; a server is started by hubbub run alone.")
    text = str(error).partition("\n")[0]
    return UsageError(f"{where}: {type(error).__name__}{': ' + text if text else ''}.")


def _where(error: BaseException, directory: Path) -> str | None:
    """The last line of the application's own that ran, as file:line."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        ours = path.is_relative_to(PACKAGE) and not path.is_relative_to(PACKAGE / "demos")
        if path.is_relative_to(directory) and "site-packages" not in path.parts and not ours:
            return f"{_shown(frame.filename)}:{frame.lineno}"
    return None


def _shown(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename
