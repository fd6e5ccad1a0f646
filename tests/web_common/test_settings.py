"""Settings that depend on the environment, read in a process of their own."""

import json
import os
import subprocess
import sys

from tests.services import CHECKOUT


def settings_with(**variables):
    code = (
        "import json; from django.conf import settings;"
        "print(json.dumps([settings.SECURE_CSP['form-action'], settings.ORIGINS, settings.SESSION_COOKIE_SECURE,"
        " settings.ALLOWED_HOSTS]))"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "agentdesk.settings"} | variables
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, env=environment, capture_output=True, check=True)
    return json.loads(done.stdout)


def test_it_lets_forms_lead_to_the_identity_provider_only_where_there_is_one():
    assert settings_with()[0] == ["'self'"]
    with_oidc = {"OIDC_URL": "https://id.example.com/realms/desk", "OIDC_CLIENT_ID": "desk", "OIDC_CLIENT_SECRET": "s"}
    assert settings_with(**with_oidc)[0] == ["'self'", "https://id.example.com"]


def test_it_takes_origins_cookies_and_hosts_from_the_address():
    _, origins, secure, hosts = settings_with(AGENTDESK_URL="https://desk.example.com/")
    assert (origins, secure, hosts) == (["https://desk.example.com"], True, ["desk.example.com"])
    _, origins, secure, hosts = settings_with(AGENTDESK_URL="http://127.0.0.1:8001")
    assert set(origins) == {"http://127.0.0.1:8001", "http://localhost:8001"}
    assert not secure
