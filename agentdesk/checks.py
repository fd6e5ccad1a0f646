"""System checks: errors (E) refuse an insecure production configuration, warnings (W) say what is weaker than it could be."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import ERROR, CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.module_loading import import_string

from agentdesk.people.models import Team
from agentdesk.people.oidc import MalformedRoles, role_map, unknown_teams
from approvals.models.tools import LONGEST_HOLD_SECONDS
from approvals.policy.clock import is_zone
from approvals.states import Risk
from runs import threads
from runs.engine.locks import POOLED, is_pooled

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SECRET_LENGTH = 40
SECRET_VARIETY = 8  # different characters


@register
def check_configuration(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Every problem of this desk's settings. What is for loopback only may not be reachable from elsewhere."""
    return [*_everywhere(), *([] if settings.LOOPBACK else _beyond_loopback())]


@register(Tags.database)
def check_teams(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """A warning for each team that OIDC_ROLES names and that is not there. It asks the database, so it is made by
    ``migrate`` and ``check --database`` only. No error: the first team is made after the first migration."""
    try:
        roles = role_map()
    except MalformedRoles:
        return []  # the other check says so
    if not roles or not databases or Team._meta.db_table not in connections[databases[0]].introspection.table_names():
        return []
    return [
        Warning(
            f"OIDC_ROLES names the team {slug!r}, which does not exist: nobody gets a role in it.",
            hint="Make the team in Django admin, or correct the slug.",
            id="agentdesk.W013",
        )
        for slug in unknown_teams(roles, using=databases[0])
    ]


@register
def check_time_zone(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Rules that look at the clock need a zone that exists; without one they could not tell the hour."""
    if is_zone(settings.DESK_TIME_ZONE):
        return []
    hint = "Name one of the IANA database, such as Europe/Berlin."
    return [Error(f"DESK_TIME_ZONE is {settings.DESK_TIME_ZONE!r}, which is no time zone.", hint=hint, id="agentdesk.E020")]


@register
def check_language(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Who has not said which language they read would be written to in one that there is not."""
    if settings.DESK_LANGUAGE in dict(settings.LANGUAGES):
        return []
    hint = f"There are: {', '.join(dict(settings.LANGUAGES))}."
    return [
        Error(f"DESK_LANGUAGE is {settings.DESK_LANGUAGE!r}, which the desk does not speak.", hint=hint, id="agentdesk.E022")
    ]


@register
def check_hold_seconds(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A setting that names no risk, or no seconds, would hold nothing, and nobody would know."""
    wrong = [
        f"{risk}={held}"
        for risk, held in settings.HOLD_SECONDS.items()
        if risk not in Risk.values or not held.isascii() or not held.isdigit() or int(held) > LONGEST_HOLD_SECONDS
    ]
    if not wrong:
        return []
    hint = f"Whole seconds up to {LONGEST_HOLD_SECONDS} for low, medium, high or critical, such as medium=5,high=10."
    return [Error(f"AGENTDESK_HOLD_SECONDS: {', '.join(wrong)} cannot be used.", hint=hint, id="agentdesk.E021")]


@register
def check_critical_approvers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """One person alone for critical risk is weaker than it could be; fewer would be nobody."""
    if settings.CRITICAL_APPROVERS > 1:
        return []
    if settings.CRITICAL_APPROVERS < 1:
        hint = "Give the number of people who have to approve at critical risk, such as 2."
        return [Error(f"CRITICAL_APPROVERS is {settings.CRITICAL_APPROVERS}.", hint=hint, id="agentdesk.E028")]
    hint = "Leave it at 2 unless the desk has one reviewer only."
    return [Warning("CRITICAL_APPROVERS is 1: one person alone approves at critical risk.", hint=hint, id="agentdesk.W028")]


@register
def check_checkpointer(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What a checkpointer of somebody else's lacks beside the desk's own, which is fenced within each write, copies threads
    for forks and takes them away."""
    path = settings.CHECKPOINTER
    if path == threads.OWN:
        return []
    try:
        made = import_string(path)
    except ImportError as error:
        hint = 'Name a function by its dotted path, or leave it at "postgres".'
        return [Error(f"CHECKPOINTER {path!r} cannot be imported: {error}.", hint=hint, id="agentdesk.E018")]
    offers = getattr(made, "offers", None)
    if not callable(made) or not isinstance(offers, set | frozenset) or not offers <= {"fork", "retention"}:
        hint = 'Give the function an attribute `offers`: a set of "fork" and "retention", or an empty one.'
        return [Error(f"CHECKPOINTER {path!r} does not say what it offers.", hint=hint, id="agentdesk.E019")]
    lacks = [*sorted({"fork", "retention"} - offers), "fencing within a write"]
    return [Warning(f"The checkpointer {path!r} does not offer: {', '.join(lacks)}.", id="agentdesk.W018")]


@register(Tags.database)
def check_sessions(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """An error where workers would take their locks through a pooler that shares sessions among transactions."""
    if not databases:
        return []
    try:
        pooled = is_pooled()
    except psycopg.OperationalError:
        return []  # a database that does not answer is told of by whoever needs it
    if not pooled:
        return []
    hint = "Give the workers an address that leads around it, or set the pooler to session mode."
    return [Error(POOLED, hint=hint, id="agentdesk.E017")]


def refuse_insecure() -> None:
    """For processes that serve without Django's own checks. Raises ImproperlyConfigured, naming every error."""
    errors = [message for message in check_configuration(None) if message.level >= ERROR]
    if errors:
        raise ImproperlyConfigured("; ".join(f"{each.id}: {each.msg} {each.hint or ''}".strip() for each in errors))


def _everywhere() -> Iterator[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        yield Error(
            "ALLOWED_HOSTS holds '*', so anybody can choose the host name that links are made of.",
            hint="Name the hosts; the one of AGENTDESK_URL is the default.",
            id="agentdesk.E001",
        )
    if urlsplit(settings.AGENTDESK_URL).scheme not in {"http", "https"} or not urlsplit(settings.AGENTDESK_URL).hostname:
        yield Error(
            f"AGENTDESK_URL {settings.AGENTDESK_URL!r} is no address of a web site.",
            hint="Give scheme and host, such as https://desk.example.com.",
            id="agentdesk.E002",
        )
    if settings.DEMO and not settings.EMBEDDED:
        yield Error(
            "AGENTDESK_DEMO is on with a database of your own: users with known passwords would be made in it.",
            hint="Unset AGENTDESK_DEMO.",
            id="agentdesk.E003",
        )
    try:
        role_map()
    except MalformedRoles as error:
        yield Error(
            f"OIDC_ROLES is malformed: {error}.",
            hint="docs/production.md shows its form under 'Single sign-on'.",
            id="agentdesk.E004",
        )


def _beyond_loopback() -> Iterator[CheckMessage]:
    yield from _secrets_and_switches()
    yield from _connections()


def _secrets_and_switches() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        yield Error("DEBUG is on, and AGENTDESK_URL is not on loopback.", hint="Unset DEBUG.", id="agentdesk.E010")
    if not settings.SECURE:
        yield Error(
            "AGENTDESK_URL is http, so passwords, cookies and decisions travel in the clear.",
            hint="Serve the desk by https, and set BEHIND_PROXY where a proxy does it.",
            id="agentdesk.E011",
        )
    if len(settings.SECRET_KEY) < SECRET_LENGTH or len(set(settings.SECRET_KEY)) < SECRET_VARIETY:
        yield Error(
            "SECRET_KEY is short or simple: sessions could be forged.",
            hint=f"Use at least {SECRET_LENGTH} random characters.",
            id="agentdesk.E012",
        )
    if settings.DEMO:
        yield Error("AGENTDESK_DEMO is on, and AGENTDESK_URL is not on loopback.", id="agentdesk.E013")
    if settings.FAULTS:
        yield Error(
            "AGENTDESK_FAULTS is set: whoever writes into that folder stops this desk's processes.",
            hint="Unset it; it is for tests on loopback.",
            id="agentdesk.E015",
        )
    if settings.EMBEDDED:
        yield Warning(
            "The desk uses its embedded database, and AGENTDESK_URL is not on loopback.",
            hint="Set DATABASE_URL, DATABASE_OWNER_URL and REDIS_URL to servers of your own.",
            id="agentdesk.W010",
        )


def _connections() -> Iterator[CheckMessage]:
    if settings.DATABASES["default"].get("USER") == settings.DATABASES["owner"].get("USER"):
        yield Warning(
            "The desk works with the owner's database role, so only triggers keep the record insert-only.",
            hint="Give the desk a role of its own: DATABASE_URL for it, DATABASE_OWNER_URL for migrations.",
            id="agentdesk.W011",
        )
    for name in ("REDIS_URL", "BROKER_URL"):
        url = urlsplit(getattr(settings, name))
        if url.scheme in {"redis", "rediss", "valkey", "amqp", "amqps"} and url.hostname and url.hostname not in LOOPBACK:
            yield from _remote_broker(name, url.scheme, url.password)


def _remote_broker(name: str, scheme: str, password: str | None) -> Iterator[CheckMessage]:
    if not password:
        yield Error(
            f"{name} has no password: whoever reaches that server could forge hints and read live output.",
            id="agentdesk.E014",
        )
    if scheme in {"redis", "valkey", "amqp"}:
        yield Warning(
            f"{name} is not encrypted.", hint=f"Use {scheme}s:// unless that network is your own.", id="agentdesk.W012"
        )
