"""The desk that other tests use: it runs, it can be killed and started again, it shares nothing with `committed` tests."""

import json
import urllib.error
import urllib.request

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

User = get_user_model()


def get_json(url: str) -> tuple[int, dict[str, object]]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_it_serves_the_database_that_the_test_writes_to(desk):
    assert connection.settings_dict["NAME"].endswith("_live")
    status, ready = get_json(f"{desk.url}/readyz")

    assert (status, ready["database"], ready["migrations"]) == (200, "ok", "applied")


@pytest.mark.parametrize("name", ["web", "runs"])
def test_a_killed_process_is_there_again_in_the_next_test(desk, name):
    before = desk.processes[name].pid
    desk.kill(name)
    assert desk.processes[name].poll() is not None

    desk.restart(name)

    assert desk.processes[name].pid != before
    assert desk.processes[name].poll() is None


def test_a_second_web_process_serves_too(desk):
    try:
        assert get_json(f"{desk.start_web('web-2')}/readyz")[0] == 200
        assert desk.url_of("web-2") != desk.url
    finally:
        desk.kill("web-2")
        desk.forget("web-2")


def test_a_committed_test_sees_nothing_of_the_desk(desk_processes, committed):
    assert not connection.settings_dict["NAME"].endswith("_live")
    assert not User.objects.exists()


def test_the_browser_shows_the_sign_in_page(desk, page):
    page.goto(desk.url)

    assert page.url.startswith(f"{desk.url}/accounts/login/")
    assert page.get_by_label("Password").is_visible()
