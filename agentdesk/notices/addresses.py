"""Which addresses the desk sends requests to: public ones, over HTTPS. NOTICES_PRIVATE_HOSTS names hosts exempt from both."""

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

type Address = IPv4Address | IPv6Address

# Public by their number, and answered inside a cloud's own network.
_METADATA = frozenset({ip_address("168.63.129.16")})
_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,254}}$){_LABEL}(?:\.{_LABEL})*\.?", re.IGNORECASE)
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class Refused(Exception):
    """The desk sends nothing there; the text says why."""


def check_url(url: str) -> SplitResult:
    """The parts of an address that requests may be sent to, as far as it tells itself. Raises Refused."""
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise Refused(_("Write the address in plain ASCII, without spaces."))
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise Refused(_("This is no address.")) from None
    if parts.scheme not in {"http", "https"} or not host:
        raise Refused(_("This is no address: give https:// and a host."))
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Refused(_("The address may have neither a user name nor a fragment."))
    if parts.scheme != "https" and not is_exempt(host):
        raise Refused(_("Only https:// addresses are written to."))
    try:
        address = ip_address(host)
    except ValueError:
        if not _NAME.fullmatch(host):
            raise Refused(_("%(host)s is no name of a host.") % {"host": host[:100]}) from None
        return parts
    _refuse_private(host, [address])
    return parts


def resolve(host: str, port: int) -> list[Address]:
    """The addresses of ``host``, looked up once and each checked: one that is not public is enough to refuse all. Raises
    Refused, and OSError where the name is not known."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is empty or too long for any name: this is no OSError
        raise Refused(_("%(host)s is no name of a host.") % {"host": host[:100]}) from None
    addresses = [ip_address(str(entry[4][0])) for entry in found]
    _refuse_private(host, addresses)
    return list(dict.fromkeys(addresses))


def is_exempt(host: str) -> bool:
    """Whether the desk's operator has named the host as one that may be private and without TLS."""
    return host.lower() in {each.lower() for each in settings.NOTICES_PRIVATE_HOSTS}


def is_public(address: Address) -> bool:
    """Whether everybody on the internet means the same by it. An IPv6 address that holds an IPv4 one is as public as that."""
    inner = _embedded(address) if isinstance(address, IPv6Address) else None
    if inner is not None:
        return is_public(inner)
    if isinstance(address, IPv6Address) and (address.is_site_local or address.scope_id):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address in _METADATA)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _NAT64) or int(address) >> 32 == 0:  # the last: IPv4-compatible, and ::1
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _refuse_private(host: str, addresses: list[Address]) -> None:
    if is_exempt(host):
        return
    for address in addresses:
        if not is_public(address):
            raise Refused(_("%(host)s is %(address)s, which is not a public address.") % {"host": host, "address": address})
