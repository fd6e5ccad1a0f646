"""Where a request comes from."""

from allauth.core.internal.httpkit import get_client_ip
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The client's address: behind a proxy (``BEHIND_PROXY``) the one that the proxy names, never one that a client
    made up; empty when there is none."""
    return str(get_client_ip(request) or "")[:64]
