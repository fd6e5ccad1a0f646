"""Single sign-on: what a sign-in makes of the provider's claims. Nothing here speaks to a provider."""

import json
import re
from html import unescape
from types import SimpleNamespace

import pytest
from allauth.core import context
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.helpers import complete_social_login
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.storage import default_storage
from django.contrib.sessions.backends.db import SessionStore
from django.core.checks import run_checks
from django.test import Client, RequestFactory

from agentdesk import checks
from agentdesk.audit.models import AuditEntry
from agentdesk.people.models import Membership, Role, User
from agentdesk.people.oidc import MalformedRoles, RoleMap, parse_roles

REVIEWERS = {"team": "refunds", "role": "reviewer"}
OPERATORS = {"team": "returns", "role": "operator"}
APP = {
    "provider_id": "sso",
    "name": "House key",
    "client_id": "desk",
    "secret": "s",
    "settings": {"server_url": "https://id.example.com"},
}


@pytest.fixture(autouse=True)
def provider(settings):
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [APP]}}
    settings.OIDC_ROLES = ""


@pytest.fixture
def roles(settings):
    def say(**groups):
        settings.OIDC_ROLES = json.dumps({"claim": "groups", "map": groups})

    return say


def come(groups=None, *, part="userinfo", process="login", signed_in=None, **claims):
    """Let somebody come back from the provider; returns the response and the request, which may be signed in now."""
    request = RequestFactory().get("/accounts/oidc/sso/login/callback/", HTTP_USER_AGENT="a browser")
    request.session = SessionStore()
    request.session.create()
    request.user = signed_in or AnonymousUser()
    request.allauth = SimpleNamespace()
    request._messages = default_storage(request)
    said = {"sub": "7", "preferred_username": "kim", "name": "Kim Osei", "email": "kim@example.com"} | claims
    answers = {"userinfo": said, "id_token": {"sub": "7"}}
    if groups is not None:
        answers[part]["groups"] = groups
    with context.request_context(request):
        login = get_adapter().get_provider(request, "sso").sociallogin_from_response(request, answers)
        login.state = {"process": process}
        return complete_social_login(request, login), request


def held(user="kim"):
    return set(Membership.objects.filter(user__username=user).values_list("team__slug", "role"))


def test_it_brings_people_in_with_the_roles_of_their_groups(team, other_team, roles):
    roles(reviewers=REVIEWERS, both=[REVIEWERS, OPERATORS], other=OPERATORS)
    response, request = come(["reviewers", "unheard of"])
    assert (response.status_code, response["Location"], request.user.username) == (302, "/", "kim")
    assert held() == {("refunds", "reviewer")}
    come(["both"])
    assert held() == {("refunds", "reviewer"), ("returns", "operator")}


def test_it_follows_the_groups_and_records_each_change(team, other_team, roles):
    roles(reviewers=REVIEWERS, operators=OPERATORS)
    come(["reviewers"])
    come(["operators"])
    come(["operators"])
    assert held() == {("returns", "operator")}
    entries = AuditEntry.objects.filter(action="membership.changed").order_by("id")
    assert [(entry.team_id, entry.before, entry.after) for entry in entries] == [
        (team.pk, {"role": None}, {"role": "reviewer"}),
        (team.pk, {"role": "reviewer"}, {"role": None}),
        (other_team.pk, {"role": None}, {"role": "operator"}),
    ]
    kim = User.objects.get(username="kim")
    for entry in entries:
        assert (entry.object_id, entry.actor_id, entry.actor_label) == (str(kim.pk), None, "House key")
        assert (entry.address, entry.user_agent) == ("127.0.0.1", "a browser")
    assert AuditEntry.objects.get(action="user.changed").after == {"username": "kim", "email": "kim@example.com"}


def test_it_leaves_roles_alone_that_the_map_does_not_name(team, other_team, roles):
    roles(reviewers=REVIEWERS)
    come(["reviewers"])
    kim = User.objects.get(username="kim")
    Membership.objects.create(user=kim, team=team, role=Role.ADMIN)
    Membership.objects.create(user=kim, team=other_team, role=Role.REVIEWER)
    response, request = come([])
    assert response.status_code == 302
    assert request.user == kim
    assert held() == {("refunds", "admin"), ("returns", "reviewer")}


@pytest.mark.parametrize("groups", [None, [], ["strangers"], {"reviewers": True}, 7, "", [["reviewers"], None]])
def test_it_makes_no_account_without_a_mapped_group(team, roles, groups):
    roles(reviewers=REVIEWERS)
    response, request = come(groups)
    assert response.status_code == 403
    assert "House key knows you, but none of your groups there has a role on this desk" in response.content.decode()
    assert not User.objects.exists()
    assert not SocialAccount.objects.exists()
    assert request.user.is_anonymous
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.content.body) == ("login.failed", {"tried": "kim@example.com"})


def test_it_takes_a_single_name_for_a_list_of_one_and_reads_the_id_token_too(team, roles):
    roles(reviewers=REVIEWERS)
    come("reviewers", part="id_token")
    assert held() == {("refunds", "reviewer")}


def test_it_takes_no_groups_from_an_answer_about_somebody_else(team, roles):
    roles(reviewers=REVIEWERS)
    response, _ = come(["reviewers"], part="id_token", sub="8")
    assert response.status_code == 403
    assert not User.objects.exists()


@pytest.mark.parametrize("empty", ["", '{"claim": "groups", "map": {}}'])
def test_it_lets_everybody_in_without_teams_when_the_map_is_empty(team, settings, empty):
    settings.OIDC_ROLES = empty
    _, request = come(["reviewers"])
    assert request.user.username == "kim"
    assert held() == set()
    Membership.objects.create(user=request.user, team=team, role=Role.REVIEWER)
    come([])
    assert held() == {("refunds", "reviewer")}


def test_it_makes_no_account_for_a_group_whose_team_is_missing(roles, db, caplog):
    roles(reviewers=REVIEWERS)
    response, _ = come(["reviewers"])
    assert response.status_code == 403
    assert not User.objects.exists()
    assert "'refunds', which does not exist" in caplog.text


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize("address", ["robin@example.com", "Robin@Example.COM"])
def test_it_gives_nobody_an_account_for_its_address(robin, roles, settings, verified, address):
    settings.SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
    settings.SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
    roles(operators={"team": "refunds", "role": "operator"})
    response, request = come(["operators"], email=address, email_verified=verified)
    assert response.status_code == 403
    assert "Your e-mail address belongs to an account" in response.content.decode()
    assert request.user.is_anonymous
    assert list(User.objects.all()) == [robin]
    assert not SocialAccount.objects.exists()
    assert held("robin") == {("refunds", "reviewer")}


def test_it_links_the_account_that_somebody_is_signed_in_to(robin, roles):
    roles(operators={"team": "refunds", "role": "operator"}, reviewers=REVIEWERS)
    come(["operators"], process="connect", signed_in=robin)
    assert SocialAccount.objects.get().user == robin
    assert held("robin") == {("refunds", "reviewer")}, "linking is no sign-in"
    _, request = come(["operators"])
    assert request.user == robin
    assert held("robin") == {("refunds", "operator")}
    for process in ("connect", "redirect"):
        come(["reviewers"], process=process, signed_in=robin)
        assert held("robin") == {("refunds", "operator")}


@pytest.mark.parametrize("changes", [{"is_active": False}, {"kind": User.Kind.SERVICE}])
def test_it_refuses_who_may_not_sign_in_and_changes_nothing(team, other_team, roles, changes):
    roles(reviewers=REVIEWERS, operators=OPERATORS)
    come(["reviewers"])
    User.objects.update(**changes)
    response, request = come(["operators"])
    assert response["Location"] == "/accounts/inactive/"
    assert request.user.is_anonymous
    assert held() == {("refunds", "reviewer")}


def test_it_makes_all_of_an_account_or_nothing(team, roles, monkeypatch):
    roles(reviewers=REVIEWERS)

    def fail(*args, **kwargs):
        raise OSError("the record is full")

    monkeypatch.setattr("agentdesk.people.oidc.record", fail)
    with pytest.raises(OSError, match="the record is full"):
        come(["reviewers"])
    assert not User.objects.exists()
    assert not SocialAccount.objects.exists()


def test_it_offers_the_provider_where_people_sign_in(db):
    page = Client().get("/accounts/login/").content.decode()
    (href,) = re.findall(r'<a class="btn wide" href="([^"]+)">Sign in with House key</a>', page)
    assert href.startswith("/accounts/oidc/sso/login/")
    assert Client().get(unescape(href)).status_code == 200


def test_it_reads_a_map():
    assert parse_roles(" ") == RoleMap()
    assert not parse_roles('{"claim": "groups", "map": {}}')
    text = json.dumps({"claim": "https://desk/groups", "map": {"a": REVIEWERS, "b": [REVIEWERS, OPERATORS]}})
    assert parse_roles(text) == RoleMap(
        "https://desk/groups",
        {
            "a": frozenset({("refunds", "reviewer")}),
            "b": frozenset({("refunds", "reviewer"), ("returns", "operator")}),
        },
    )


MALFORMED = [
    ("{", "no JSON"),
    ("[]", "the whole is an object"),
    ("null", "the whole is an object"),
    ('{"claim": "groups"}', "the whole is an object"),
    ('{"claim": "groups", "map": {}, "mode": 1}', "the whole is an object"),
    ('{"claim": "", "map": {}}', "'claim' is the name"),
    ('{"claim": ["groups"], "map": {}}', "'claim' is the name"),
    ('{"claim": "groups", "map": []}', "'map' is an object"),
    ('{"claim": "g", "map": {"a": {"team": "t", "role": "reviewer"}, "a": []}}', "'a' is there twice"),
    ('{"claim": "g", "map": {"a": []}}', "at least one role"),
    ('{"claim": "g", "map": {"": {"team": "t", "role": "reviewer"}}}', "each has a name"),
    ('{"claim": "g", "map": {"a": "reviewer"}}', "what group 'a' gives"),
    ('{"claim": "g", "map": {"a": {"team": "t"}}}', "what group 'a' gives"),
    ('{"claim": "g", "map": {"a": {"team": "t", "role": "Reviewer"}}}', "'role' is one of reviewer, operator, admin"),
    ('{"claim": "g", "map": {"a": {"team": "t", "role": ["reviewer"]}}}', "'role' is one of"),
    ('{"claim": "g", "map": {"a": {"team": 1, "role": "reviewer"}}}', "'team' is the slug"),
]


@pytest.mark.parametrize(("text", "expected"), MALFORMED)
def test_it_refuses_a_malformed_map_by_saying_where(settings, text, expected):
    with pytest.raises(MalformedRoles, match=expected):
        parse_roles(text)
    settings.OIDC_ROLES = text
    (message,) = [each for each in checks.check_configuration(None) if each.id == "agentdesk.E004"]
    assert expected in message.msg
    assert checks.check_teams(None, databases=["default"]) == []


def test_it_warns_of_teams_that_do_not_exist(team, roles):
    roles(reviewers=REVIEWERS, operators=OPERATORS)
    found = [each for each in run_checks(databases=["default"]) if each.id == "agentdesk.W013"]
    assert ["'returns'" in each.msg for each in found] == [True]
    assert "agentdesk.W013" not in {each.id for each in run_checks()}, "a check without --database asks no database"


def test_it_asks_for_no_teams_before_there_is_a_table(db, roles, monkeypatch):
    roles(reviewers=REVIEWERS)
    monkeypatch.setattr(checks.connections["default"].introspection, "table_names", list)
    assert checks.check_teams(None, databases=["default"]) == []
