"""Static files, served by the web process straight from where they lie: nothing has to be collected first.

Their addresses carry a digest of the whole tree (``/static/<digest>/css/base.css``). So browsers may keep them for ever, and
what refers to a neighbour by a relative path (a module, a font) finds the one of the same version without being rewritten.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from wsgiref.headers import Headers

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import StaticFilesStorage
from servestatic import ServeStaticASGI

MAX_AGE = 60  # seconds, for addresses without the current digest
_VERSIONED = re.compile(rf"^{re.escape(settings.STATIC_URL)}[0-9a-f]{{12}}/")


def found_files() -> Iterator[tuple[str, Path, str]]:
    """Name, path and root folder of every static file; of two with one name, the first found."""
    names: set[str] = set()
    for finder in get_finders():
        for name, storage in finder.list([]):
            if name not in names:
                names.add(name)
                yield name.replace("\\", "/"), Path(storage.path(name)), storage.location


@cache
def version() -> str:
    """Digest of names and contents of all static files, computed once per process; empty while DEBUG is on."""
    if settings.DEBUG:
        return ""
    digest = hashlib.sha256()
    for name, path, _root in sorted(found_files()):
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


class VersionedStorage(StaticFilesStorage):
    """Gives ``{% static %}`` the versioned address."""

    def url(self, name: str | None) -> str:
        return super().url(f"{version()}/{name}" if name and version() else name)


class StaticFiles(ServeStaticASGI):  # type: ignore[misc]  # ServeStatic is not typed
    """ASGI: answers what lies under STATIC_URL, passes on everything else."""

    def __init__(self, application: Any) -> None:
        super().__init__(
            application,
            autorefresh=settings.DEBUG,
            max_age=0 if settings.DEBUG else MAX_AGE,
            allow_all_origins=False,
            add_headers_function=_add_headers,
            immutable_file_test=lambda path, url: bool(_VERSIONED.match(url)),
        )
        for name, path, root in found_files():
            if settings.DEBUG:
                self.insert_directory(root, settings.STATIC_URL)
            else:
                self.add_file_to_dictionary(f"{settings.STATIC_URL}{version()}/{name}", str(path), root=root)
                self.add_file_to_dictionary(f"{settings.STATIC_URL}{name}", str(path), root=root)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # A page of another version, while web processes are being replaced: ours is better than none.
        if scope["type"] == "http" and _VERSIONED.match(scope["path"]) and scope["path"] not in self.files:
            scope = {**scope, "path": _VERSIONED.sub(settings.STATIC_URL, scope["path"])}
        await super().__call__(scope, receive, send)


def _add_headers(headers: Headers, path: str, url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
