"""The pieces that pages, answers and pushes share. Each is rendered by one function from one template.

The card and the row hold nothing of the viewer, so one rendering serves every page.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, QuerySet
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from agentdesk import masking
from agentdesk.digests import decode
from agentdesk.live import registry
from agentdesk.people.models import Team, User
from approvals import access, regrets, sources
from approvals.erasure import is_erased
from approvals.evidence import host_of
from approvals.models import Approval, Decision, Review
from approvals.policy.requirements import progress
from approvals.sources import NotYet, Panel, Source
from approvals.states import OPEN, Risk, Status, Verdict
from approvals.triage import claim_of, is_held, row_version
from approvals.web import batching, changes, display
from approvals.web.effects import consequences
from approvals.web.history import history
from approvals.web.quotes import quotes
from approvals.web.reading import CallOutcome, doubts, explained, state_of, voided
from approvals.web.rendered import Rendered

LONG_WORDS = 1_500  # characters; a hundred of them fill a line
_rows = Rendered(most=5_000)
_AGREEING = frozenset({Verdict.APPROVE, Verdict.MODIFY, Verdict.RESPOND})


def for_display(approvals: QuerySet[Approval]) -> QuerySet[Approval]:
    """``approvals`` with all that their rows and cards read, in a constant number of queries."""
    return approvals.select_related("team", "evaluation", "claim__user").prefetch_related(
        "decisions", Prefetch("reviews", Review.objects.select_related("reviewer"))
    )


def load(approval_id: UUID | str) -> Approval | None:
    """One approval, ready for display."""
    return for_display(Approval.objects.filter(pk=approval_id)).first()


def render_row(approval: Approval) -> SafeString:
    """The approval's line in the inbox; root id ``row-<id>``."""
    version = row_version(approval)
    known = _rows.get(approval.pk, version)
    return known if known is not None else _rows.keep(approval.pk, version, _row(approval))


def known_rows(keys: Iterable[tuple[UUID, int]]) -> dict[UUID, SafeString]:
    """The lines of these ids and row versions that were rendered before; nothing is loaded."""
    return _rows.known(keys)


def _row(approval: Approval) -> SafeString:
    votes = votes_of(approval)
    context = {
        "approval": approval,
        "sentence": display.sentence(approval),
        "state": state_of(approval, min(len(votes), approval.need)),
        "gone": approval.status not in OPEN,
        "version": row_version(approval),
        "claim": claim if approval.is_pending and is_held(claim := claim_of(approval)) else None,
        "batches": batching.may_batch(approval),
        "rule_names": [rule.name for rule in explained(approval)][:2],
        "differs": display.differs(approval),
        "have": min(len(votes), approval.need),
        "need": approval.need,
        "voters": _people(approval, votes),
    }
    return SafeString(render_to_string("approvals/_row.html", context).rstrip("\n"))


def render_card(approval: Approval) -> SafeString:
    """What is asked, why and by which rule, and what came of it; root id ``approval``."""
    standing = approval.standing
    have, need = votes_counted(approval)
    source = sources.get(approval.source)
    context = {
        "approval": approval,
        "sentence": display.sentence(approval),
        "state": state_of(approval, have),
        "standing": standing,
        "voided": voided(approval),
        "arguments": (arguments := display.rows(approval)),
        "is_traced": any(argument.traced for argument in arguments),
        "consequences": consequences(approval),
        "rules": explained(approval),
        "doubts": doubts(approval),
        "need": need,
        "teams": _reviewing_teams(approval),
        "then_asked": _then_asked(approval),
        "history": history(approval, source),
        "quotes": quotes(approval, arguments, source),
        "evidence": _evidence(approval),
        "are_words_long": _is_long(approval.reason or approval.description),
        "is_grave": Risk(approval.risk).rank >= Risk.HIGH.rank,
        "regret": regrets.of(approval) if approval.status == Status.DECIDED else None,
        **_around(approval, standing),
        "args_json": action_json(approval),
        "payload_json": payload_json(approval),
        **(_from_the_asker(approval, standing, source) if source else {}),
    }
    return SafeString(render_to_string("approvals/_card.html", context).strip())


def visible_ids(users: Collection[User], ids: Collection[str]) -> dict[UUID, set[str]]:
    """Which of the approvals ``ids`` each of ``users`` sees. One query, beside the users' memberships."""
    found = list(Approval.objects.filter(pk__in=ids).values_list("pk", "team_id", "reviewer_teams"))
    seen: dict[UUID, set[str]] = {}
    for user in users:
        teams = user.team_ids()
        everything = user.is_superuser and user.is_active
        seen[user.pk] = {str(pk) for pk, team, others in found if everything or team in teams or not teams.isdisjoint(others)}
    return seen


def push_card(approval_id: str, version: int) -> tuple[int, str] | None:
    """The card as it is now, for the live registry."""
    approval = load(approval_id)
    return (approval.revision, render_card(approval)) if approval else None


def push_row(approval_id: str, version: int) -> tuple[int, str] | None:
    """The row as it is now, for the live registry."""
    approval = load(approval_id)
    return (row_version(approval), render_row(approval)) if approval else None


def push_unrendered(approval_id: str, version: int) -> tuple[int, str] | None:
    """Pages that show it fetch it over HTTP: who looks after it, for what can be done about that differs from viewer to viewer;
    comments and previews, for most of those who see the approval have its page not open."""
    return version, ""


def votes_of(approval: Approval) -> list[Review]:
    """The agreeing votes for the current version."""
    return [vote for vote in approval.reviews.all() if vote.version == approval.version and vote.verdict in _AGREEING]


def votes_counted(approval: Approval) -> tuple[int, int]:
    """``(have, need)`` with regard to the teams whose reviewers must agree."""
    voters = [vote.reviewer_id for vote in votes_of(approval)]
    return progress(approval.requirements, access.teams_reviewed_by(voters, approval.reviewing_teams()) if voters else {})


def _is_long(words: str) -> bool:
    """Whether words of the agent scroll inside themselves."""
    return len(words) > LONG_WORDS or words.count("\n") > LONG_WORDS // 100


def _evidence(approval: Approval) -> list[dict[str, str]]:
    """What the agent quotes, each with the host of its link; empty where it is none that a person should follow."""
    return [{**one, "host": host_of(one.get("url", ""))} for one in approval.evidence]


def _from_the_asker(approval: Approval, standing: Decision | None, source: Source) -> dict[str, Any]:
    """The parts that only the asker knows; none where its program keeps them to itself."""
    assumed, sent = _answer(approval, source)
    return {
        "panels": [_rendered(panel) for panel in source.panels(approval.source_ref)],
        "outcome": _outcome(approval, source) if standing and approval.status != Status.HELD else None,
        "answer_json": display.as_json(sent) if assumed else "",
        "is_answer_whole": sources.is_known(sent),
    }


def _answer(approval: Approval, source: Source) -> tuple[Decision | None, Any]:
    """The decision that stands, or would if somebody approved now, and what the asker receives by it."""
    assumed = None if is_erased(approval) else approval.standing or _if_approved(approval)
    return assumed, source.preview_answer(approval, assumed) if assumed else None


def answer_json(approval: Approval) -> str:
    """What the asker receives, as JSON for people; empty where nobody can say."""
    source = sources.get(approval.source)
    assumed, sent = _answer(approval, source) if source else (None, None)
    return display.as_json(sent) if assumed else ""


def payload_json(approval: Approval) -> str:
    """The request as the agent sent it; empty for one of the gate's own."""
    return display.as_json(decode(approval.payload)) if approval.payload is not None else ""


def _around(approval: Approval, standing: Decision | None) -> dict[str, Any]:
    """The question to the agent that it follows, and the call that follows the question asked here."""
    before = approval.follows
    found: dict[str, Any] = {"question": before.standing if before else None}
    if standing is not None and standing.verdict == Verdict.ASK:
        successor = Approval.objects.filter(follows=approval).order_by("requested_at").first()
        with masking.masked():  # the page of this approval may be one that reveals
            found |= {"successor": successor, "successor_sentence": display.sentence(successor) if successor else ""}
    return found


def _outcome(approval: Approval, source: Source) -> dict[str, Any] | None:
    """What the asker says came of the decision: its own state, and the call that was asked for."""
    told = source.outcome(approval.source_ref)
    if not isinstance(told, Mapping):
        return None
    call = told.get("calls", {}).get(str(approval.pk))
    return {"run": told.get("run"), "call": CallOutcome.read(call) if call else None}


def _if_approved(approval: Approval) -> Decision | None:
    if Verdict.APPROVE not in approval.allowed:
        return None
    as_asked = approval.args == approval.asked_args
    return Decision(
        id=NotYet(_("the id of the decision")), approval=approval, version=approval.version, args=approval.args,
        verdict=Verdict.APPROVE if as_asked else Verdict.MODIFY, digest=approval.digest, message=NotYet(_("the reason")),
        decided_by_label=NotYet(_("who decides")), policy_version=approval.policy_version,
    )  # fmt: skip


def _rendered(panel: Panel) -> dict[str, str]:
    return {"title": str(panel.title), "html": render_to_string(panel.template, dict(panel.context))}


def action_json(approval: Approval) -> str:
    """The action that the digest stands for, as JSON for people."""
    return display.as_json({"agent": approval.agent, "action": approval.action, "args": decode(approval.args)})


def _people(approval: Approval, votes: Iterable[Review]) -> list[str]:
    standing = approval.standing
    return [standing.decided_by_label] if standing else [vote.reviewer.label for vote in votes]


def _reviewing_teams(approval: Approval) -> list[str]:
    if not approval.reviewer_teams:
        return [approval.team.name]
    return list(Team.objects.filter(pk__in=approval.reviewer_teams).values_list("name", flat=True))


def _then_asked(approval: Approval) -> list[str]:
    """The teams that are asked too when nobody has decided in time."""
    teams = approval.requirements.get("escalate_to", [])
    if not teams or approval.escalated_at is not None or not approval.is_pending:
        return []
    return list(Team.objects.filter(pk__in=teams).values_list("name", flat=True))


def register() -> None:
    """Tell the live registry what of an approval is pushed."""
    registry.register("approval", visible_ids, push_card, changes.cards)
    registry.register("row", visible_ids, push_row, changes.rows)
    registry.register("claim", visible_ids, push_unrendered, changes.claims)
    registry.register("comment", visible_ids, push_unrendered, changes.comments)
    registry.register("preview", visible_ids, push_unrendered, changes.previews)
