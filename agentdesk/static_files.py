"""Static files, served by the web process straight from where they lie: nothing has to be collected first.

Their addresses carry a digest of the whole tree (``/static/<digest>/css/base.css``). So browsers may keep them for ever, and
what refers to a neighbour by a relative path (a module, a font) finds the one of the same version without being rewritten.

They are sent as gzip to who takes it. Pages are not: they hold tokens beside text from outside, and the size of such a mixture,
compressed, tells about the token (BREACH).
"""

import atexit
import gzip
import hashlib
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from wsgiref.headers import Headers

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import StaticFilesStorage
from servestatic import ServeStaticASGI
from servestatic.responders import StaticFile

WORTH = 0.9  # of its size: what gzip does not make smaller than that, a picture, is sent as it is
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
    """Gives ``{% static %}`` the versioned address. A page asks for some forty of them, so they are kept."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._addresses: dict[str | None, str] = {}

    def url(self, name: str | None) -> str:
        if name not in self._addresses:
            self._addresses[name] = super().url(f"{version()}/{name}" if name and version() else name)
        return self._addresses[name]


class StaticFiles(ServeStaticASGI):  # type: ignore[misc]  # ServeStatic is not typed
    """ASGI: answers what lies under STATIC_URL, passes on everything else."""

    def __init__(self, application: Any) -> None:
        # Compressed once, in a fifth of a second; gone with the process, so no file of another version is ever found there.
        self._compressed = Path(mkdtemp(prefix="agentdesk-static-"))
        atexit.register(shutil.rmtree, self._compressed, ignore_errors=True)
        super().__init__(
            application,
            autorefresh=settings.DEBUG,
            max_age=0 if settings.DEBUG else MAX_AGE,
            allow_all_origins=False,
            immutable_file_test=lambda path, url: bool(_VERSIONED.match(url)),
        )
        for name, path, root in found_files():
            if settings.DEBUG:
                self.insert_directory(root, settings.STATIC_URL)
            else:
                self.add_file_to_dictionary(f"{settings.STATIC_URL}{version()}/{name}", str(path), root=root)
                self.add_file_to_dictionary(f"{settings.STATIC_URL}{name}", str(path), root=root)

    def get_static_file(self, path: str, url: str, stat_cache: Any = None) -> StaticFile:
        """The file with its compressed copy beside it; while DEBUG is on, the file alone."""
        headers = Headers([("X-Content-Type-Options", "nosniff"), ("Cross-Origin-Resource-Policy", "same-origin")])
        self.add_mime_headers(headers, path, url)
        self.add_cache_headers(headers, path, url)
        found = Path(path).stat()
        # Weak, for both copies have it: nobody may put parts of the two together.
        headers["ETag"] = f'W/"{found.st_mtime_ns:x}-{found.st_size:x}"'
        copy = None if settings.DEBUG else self._compress(Path(path))
        return StaticFile(path, headers.items(), encodings={"gzip": str(copy)} if copy else None)

    def _compress(self, path: Path) -> Path | None:
        """The compressed copy of a file, made when it is asked for first; None where it is not worth it."""
        copy = self._compressed / hashlib.sha256(str(path).encode()).hexdigest()
        if not copy.exists():
            content = path.read_bytes()
            small = gzip.compress(content, mtime=0)
            copy.write_bytes(small if len(small) < WORTH * len(content) else b"")
        return copy if copy.stat().st_size else None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # A page of another version, while web processes are being replaced: ours is better than none.
        if scope["type"] == "http" and _VERSIONED.match(scope["path"]) and scope["path"] not in self.files:
            scope = {**scope, "path": _VERSIONED.sub(settings.STATIC_URL, scope["path"])}
        await super().__call__(scope, receive, send)
