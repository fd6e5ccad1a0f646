"""Static files come from where they lie, under an address that changes with them."""

import gzip
import re
from pathlib import Path

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.templatetags.static import static

from agentdesk.asgi import application
from agentdesk.static_files import version


async def fetch(path, **headers):
    sent = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": [(b"host", b"127.0.0.1"), *sent],
        "query_string": b"",
        "http_version": "1.1",
    }
    client = ApplicationCommunicator(application, scope)
    await client.send_input({"type": "http.request", "body": b""})
    start = await client.receive_output(5)
    body, more = b"", True
    while more:
        part = await client.receive_output(5)
        body, more = body + part["body"], part.get("more_body", False)
    await client.wait(5)
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body


async def test_it_serves_files_for_ever_under_the_digest_of_all():
    path = static("css/base.css")
    assert path == f"/static/{version()}/css/base.css"
    status, headers, body = await fetch(path)
    assert status == 200
    assert "immutable" in headers["cache-control"]
    assert headers["content-type"].startswith("text/css")
    assert headers["x-content-type-options"] == "nosniff"
    assert body == (Path(settings.BASE_DIR) / "static/css/base.css").read_bytes()


@pytest.mark.parametrize("path", ["/static/css/base.css", "/static/0123456789ab/css/base.css"])
async def test_it_serves_addresses_of_another_version_for_a_short_time(path):
    status, headers, body = await fetch(path)
    assert status == 200
    assert "immutable" not in headers["cache-control"]
    assert body == (Path(settings.BASE_DIR) / "static/css/base.css").read_bytes()


async def test_it_compresses_for_who_takes_it():
    path, plain = static("js/live.js"), (Path(settings.BASE_DIR) / "static/js/live.js").read_bytes()
    status, headers, body = await fetch(path, accept_encoding="gzip, deflate, br")
    assert (status, headers["content-encoding"], headers["vary"]) == (200, "gzip", "Accept-Encoding")
    assert int(headers["content-length"]) == len(body) < len(plain) / 2
    assert gzip.decompress(body) == plain
    status, headers, body = await fetch(path)
    assert (status, headers["vary"], body) == (200, "Accept-Encoding", plain)
    assert "content-encoding" not in headers


async def test_it_says_when_a_browser_has_it_already_whichever_copy_that_is():
    path = static("css/base.css")
    _status, headers, _body = await fetch(path, accept_encoding="gzip")
    assert headers["etag"].startswith("W/")  # two copies have it, so parts of them must not be put together
    for accepted in ("gzip", "identity"):
        status, _headers, body = await fetch(path, accept_encoding=accepted, if_none_match=headers["etag"])
        assert (status, body) == (304, b"")


async def test_it_sends_a_part_of_a_file():
    plain = (Path(settings.BASE_DIR) / "static/css/base.css").read_bytes()
    status, headers, body = await fetch(static("css/base.css"), range="bytes=10-19")
    assert (status, body) == (206, plain[10:20])
    assert headers["content-range"] == f"bytes 10-19/{len(plain)}"


async def test_it_serves_django_admins_files_too():
    status, headers, _body = await fetch(static("admin/css/base.css"))
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/css")


@pytest.mark.parametrize("path", ["/static/../manage.py", "/static/%2e%2e/manage.py", "/static//etc/passwd", "/static/css/"])
async def test_it_serves_nothing_else(path, committed):
    status, _headers, body = await fetch(path)
    assert status == 404
    assert b"DJANGO_SETTINGS_MODULE" not in body


async def test_it_leaves_modules_their_neighbours():
    """What a module imports by a relative path is a file, so its address under the same digest is one too."""
    root = Path(settings.BASE_DIR) / "static"
    for module in root.glob("js/*.js"):
        for name in re.findall(r"""from\s+["'](\.[^"']+)["']""", module.read_text()):
            assert (module.parent / name).is_file(), (module, name)


def test_it_changes_with_any_file():
    assert re.fullmatch(r"[0-9a-f]{12}", version())
