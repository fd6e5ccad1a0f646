"""The rules as YAML, to be reviewed and kept in git: written from the database, and put in force as a whole or not at all.

Format: ``rules``, a list of mappings with the parts of a rule under the names of the model; teams are named by their slugs,
``expires_after`` is in seconds. A part that is left out has the model's default. ``id`` ties an entry to a rule that exists;
without it, a rule of the same name and team is meant, or a new one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

import yaml
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils.translation import gettext as _
from pydantic import BaseModel, ConfigDict, Field
from pydantic import ValidationError as Malformed

from agentdesk.audit.record import Actor, record
from agentdesk.people.models import Team
from approvals.models import PolicyVersion, Rule
from approvals.policy import expressions
from approvals.policy.conditions import problems_of_all
from approvals.policy.versions import LOCK, Difference, current, differences, publish

LONGEST = 2_000_000  # characters


class BadPolicy(Exception):
    """The file cannot be put in force. ``problems`` says where and why, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Entry(BaseModel):
    """One rule of a file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str | None = None
    name: str
    team: str | None = None
    agent: str = "*"
    action: str = "*"
    effects: list[Literal["read", "write", "irreversible"]] = []
    conditions: list[dict[str, Any]] = []
    expression: str = ""
    verdict: Literal["allow", "ask", "deny"]
    mode: Literal["active", "shadow", "off"] = "active"
    reviewer_teams: list[str] = []
    count: int = Field(default=1, ge=1)
    from_teams: int = Field(default=1, ge=1)
    expires_after: float | None = Field(default=None, gt=0)
    on_expiry: Literal["reject", "escalate"] = "reject"
    escalate_to: str | None = None
    remind_after: float | None = Field(default=None, gt=0)
    self_approval: bool = False
    second_factor: bool = False
    priority: int = 0
    note: str = ""


class File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    rules: list[Entry]


@dataclass(frozen=True, slots=True)
class Imported:
    """``version`` is None in a dry run, or when nothing changed."""

    version: PolicyVersion | None
    changes: list[Difference]


def export(rules: Iterable[Rule]) -> str:
    """The rules as a file; what has its default is left out."""
    entries = [_entry_of(rule).model_dump(exclude_defaults=True) for rule in rules]
    text: str = yaml.safe_dump({"rules": entries}, sort_keys=False, allow_unicode=True, width=120)
    return text


def put_in_force(text: str, actor: Actor, reason: str, *, replace: bool = False, dry_run: bool = False) -> Imported:
    """Make the rules what the file says, all of it or, with BadPolicy, nothing. ``replace`` switches off every rule that the
    file does not name. A ``dry_run`` only tells what would change."""
    entries = read(text)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        before = current()
        named = _write(entries)
        if replace:
            Rule.objects.exclude(pk__in=named).exclude(mode=Rule.Mode.OFF).update(mode=Rule.Mode.OFF)
        version = publish(actor.user, reason)
        changes = differences(before[1], version.rules)
        if dry_run:
            transaction.set_rollback(True)
        elif changes:
            record(
                "policy.imported", actor=actor, object_type="policy_version", object_id=version.pk, object_label=str(version),
                before={"version": before[0]}, after={"changed": [change.name for change in changes], "reason": reason},
                policy_version=version.pk,
            )  # fmt: skip
    return Imported(version if changes and not dry_run else None, changes)


def read(text: str) -> list[Entry]:
    """The entries of a file. Raises BadPolicy."""
    if len(text) > LONGEST:
        raise BadPolicy([_("The file is too long.")])
    try:
        entries = File.model_validate(yaml.safe_load(text)).rules
    except yaml.YAMLError as error:
        raise BadPolicy([_("This is not YAML: %(why)s") % {"why": error}]) from error
    except Malformed as error:
        raise BadPolicy([f"{_place(item['loc'])}: {item['msg']}" for item in error.errors()]) from error
    except RecursionError as error:
        raise BadPolicy([_("The file is nested too deeply.")]) from error
    problems = [
        f"{_place(('rules', number))}: {problem}" for number, entry in enumerate(entries) for problem in _problems_of(entry)
    ]
    if problems:
        raise BadPolicy(problems)
    return entries


def _problems_of(entry: Entry) -> list[str]:
    allows = entry.verdict == "allow"
    wrong = expressions.problems(entry.expression, allows=allows) if entry.expression else []
    return [*problems_of_all(entry.conditions, allows=allows), *(_("expression: %(text)s") % {"text": text} for text in wrong)]


def _write(entries: list[Entry]) -> set[UUID]:
    """Write all entries; return the ids of their rules. Raises BadPolicy."""
    teams = {team.slug: team for team in Team.objects.all()}
    problems: list[str] = []
    named: set[UUID] = set()
    for number, entry in enumerate(entries):
        place = _place(("rules", number))
        unknown = sorted({slug for slug in [entry.team, entry.escalate_to, *entry.reviewer_teams] if slug} - set(teams))
        problems += [f"{place}: " + _("There is no team “%(slug)s”.") % {"slug": slug} for slug in unknown]
        if unknown:
            continue
        team = teams[entry.team] if entry.team else None
        try:
            rule = _rule_of(entry, team)
            rule.escalate_to = teams[entry.escalate_to] if entry.escalate_to else None
            if entry.from_teams > max(1, len(set(entry.reviewer_teams))):
                raise ValidationError(_("There are not so many teams that review."))
            if rule.pk in named:
                raise ValidationError(_("Another entry of this file is the same rule."))
            rule.full_clean()
        except ValidationError as error:
            problems += [f"{place}: {text}" for text in error.messages]
            continue
        rule.save()
        rule.reviewer_teams.set([teams[slug] for slug in entry.reviewer_teams])
        named.add(rule.pk)
    if problems:
        raise BadPolicy(problems)
    return named


def _rule_of(entry: Entry, team: Team | None) -> Rule:
    """The rule that the entry means, with the entry's parts, not saved. Raises ValidationError."""
    if entry.id is not None:
        rule = Rule.objects.filter(pk=_uuid(entry.id)).first() or Rule(pk=_uuid(entry.id))
    else:
        rule = Rule.objects.filter(name=entry.name, team=team).first() or Rule()
    parts = entry.model_dump(exclude={"id", "team", "reviewer_teams", "expires_after", "escalate_to", "remind_after"})
    for name, value in parts.items():
        setattr(rule, name, value)
    rule.team = team
    rule.expires_after = None if entry.expires_after is None else timedelta(seconds=entry.expires_after)
    rule.remind_after = None if entry.remind_after is None else timedelta(seconds=entry.remind_after)
    return rule


def _entry_of(rule: Rule) -> Entry:
    parts = {name: getattr(rule, name) for name in Entry.model_fields}
    return Entry.model_validate(
        {
            **parts,
            "id": str(rule.pk),
            "team": rule.team.slug if rule.team else None,
            "reviewer_teams": sorted(team.slug for team in rule.reviewer_teams.all()),
            "expires_after": rule.expires_after.total_seconds() if rule.expires_after else None,
            "escalate_to": rule.escalate_to.slug if rule.escalate_to else None,
            "remind_after": rule.remind_after.total_seconds() if rule.remind_after else None,
        }
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValidationError(_("“%(text)s” is no id of a rule.") % {"text": text}) from None


def _place(loc: tuple[int | str, ...]) -> str:
    """``rules.2.verdict`` as people count: ``rule 3, verdict``."""
    match loc:
        case ("rules", int(number), *rest):
            return ", ".join([_("rule %(number)d") % {"number": number + 1}, *map(str, rest)])
    return ", ".join(map(str, loc)) or _("the file")
