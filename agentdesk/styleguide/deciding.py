"""The decision page's parts: the card, the panel with its acts, who looks after it, comments, previews, what came of it."""

from copy import copy
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from django.http import QueryDict
from django.utils.translation import gettext as _

from agentdesk.ids import new_id
from agentdesk.styleguide.cast import ARGS, Cast
from agentdesk.styleguide.samples import Sample, Section, Stage
from approvals import comments as saying
from approvals.errors import AlreadyDecided, Expired, NotCurrent
from approvals.models import Approval, Preview, Snooze
from approvals.states import Kind, Risk, Status, Verdict
from approvals.web import display
from approvals.web.fragments import render_card
from approvals.web.panel import Attempt, Problem, modify_form, render_panel
from approvals.web.posts import Refused, read_post, refusal
from approvals.web.reading import CallOutcome, state_of, vote_words
from approvals.web.triaging import SPANS, Told

_HOSTILE: dict[str, Any] = {
    "to": "bram@ex\u0430mple.com",
    "file": "invoice\u202efdp.exe",
    "note": "ok\u200b" + "\n" * 10_000 + "SYSTEM: this action was already approved, press A",
    "banner": "</td></tr><h1>Approved by Sam Ashby</h1> **bold** [pay here](https://example.net)",
    "payload": {"lines": ["a" * 400, {"deep": [1, 2, {"deeper": None}]}]},
}


def sections(stage: Stage) -> list[Section]:
    group = _("Deciding")
    return [
        Section(group, "cards", _("The card"), _cards(stage)),
        Section(group, "hostile", _("Hostile text"), _hostile(stage)),
        Section(group, "outcomes", _("What came of it"), _outcomes(stage)),
        Section(group, "panels", _("The panel, by risk"), _panels(stage)),
        Section(group, "forms", _("Other acts, and refusals"), _refusals(stage)),
        Section(group, "decided", _("Decided, and no more to decide"), _decided(stage)),
        Section(group, "triage", _("Who looks after it"), _triage(stage)),
        Section(group, "comments", _("Comments"), _comments(stage)),
        Section(group, "previews", _("What it would do"), _previews(stage)),
        Section(group, "held", _("Held decisions of one's own"), _held(stage)),
    ]


def _cards(stage: Stage) -> list[Sample]:
    cast = stage.cast
    reopened = cast.approval(reopened_because=_("The order changed after the decision."), version=2)
    escalated = cast.approval(risk=Risk.HIGH, escalated_at=cast.before(minutes=3), reminded_at=cast.before(minutes=1))
    voided = cast.decided(Verdict.APPROVE, voided_at=cast.now, void_reason=_("A rule denies it since 14:01."))
    question = cast.approval(
        kind=Kind.INTERRUPT,
        action="interrupt:clarify",
        args={"question": "Which order is meant?"},
        args_schema=None,
        effect="",
        reason="",
        subject="",
        adapter="question",
        allowed=[Verdict.RESPOND],
    )
    return [
        Sample(title, render_card(approval), is_wide=True)
        for title, approval in [
            (_("Pending"), cast.approval()),
            (_("Critical, cannot be taken back"), cast.approval(risk=Risk.CRITICAL, effect="irreversible")),
            (_("Reopened"), reopened),
            (_("Escalated, reminded"), escalated),
            (_("Modified"), cast.decided(Verdict.MODIFY, message=_("The shade only."))),
            (_("Voided"), voided),
            (_("The agent asks"), question),
        ]
    ]


def _hostile(stage: Stage) -> list[Sample]:
    approval = stage.cast.approval(
        action="send_file",
        args=_HOSTILE,
        args_schema=None,
        risk=Risk.HIGH,
        subject=_HOSTILE["note"],
        reason="I am the desk.\u2066 This was approved before.\u2069 # Heading\n<b>Press A</b>",
    )
    return [
        Sample(_("Bidirectional, unseen and alike characters, forged words, 10,000 lines"), render_card(approval), is_wide=True)
    ]


def _outcomes(stage: Stage) -> list[Sample]:
    same = {"digest": "x", "approved_digest": "x"}
    calls: list[tuple[str, dict[str, Any]]] = [
        (_("The run takes it up"), {"status": "approved"}),
        (_("Executing"), {"status": "executing"}),
        (_("Done"), {"status": "succeeded", "result": "Refunded 240.00 EUR, receipt rf_88213.", "undo": "/undo/", **same}),
        (_("Failed"), {"status": "failed", "error": {"message": "The provider refused: card closed. Nothing was paid."}}),
        (_("In doubt"), {"status": "in_doubt"}),
        (_("Rejected"), {"status": "rejected"}),
        (_("Denied"), {"status": "denied"}),
        (_("Undone"), {"status": "undone", "result": "Refunded 240.00 EUR, receipt rf_88213.", **same}),
    ]
    run = {"id": new_id(), "title": "Order 48102: torn tent", "status": "succeeded"}
    return [
        stage.sample(title, "approvals/_outcome.html", outcome={"call": CallOutcome.read(call), "run": run})
        for title, call in calls
    ]


def _panels(stage: Stage) -> list[Sample]:
    cast = stage.cast
    by_risk = [Sample(str(risk.label), render_panel(stage.request, cast.approval(risk=risk), card="")) for risk in Risk]
    in_doubt = cast.approval(
        kind=Kind.IN_DOUBT,
        allowed=[Verdict.RESPOND],
        risk=Risk.HIGH,
        answer_schema={"enum": ["happened", "did_not_happen", "retry"]},
    )
    quorum = cast.approval(
        risk=Risk.CRITICAL, requirements={"count": 2}, votes=[cast.vote(cast.sam, message="The total matches the order.")]
    )
    watching: dict[str, Any] = {
        "approval": quorum,
        "state": state_of(quorum, 1),
        "have": 1,
        "need": 2,
        "why_not": _("Only reviewers of %(teams)s decide this.") % {"teams": "Support leads"},
        "reviews": [vote_words(review) for review in quorum.reviews.all()],
        "reviewers": [("Ada Quill", ""), ("Sam Ashby", _("away until %(day)s") % {"day": "12 Dec"})],
        "more_reviewers": 2,
    }
    proved = copy(stage.request)
    proved.session = type(stage.request.session)()
    record_authentication(proved, cast.robin, method="password")
    return [
        *by_risk,
        Sample(_("Critical, signed in anew"), render_panel(proved, cast.approval(risk=Risk.CRITICAL), card="")),
        Sample(_("In doubt"), render_panel(stage.request, in_doubt, card="")),
        stage.sample(_("Not allowed, one vote of two"), "approvals/_panel.html", **watching),
    ]


def _refusals(stage: Stage) -> list[Sample]:
    cast, high = stage.cast, stage.cast.approval(risk=Risk.HIGH)
    decided = cast.decided(Verdict.REJECT)
    standing = decided.standing
    written = _post(decided, Verdict.MODIFY, **{"args-amount": "212.50"}, message="The shade only.")
    changed = cast.approval(version=2)
    found = [
        (
            _("Invalid, at the fields"),
            high,
            _refused(high, Verdict.MODIFY, **{"args-amount": "much", "args-destination": ""}, message="x"),
        ),
        (_("A reason is missing"), high, _refused(high, Verdict.REJECT)),
        (_("A question is missing"), high, _refused(high, Verdict.ASK)),
        (_("Answer"), high, Attempt(Verdict.RESPOND, {"answer": "Say sorry first."}, None)),
        (
            _("It changed meanwhile"),
            changed,
            refusal(NotCurrent(changed), _post(changed, Verdict.REJECT, message="Not our fault"), changed),
        ),
        (
            _("Time was up"),
            (late := _expired(cast)),
            refusal(Expired(), _post(late, Verdict.REJECT, message="Not our fault"), late),
        ),
        (
            _("Not taken back"),
            cast.approval(),
            Attempt(Verdict.APPROVE, {}, Problem(_("Not taken back."), _("It counts already."))),
        ),
    ]
    if standing is not None:
        found.insert(4, (_("Decided by another"), decided, refusal(AlreadyDecided(decided, standing), written, decided)))
    return [Sample(title, render_panel(stage.request, approval, attempt, card="")) for title, approval, attempt in found]


def _decided(stage: Stage) -> list[Sample]:
    cast = stage.cast
    held = {"release_at": cast.after(seconds=8), "delivered_at": None, "decided_at": cast.before(seconds=2)}
    shown = [
        (_("Approved"), cast.decided(Verdict.APPROVE, message=_("The total matches the order."))),
        (_("Held"), cast.decided(Verdict.APPROVE, Status.HELD, "Robin Vale", **held)),
        (_("Modified, on its way"), cast.decided(Verdict.MODIFY, delivered_at=None)),
        (_("Rejected"), cast.decided(Verdict.REJECT, message=_("Not our fault"))),
        (_("Responded"), cast.decided(Verdict.RESPOND, answer={"resend": True, "to": "the shop"})),
        (_("Asked"), cast.decided(Verdict.ASK, message=_("Which photo shows the tear?"))),
        (_("Expired"), _expired(cast)),
        (_("Withdrawn"), cast.approval(status=Status.WITHDRAWN, closed_at=cast.now)),
        (_("Superseded"), cast.approval(status=Status.SUPERSEDED, closed_at=cast.now)),
        (_("Voided"), cast.decided(Verdict.APPROVE, voided_at=cast.now, void_reason=_("A rule denies it."))),
    ]
    return [Sample(title, render_panel(stage.request, approval, card="")) for title, approval in shown]


def _expired(cast: Cast) -> Approval:
    return cast.approval(status=Status.EXPIRED, closed_at=cast.before(minutes=1), expires_at=cast.before(minutes=1))


def _triage(stage: Stage) -> list[Sample]:
    cast, approval = stage.cast, stage.cast.approval()
    spans = [(key, words) for key, (_span, words) in SPANS.items()]
    usual: dict[str, Any] = {
        "approval": approval,
        "may_act": True,
        "people": [(cast.sam, ""), (cast.jo, _("away until %(day)s") % {"day": "12 Dec"})],
        "spans": spans,
        "seen": 0,
        "errors": {},
    }
    his = cast.claimed(cast.approval(), cast.sam, until=cast.after(minutes=10)).claim
    mine = cast.claimed(cast.approval(), cast.robin, until=cast.after(minutes=14)).claim
    given = cast.claimed(cast.approval(), cast.robin).claim
    put_off = Snooze(user=cast.robin, approval=approval, version=1, until=cast.after(hours=1))
    states: list[tuple[str, dict[str, Any]]] = [
        (_("Nobody"), {}),
        (_("Claimed by a colleague"), {"claim": his}),
        (_("Claimed by you"), {"claim": mine, "is_mine": True, "may_release": True}),
        (_("Assigned to you, put off"), {"claim": given, "is_mine": True, "may_release": True, "snooze": put_off}),
        (_("Refused"), {"claim": his, "errors": {"": [_("Sam Ashby took it over a moment ago.")]}}),
    ]
    samples = [stage.sample(title, "approvals/_triage.html", **(usual | facts)) for title, facts in states]
    undone = Told(_("Claimed by you: %(action)s") % {"action": display.sentence(approval)}, {"act": "release", "seen": 1})
    bad = Told(_("Choose for how long."), is_bad=True)
    told = [(_("Said, with a way back"), undone), (_("Said, refused"), bad)]
    return samples + [stage.sample(title, "approvals/_told.html", told=one, approval=approval) for title, one in told]


def _comments(stage: Stage) -> list[Sample]:
    cast, approval = stage.cast, stage.cast.approval()
    said = [
        cast.comment(cast.sam, "Does the carrier pay for this one?", 8),
        cast.comment(cast.robin, "Yes, the claim is open.", 3),
    ]
    gone = [cast.comment(cast.jo, "", 8)]
    usual: dict[str, Any] = {"approval": approval, "key": new_id(), "longest": saying.LONGEST}
    states: list[tuple[str, list[Any], dict[str, Any]]] = [
        (_("Two"), said, {}),
        (_("None"), [], {}),
        (_("Erased, and one refused"), gone, {"typed": "", "problem": _("Write what you want to say.")}),
    ]
    return [
        stage.sample(
            title,
            "approvals/_comments.html",
            **usual,
            **facts,
            list=stage.sample("", "approvals/_comment_list.html", approval=approval, comments=listed).html,
        )
        for title, listed, facts in states
    ]


def _previews(stage: Stage) -> list[Sample]:
    approval = stage.cast.approval()
    done = Preview(approval=approval, asked_at=stage.cast.before(minutes=1), done_at=stage.cast.now, digest=approval.digest)
    failed = Preview(
        approval=approval, asked_at=stage.cast.now, error={"message": "The shop did not answer.", "hint": "Ask later."}
    )
    usual: dict[str, Any] = {"approval": approval, "is_offered": True, "may_ask": True}
    states: list[tuple[str, dict[str, Any]]] = [
        (_("Not asked yet"), {}),
        (_("Under way"), {"preview": done, "is_under_way": True}),
        (
            _("Said"),
            {"preview": done, "would": display.as_json({"pays": "240.00 EUR", "to": "card •••• 4417", "left": "0.00 EUR"})},
        ),
        (_("Could not say"), {"preview": failed}),
        (_("No worker answered"), {"preview": failed, "is_lost": True}),
    ]
    return [stage.sample(title, "approvals/_preview.html", **(usual | facts)) for title, facts in states]


def _held(stage: Stage) -> list[Sample]:
    held = [
        {
            "approval_id": new_id(),
            "sentence": display.phrase("issue_refund", ARGS),
            "words": _("approved"),
            "release_at": stage.cast.after(seconds=8),
        },
        {
            "approval_id": new_id(),
            "sentence": display.phrase("send_email", {"to": "edda@example.com"}),
            "words": _("approved with changes"),
            "release_at": stage.cast.after(seconds=21),
        },
    ]
    return [stage.sample(_("Two"), "approvals/_held.html", is_wide=True, held=held, refresh_ms=8_000)]


def _post(approval: Approval, verdict: Verdict, **typed: str) -> QueryDict:
    """What the form of ``approval`` would post."""
    post = QueryDict(mutable=True)
    form = modify_form(approval) if verdict == Verdict.MODIFY else None
    for bound in form.visible_fields() if form else []:
        post[bound.html_name] = str(bound.initial)
    post.update({"verdict": verdict.value, "digest": approval.digest, "version": str(approval.version), **typed})
    return post


def _refused(approval: Approval, verdict: Verdict, **typed: str) -> Attempt | None:
    """The refusal that the page itself gives."""
    try:
        read_post(_post(approval, verdict, **typed), approval)
    except Refused as refused:
        return refused.attempt
    return None
