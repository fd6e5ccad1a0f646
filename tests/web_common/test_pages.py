"""The handler of pages: one thread hop a request, connections given back, errors answered."""

import asyncio
import threading

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.exceptions import SuspiciousOperation
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

from agentdesk.pages import PagesHandler

seen: list[str] = []


def echo(request):
    seen.append(threading.current_thread().name)
    return HttpResponse(f"{request.method} {request.path} {request.body.decode()} {request.get_host()}")


def query(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("queried")


def broken(request):
    raise ZeroDivisionError("on purpose")


def suspicious(request):
    raise SuspiciousOperation


def stream(request):
    async def parts():
        for number in range(3):
            yield f"{number} "

    return StreamingHttpResponse(parts())


async def asynchronous(request):
    await asyncio.sleep(0)
    return HttpResponse("asynchronous")


urlpatterns = [
    path("echo/", echo),
    path("query/", query),
    path("broken/", broken),
    path("suspicious/", suspicious),
    path("stream/", stream),
    path("async/", asynchronous),
]


@pytest.fixture
def handler(settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
    settings.ALLOWED_HOSTS = ["desk"]
    seen.clear()
    return PagesHandler(2)


async def fetch(handler, path, method="GET", body=b"", host=b"desk", parts=1):
    scope = {"type": "http", "method": method, "path": path, "headers": [(b"host", host)], "query_string": b""}
    client = ApplicationCommunicator(handler, scope)
    size = len(body) // parts + 1
    chunks = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    for number, chunk in enumerate(chunks):
        more = number < len(chunks) - 1
        await client.send_input({"type": "http.request", "body": chunk, "more_body": more})
    start = await client.receive_output(5)
    answer, more = b"", True
    while more:
        part = await client.receive_output(5)
        answer, more = answer + part.get("body", b""), part.get("more_body", False)
    await client.wait(5)
    return start["status"], answer.decode()


async def test_it_answers_with_what_the_view_says(handler):
    assert await fetch(handler, "/echo/", "POST", b"x" * 9, parts=3) == (200, f"POST /echo/ {'x' * 9} desk")
    assert seen[0].startswith("page")


async def test_it_answers_many_requests_at_once_in_few_threads(handler):
    answers = await asyncio.gather(*(fetch(handler, "/echo/", "POST", str(n).encode()) for n in range(50)))
    assert [answer.split()[2] for _, answer in answers] == [str(n) for n in range(50)]
    assert len(set(seen)) <= 2


def lent():
    """How many connections are out of the pool now."""
    stats = connection.pool.get_stats()
    return stats["pool_size"] - stats["pool_available"]


async def test_it_gives_the_database_connection_back(handler, committed):
    before = lent()
    for _ in range(5):
        assert (await fetch(handler, "/query/"))[0] == 200
    for _ in range(100):  # the pool takes connections back in a thread of its own
        if lent() <= before:
            break
        await asyncio.sleep(0.02)
    assert lent() <= before


async def test_it_answers_errors_without_their_text(handler, caplog):
    status, answer = await fetch(handler, "/broken/")
    assert status == 500
    assert "on purpose" not in answer
    assert "on purpose" in caplog.text


@pytest.mark.parametrize(("path", "host", "status"), [("/none/", b"desk", 404), ("/echo/", b"evil", 400)])
async def test_it_answers_what_it_refuses(handler, path, host, status):
    assert (await fetch(handler, path, host=host))[0] == status


async def test_it_answers_suspicious_requests(handler, caplog):
    assert (await fetch(handler, "/suspicious/"))[0] == 400


async def test_it_streams_and_takes_asynchronous_views(handler):
    assert await fetch(handler, "/stream/") == (200, "0 1 2 ")
    assert await fetch(handler, "/async/") == (200, "asynchronous")


async def test_it_forgets_a_client_that_leaves_before_the_body_is_there(handler):
    scope = {"type": "http", "method": "POST", "path": "/echo/", "headers": [], "query_string": b""}
    client = ApplicationCommunicator(handler, scope)
    await client.send_input({"type": "http.disconnect"})
    await client.wait(5)
    assert seen == []


async def test_it_serves_http_only(handler):
    client = ApplicationCommunicator(handler, {"type": "websocket", "path": "/", "headers": []})
    with pytest.raises(ValueError, match="HTTP only"):
        await client.wait(5)
