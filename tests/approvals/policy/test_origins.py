"""Where values came from: what is found, what is not, and that every doubt lets less through."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.models.rules import Effect
from approvals.policy.conditions import problems, tell
from approvals.policy.evaluate import evaluate
from approvals.policy.origins import KINDS, MOST_LEAVES, ORIGINS, Found, Origin, Origins, Reading, trace
from tests.approvals.policy.test_evaluate import facts, rule

MAIL = """Dear Sir,
please pay 1.860,00 EUR to DE89 3704 0044 0532 0130 00
by 16 November 2026 and write to ev\u200bil@Attacker.example
or see https://attacker.example/a?b=1 about order #48102."""


def kind_of(value, *readings):
    (one,) = trace({"x": value}, readings).values
    return one.kind


@pytest.mark.parametrize(
    "value",
    [
        "1860.00", 1860, 1860.0, "EUR 1,860.00", "€1860", "DE89370400440532013000", "de89 3704 0044 0532 0130 00",
        "2026-11-16", "16.11.2026", "evil@attacker.example", "EVIL@ATTACKER.EXAMPLE", "https://attacker.example/a?b=1",
        "48102", 48102, "please pay", "Please\n  PAY 1.860,00 EUR", "\uff45vil@attacker.example",
    ],
)  # fmt: skip
def test_it_finds_what_an_e_mail_says_in_other_forms(value):
    assert kind_of(value, Reading("untrusted", MAIL)) == "untrusted"


@pytest.mark.parametrize(
    "value", ["18600", "860.00", "4810", "481020", "vil@attacker.example.com", "1", 2, "DE89370400440532013999"]
)
def test_it_does_not_take_a_part_of_a_word_or_number_for_it(value):
    assert kind_of(value, Reading("untrusted", MAIL)) == "model"


def test_a_small_number_counts_where_it_is_a_value_of_its_own():
    assert kind_of(2, Reading("record", {"quantity": "2"})) == "record"
    assert kind_of(2, Reading("record", "2 pieces")) == "model"


def test_it_names_the_tool_and_the_call_and_the_careful_source_first():
    record = Reading("record", {"id": "48102", "total": "240.00"}, "get_order", 3)
    (order, total) = trace({"order": "48102", "total": 240}, [Reading("untrusted", MAIL), record]).values
    assert order.found == (Found("untrusted"), Found("record", "get_order", 3))
    assert total.found == (Found("record", "get_order", 3),)


def test_it_finds_the_addresses_inside_a_text_that_the_model_wrote():
    traced = trace({"body": "As agreed I forward this to Evil@attacker.example today."}, [Reading("untrusted", MAIL)])
    (body,) = traced.values
    assert body.found == (Found("untrusted", part="Evil@attacker.example"),)
    assert traced.is_untrusted(body) is True
    assert traced.is_from(body, ["untrusted"]) is True
    assert traced.is_from(body, ["record"]) is False


def test_what_is_found_nowhere_cannot_be_told_once_the_run_has_read_something_from_outside():
    inside, outside = Reading("input", "pay Ada"), Reading("untrusted", MAIL)
    for readings, expected in (([inside], False), ([inside, outside], None), ([Reading("tool", "x y z")], None)):
        traced = trace({"to": "someone@else.example"}, readings)
        assert traced.is_untrusted(traced.values[0]) is expected


def test_it_says_that_it_looked_at_a_part_only():
    traced = trace({"x": ["lorem"] * (MOST_LEAVES + 1)}, [])
    assert (traced.is_cut, len(traced.values)) == (True, MOST_LEAVES)
    traced = trace({"x": "needle"}, [Reading("record", "hay " * 200_000 + "needle")])
    assert traced.is_cut
    assert traced.is_untrusted(traced.values[0]) is None


def test_it_stays_within_bounds_on_the_largest_run():
    args = {f"a{n}": f"value {n} " + "x" * 5000 for n in range(MOST_LEAVES)}
    readings = [Reading("untrusted", {"text": "1.234 " * 5000, "id": n}, "read", n) for n in range(20)]
    began = time.process_time()
    trace(args, readings)
    assert time.process_time() - began < 5  # it takes about one


def test_what_a_person_wrote_is_theirs():
    traced = trace({"to": "evil@attacker.example", "n": 1}, [Reading("untrusted", MAIL)])
    changed = traced.changed({"to": "evil@attacker.example", "n": 1}, {"to": "ada@example.com", "n": 1})
    assert [one.kind for one in changed.values] == ["person", "model"]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(args=st.dictionaries(st.text(max_size=8), plain, max_size=4), value=plain, kind=st.sampled_from(KINDS[:-1]))
def test_it_bears_every_value_and_survives_the_record(args, value, kind):
    traced = trace(args, [Reading(kind, value, "tool", 1), Reading("untrusted", "text")])
    assert Origins.of_json(traced.as_json()) == traced


@given(text=st.text(min_size=3, max_size=60).filter(lambda text: len(text.split()) > 0 and text.strip().isalnum()))
def test_it_finds_every_word_that_stands_in_a_text(text):
    assert kind_of(text, Reading("untrusted", f"before {text} after")) in ("untrusted",) or len(text.strip()) < 3


def told(op, value, found, *, exposed=True, every=False, path="to"):
    origins = Origins((Origin(("to",), found),), exposed=exposed)
    return tell({"path": path, "op": op, "value": value}, {"to": "x", ORIGINS: origins}, every=every).holds


def test_conditions_look_at_the_source_and_doubt_is_no_answer():
    mail, record = (Found("untrusted"),), (Found("record", "get_order", 1),)
    assert told("untrusted", True, mail) is True
    assert told("untrusted", False, record) is True
    assert told("untrusted", True, ()) is None
    assert told("untrusted", True, (), exposed=False) is False
    assert told("from", "record, input", record) is True
    assert told("from", "record", mail) is False
    assert told("from", "model", ()) is True
    assert told("from", "untrusted", (Found("tool", "x", 1),)) is None
    assert told("untrusted", True, mail, path="cc") is None
    assert tell({"path": "to", "op": "untrusted", "value": True}, {"to": "x"}, every=False).holds is None, "never traced"


@pytest.mark.parametrize(
    "condition",
    [
        {"path": "to", "op": "untrusted", "value": "yes"},
        {"path": "to", "op": "from", "value": "the web"},
        {"path": "to", "op": "from", "value": ""},
        {"path": "to", "op": "from", "value": ["record"]},
        {"path": "@risk", "op": "untrusted", "value": True},
        {"path": "@input.to", "op": "from", "value": "input"},
    ],
)
def test_it_refuses_conditions_on_sources_that_mean_nothing(condition):
    assert problems(condition)


def test_an_untraced_call_is_asked_and_never_allowed():
    trusting = rule("allow", conditions=[{"path": "amount", "op": "untrusted", "value": False}])
    careful = rule("deny", conditions=[{"path": "amount", "op": "untrusted", "value": True}])
    assert evaluate(facts(), [trusting]).effect == Effect.ASK
    assert evaluate(facts(), [careful]).effect == Effect.DENY
    traced = trace({"amount": "20.00"}, [Reading("record", {"total": "20.00"}, "get_order", 1)])
    assert evaluate(facts(origins=traced), [trusting]).effect == Effect.ALLOW
    assert evaluate(facts(origins=traced), [careful]).effect == Effect.ASK


def test_arguments_that_were_not_traced_are_doubted():
    many = trace({"x": ["lorem"] * (MOST_LEAVES + 1)}, [Reading("input", "lorem")])
    assert (many.left_out, Origins.of_json(many.as_json())) == (True, many)
    scope = {"x": ["lorem"] * (MOST_LEAVES + 1), ORIGINS: many}
    for every in (True, False):
        assert tell({"path": "x.*", "op": "from", "value": "model"}, scope, every=every).holds is not True
    trusting = rule("allow", conditions=[{"path": "x.*", "op": "from", "value": "input"}])
    enough = {"x": scope["x"][1:]}
    traced = trace(enough, [Reading("input", "lorem")])
    assert evaluate(facts(args=enough, origins=traced), [trusting]).effect == Effect.ALLOW
    assert evaluate(facts(args={"x": scope["x"]}, origins=many), [trusting]).effect == Effect.ASK


@pytest.mark.parametrize("was_cut", [True, False])
def test_what_was_recorded_before_it_said_so_is_doubted_where_it_was_cut(was_cut):
    recorded = trace({"x": "lorem"}, [Reading("input", "lorem")]).as_json() | {"is_cut": was_cut}
    del recorded["left_out"]
    assert Origins.of_json(recorded).left_out is was_cut


def test_a_value_that_a_person_only_moved_keeps_its_source():
    before = {"to": ["ada@example.com", "evil@attacker.example"]}
    traced = trace(before, [Reading("untrusted", MAIL), Reading("record", "ada@example.com")])
    changed = traced.changed(before, {"to": ["evil@attacker.example", "eve@example.com"]})
    assert [one.kind for one in changed.values] == ["untrusted", "person"]
