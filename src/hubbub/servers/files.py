"""Web files: the client libraries that Hubbub ships, and the pages of the application.

What can be asked for is a list, made from the folder by suffix: a path is looked up in it and never joined to one,
so there is nothing to climb out of. Files are read again when they change.
"""

import hashlib
import os
from pathlib import Path

from hubbub.errors import UsageError
from hubbub.protocols.base import Request, Response

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".map": "application/json",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
POLICY = (
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
    "base-uri 'none'; object-src 'none'; frame-ancestors 'self'"
)


class Files:
    """Files by URL path. ``shipped`` is laid under ``/``: ``static/socket.io/socket.io.js`` is
    ``/socket.io/socket.io.js``. Raises UsageError when there is no folder ``pages``."""

    def __init__(self, shipped: Path, pages: str | Path | None, policy: str = POLICY) -> None:
        self._policy = (("content-security-policy", policy),) if policy else ()
        self._folders = [shipped]
        if pages is not None:
            folder = Path(pages)
            if not folder.is_dir():
                raise UsageError(f"pages: there is no folder {folder}")
            self._folders.insert(0, folder)
        self._read: dict[Path, tuple[int, bytes, str]] = {}
        self._listed: dict[str, Path] = {}
        for folder in reversed(self._folders):
            self._listed.update(_listing(folder))

    def find(self, path: str) -> Path | None:
        """The file at this URL path."""
        found = self._listed.get(path)
        if found is None and path.endswith("/"):
            found = self._listed.get(path + "index.html")
        return found

    def respond(self, file: Path, request: Request) -> Response:
        """The file, or 304 when the client has it: RFC 9110, section 13.1.2."""
        content, tag = self._load(file)
        headers: tuple[tuple[str, str], ...] = (
            ("etag", tag),
            ("cache-control", "no-cache" if file.suffix == ".html" else "public, max-age=0, must-revalidate"),
            ("x-content-type-options", "nosniff"),
        )
        if file.suffix == ".html":
            headers += (*self._policy, ("referrer-policy", "same-origin"))
        known = [known.strip().removeprefix("W/") for known in request.headers.get("if-none-match", "").split(",")]
        if tag in known or "*" in known:
            return Response(304, headers=headers, content_type="")
        return Response(200, content, TYPES[file.suffix], headers)

    def _load(self, file: Path) -> tuple[bytes, str]:
        changed = file.stat().st_mtime_ns
        held = self._read.get(file)
        if held is None or held[0] != changed:
            content = file.read_bytes()
            held = self._read[file] = (changed, content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
        return held[1], held[2]


def _listing(folder: Path) -> dict[str, Path]:
    root = folder.resolve()
    listed = {}
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "node_modules"]
        for file in (Path(place, name) for name in names if not name.startswith(".")):
            if file.suffix in TYPES and file.is_file() and file.resolve().is_relative_to(root):
                listed["/" + file.relative_to(root).as_posix()] = file
    return listed
