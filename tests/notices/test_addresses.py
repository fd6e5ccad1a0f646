"""Where the desk sends nothing."""

import socket
from ipaddress import ip_address
from typing import Any

import pytest

from agentdesk.notices.addresses import Refused, check_url, is_public, resolve
from agentdesk.notices.posting import post

PRIVATE = [
    "127.0.0.1", "127.8.9.1", "10.0.0.8", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
    "0.0.0.0", "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "168.63.129.16",  # noqa: S104
    "192.0.0.192", "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::10.1.2.3", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:80ff:fffe",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_it_knows_what_is_not_public(address: str):
    assert not is_public(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(Refused, match="not a public address"):
        check_url(f"https://{host}/hook")


@pytest.mark.parametrize("address", PUBLIC)
def test_it_knows_what_is_public(address: str):
    assert is_public(ip_address(address))


def test_an_address_with_a_zone_is_no_public_one():
    assert not is_public(ip_address("2606:4700::1%eth0"))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "https://", "example.com", "https://user:pass@example.com/",
        "https://user@example.com/", "https://example.com/#there", "https://exa mple.com/", "https://example.com/\r\nHost: x",
        "https://example.com\\@127.0.0.1/", "https://exämple.com/", "https://[::1/", "https://example.com:99999/", "",
        "https://example..com/", f"https://{'a' * 64}.example.com/", f"https://{'a.' * 130}example.com/", "https://-.example.com/",
    ],
)  # fmt: skip
def test_it_takes_no_odd_address(url: str):
    with pytest.raises(Refused):
        check_url(url)


# Written otherwise, loopback is loopback: the system's resolver understands these forms.
@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
def test_names_and_numbers_that_mean_this_machine_are_refused(host: str):
    with pytest.raises(Refused, match="not a public address"):
        resolve(host, 443)
    assert post(f"https://{host}/", b"{}", {}).refused


def test_one_private_address_among_public_ones_refuses_the_name(monkeypatch: Any):
    def looked_up(host: str, port: int, **kind: Any) -> list[Any]:
        return [(socket.AF_INET, kind.get("type"), 6, "", (each, port)) for each in ("93.184.215.14", "10.0.0.5")]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    with pytest.raises(Refused, match=r"two-faced.example is 10\.0\.0\.5"):
        resolve("two-faced.example", 443)


def test_a_name_is_looked_up_once_and_the_checked_address_is_connected_to(receiver: Any, settings: Any, monkeypatch: Any):
    """A name that means something else at every look never gets a second one."""
    settings.NOTICES_PRIVATE_HOSTS = ["rebinding.example"]
    asked: list[str] = []

    def looked_up(host: str, port: int, *rest: Any, **kind: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if host == "rebinding.example" else host, port))]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    port = receiver.url.rsplit(":", 1)[1]
    assert post(f"http://rebinding.example:{port}", b"{}", {"Content-Type": "application/json"}).ok
    assert asked.count("rebinding.example") == 1
    assert receiver.got[0].headers["host"].startswith("rebinding.example")


def test_an_unknown_name_is_no_answer_and_may_be_tried_again(monkeypatch: Any):
    def unknown(*asked: Any, **kind: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    answer = post("https://nowhere.example/", b"{}", {})
    assert (answer.code, answer.refused) == (None, False)
    assert "Name or service not known" in answer.error


def test_a_name_that_no_resolver_takes_is_refused_for_good():
    """Python's own look-up raises no OSError for it; tried again for ever, it would never become a dead letter."""
    for host in ("hooks..example.com", f"{'a' * 64}.example.com"):
        with pytest.raises(Refused, match="no name of a host"):
            resolve(host, 443)
        assert post(f"https://{host}/", b"{}", {}).refused


def test_exempt_hosts_are_those_that_are_named(settings: Any):
    settings.NOTICES_PRIVATE_HOSTS = ["Hooks.internal"]
    assert check_url("http://hooks.INTERNAL:8080/x").port == 8080
    with pytest.raises(Refused):
        check_url("http://other.internal/x")
