"""Whom an action reaches, whether it can be taken back, of what type its arguments are, and where it happens."""

import pytest

from approvals.models import Tool
from approvals.web import effects, fragments
from approvals.web.kinds import kind_of
from tests.approvals.cast import make_approval


def tool(team, **facts):
    return Tool.objects.create(agent="support", name="send_email", team=team, **facts)


def lines(team, args=None, **facts):
    told = {"action": "send_email", "args": args or {"to": "kim@example.com"}, "args_schema": None, "effect": "write", **facts}
    return [f"{line.main} {line.rest}".strip() for line in effects.consequences(make_approval(team, **told))]


def test_it_names_who_receives_and_that_they_are_outside(team):
    assert "Reaches kim@example.com outside" in lines(team, egress=True)
    assert "Reaches kim@example.com in the house, by its label" in lines(team)


def test_it_finds_recipients_where_an_admin_says_they_stand(team):
    tool(team, recipients_at=["whom.*", "hook"])
    args = {"to": "nobody", "whom": ["a@x.example, b@x.example", "c@x.example"], "hook": "https://u:p@evil.example/x?y"}
    found = lines(team, args, egress=True)
    assert "Reaches a@x.example, b@x.example, c@x.example and 1 more outside" in found
    assert effects.recipients(args, ["hook"]) == ["evil.example"]


@pytest.mark.parametrize("args", ["text", {"to": 5}, {"to": None}, {"to": [{"x": 1}]}, {"to": "http://[broken"}])
def test_arguments_that_name_nobody_readable_do_no_harm(args):
    assert all(isinstance(one, str) for one in effects.recipients(args, ["to"]))


def test_it_masks_and_cuts_what_a_recipient_holds(team):
    (found,) = effects.recipients({"to": "x" * 500}, [])
    assert len(found) == effects.LONGEST_RECIPIENT + 1
    assert "hunter2" not in str(effects.recipients({"to": "password=hunter2"}, []))


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"undo_tool": "recall_email", "undo_seconds": 86_400}, "Can be taken back within 1 d 0 h, by recall_email"),
        ({"undo_tool": "recall_email"}, "Can be taken back at any time, by recall_email"),
        ({}, "Nothing undoes it no tool of this agent takes it back"),
    ],
)
def test_it_says_how_it_is_taken_back(team, facts, told):
    tool(team, **facts)
    assert told in lines(team)


def test_what_is_irreversible_or_only_reads_promises_no_undo(team):
    tool(team, undo_tool="recall_email")
    for effect in ("irreversible", "read"):
        assert not [line for line in lines(team, effect=effect) if "Can be taken back" in line]


def test_it_says_how_long_an_approval_is_held(team):
    tool(team, hold_seconds=90)
    assert [line for line in lines(team) if line.startswith("Held 1 min 30 s")]
    assert not [line for line in lines(team, allowed=["reject"]) if line.startswith("Held")]


def test_it_costs_one_query(team, django_assert_num_queries):
    approval = make_approval(team)
    with django_assert_num_queries(1):
        effects.consequences(approval)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "text"), ({"type": "integer", "unit": "cents"}, "whole number, cents"),
        ({"type": "string", "format": "date"}, "date"), ({"type": "string", "format": "odd"}, "text"),
        ({"enum": [1, 2, 3]}, "one of 3"), ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"anyOf": [{"type": "string"}, {"type": "number"}]}, "text or number"),
        ({"type": "array", "items": {"type": "string"}}, "list of text"), ({"type": ["integer", "null"]}, "whole number"),
        ({}, ""), (None, ""), ({"type": "nonsense"}, ""), ({"type": 5, "format": []}, ""),
    ],
)  # fmt: skip
def test_it_says_the_type_of_an_argument(schema, words):
    assert kind_of(schema) == words


def test_the_type_stands_beside_the_name(team):
    shown = fragments.render_card(fragments.load(make_approval(team).pk))
    assert "<code>order_id <span>text</span></code>" in shown
    assert "<code>amount <span>text</span></code>" in shown


@pytest.mark.parametrize(("name", "chip"), [("production", "env prod"), ("LIVE", "env prod"), ("staging", "env")])
def test_every_page_and_every_card_says_where_it_happens(settings, team, browse, reviewer, name, chip):
    settings.ENVIRONMENT = name
    marked = f'<span class="{chip}">{name[:1].upper() + name[1:]}</span>'
    assert marked in fragments.render_card(fragments.load(make_approval(team).pk))
    for address in ("/approvals/", "/runs/", "/audit/"):
        assert marked in browse(reviewer).get(address).text


def test_a_desk_without_a_name_for_it_says_nothing(settings, team, browse, reviewer):
    settings.ENVIRONMENT = ""
    assert 'class="env' not in browse(reviewer).get("/approvals/").text
    assert "Happens in" not in fragments.render_card(fragments.load(make_approval(team).pk))
