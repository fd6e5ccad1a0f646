"""Forms made of JSON Schemas: what nobody touches comes back as it was; what is typed gets its type or an error."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdesk.digests import digest
from approvals.web.forms import form_for
from approvals.web.schemas import Control
from tests.rendered import Browser

PYDANTIC_MONEY = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"}]}
SCHEMA: dict[str, Any] = {
    "$defs": {
        "Currency": {"enum": ["EUR", "USD"], "type": "string", "title": "Currency"},
        "Address": {
            "type": "object",
            "properties": {"street": {"type": "string"}, "zip": {"type": "string", "minLength": 4}},
            "required": ["street"],
        },
    },
    "type": "object",
    "properties": {
        "order_id": {"type": "string", "title": "Order", "description": "Its number."},
        "amount": PYDANTIC_MONEY,
        "currency": {"$ref": "#/$defs/Currency"},
        "count": {"type": "integer", "minimum": 1},
        "rate": {"type": "number"},
        "notify": {"type": "boolean", "default": True},
        "note": {"anyOf": [{"type": "string", "maxLength": 500}, {"type": "null"}], "default": None},
        "due": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time"},
        "mail": {"type": "string", "format": "email"},
        "link": {"type": "string", "format": "uri"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "sizes": {"type": "array", "items": {"type": "integer"}},
        "colours": {"type": "array", "items": {"enum": ["red", "blue"]}, "uniqueItems": True},
        "address": {"$ref": "#/$defs/Address"},
        "anything": {},
        "kind": {"const": "refund"},
    },
    "required": ["order_id", "amount"],
}
ARGS: dict[str, Any] = {
    "order_id": "A-1",
    "amount": "240.00",
    "currency": "EUR",
    "count": 2,
    "rate": 0.5,
    "notify": False,
    "note": "line one\nline two",
    "due": "2026-11-22",
    "at": "2026-11-22T10:00:00Z",
    "mail": "me@example.com",
    "link": "https://example.com/",
    "tags": ["a", "b"],
    "sizes": [1, 2],
    "colours": ["blue"],
    "address": {"street": "Main Street", "zip": "1234"},
    "anything": {"deep": [{"er": None}]},
    "kind": "refund",
}


def submit(schema: Any, args: Any, **changes: str) -> Any:
    """The form after a person changed these fields in a browser."""
    form = form_for(schema, args, Browser(str(form_for(schema, args))).post(**changes))
    form.is_valid()
    return form


def changed(schema: Any, args: Any, **changes: str) -> Any:
    form = submit(schema, args, **changes)
    assert form.errors == {}
    return form.cleaned_args()


def test_it_gives_every_kind_of_value_a_control():
    controls = {name: slot.control for name, slot in form_for(SCHEMA, ARGS).slots.items()}
    assert controls == {
        "order_id": Control.TEXT,
        "amount": Control.DECIMAL,
        "currency": Control.CHOICE,
        "count": Control.INTEGER,
        "rate": Control.NUMBER,
        "notify": Control.BOOLEAN,
        "note": Control.LONG,
        "due": Control.DATE,
        "at": Control.DATETIME,
        "mail": Control.EMAIL,
        "link": Control.URI,
        "tags": Control.LIST,
        "sizes": Control.LIST,
        "colours": Control.CHOICES,
        "address.street": Control.TEXT,
        "address.zip": Control.TEXT,
        "anything": Control.JSON,
        "kind": Control.CHOICE,
    }


def test_it_gives_back_what_nobody_touched():
    form = submit(SCHEMA, ARGS)
    assert form.changed_data == []
    assert form.changes() == []
    assert repr(form.cleaned_args()) == repr(ARGS)


def test_it_takes_names_and_words_from_the_schema():
    form = form_for(SCHEMA, ARGS)
    assert form["order_id"].label == "Order"
    assert form["order_id"].help_text == "Its number."
    assert form["address.street"].label == "Address · Street"
    assert form["order_id"].html_name == "args-order_id"


@pytest.mark.parametrize(
    ("name", "typed", "path", "value"),
    [
        ("order_id", " A-2 ", "order_id", " A-2 "),
        ("amount", "199", "amount", "199.00"),
        ("amount", " 199.5 ", "amount", "199.50"),
        ("amount", "199.999", "amount", "199.999"),
        ("currency", "USD", "currency", "USD"),
        ("count", " 12 ", "count", 12),
        ("rate", "0.25", "rate", 0.25),
        ("rate", "3", "rate", 3),
        ("notify", "true", "notify", True),
        ("note", "one\r\ntwo", "note", "one\ntwo"),
        ("note", "", "note", None),
        ("due", "2026-12-01", "due", "2026-12-01"),
        ("at", "2026-12-01T10:00:00+01:00", "at", "2026-12-01T10:00:00+01:00"),
        ("mail", "you@example.com", "mail", "you@example.com"),
        ("link", "mailto:you@example.com", "link", "mailto:you@example.com"),
        ("tags", "b\r\n\r\n c ", "tags", ["b", "c"]),
        ("sizes", "3\r\n4", "sizes", [3, 4]),
        ("colours", "red", "colours", ["red"]),
        ("anything", '{"a": [1.5, null]}', "anything", {"a": [1.5, None]}),
        ("order_id", "", "order_id", ""),
    ],
)
def test_it_types_what_was_typed(name, typed, path, value):
    args = changed(SCHEMA, ARGS, **{name: typed})
    assert repr(args[path]) == repr(value)
    assert {key: item for key, item in args.items() if key != path} == {key: item for key, item in ARGS.items() if key != path}


def test_it_changes_one_part_of_an_object():
    args = changed(SCHEMA, ARGS, **{"address.street": "Side Street"})
    assert args["address"] == {"street": "Side Street", "zip": "1234"}
    assert ARGS["address"]["street"] == "Main Street"


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("amount", "1,000.00"),
        ("amount", "12,50"),
        ("amount", "ten"),
        ("amount", "NaN"),
        ("amount", ""),
        ("currency", "GBP"),
        ("count", "1.5"),
        ("count", "0"),
        ("count", "9" * 5000),
        ("rate", "1e9999"),
        ("notify", "maybe"),
        ("note", "x" * 501),
        ("due", "tomorrow"),
        ("due", "2026-02-30"),
        ("at", "noon"),
        ("mail", "nobody"),
        ("link", "no address"),
        ("sizes", "1\ntwo"),
        ("colours", "green"),
        ("anything", "{"),
        ("anything", "NaN"),
        ("anything", '{"a": 1, "a": 2}'),
        ("anything", '{"$": "nonsense"}'),
        ("anything", '{"$": "map", "v": [[1]]}'),
        ("anything", "[" * 100_000),
        ("anything", "[" * 200 + "]" * 200),
        ("address.zip", "12"),
        ("kind", "payment"),
    ],
)
def test_it_says_at_the_field_what_is_wrong(name, typed):
    form = submit(SCHEMA, ARGS, **{name: typed})
    assert list(form.errors) == [name]
    assert len(form.errors[name]) == 1


def test_it_ignores_fields_that_were_not_posted():
    form = form_for(SCHEMA, ARGS, {"args-count": "5"})
    assert form.is_valid()
    assert form.cleaned_args() == {**ARGS, "count": 5}


def test_it_leaves_out_what_was_not_given_and_not_filled():
    args = {"order_id": "A-1", "amount": 5}
    assert changed(SCHEMA, args) == args
    assert changed(SCHEMA, args, count="3") == {**args, "count": 3}
    assert changed(SCHEMA, args, **{"address.street": "X"}) == {**args, "address": {"street": "X"}}
    assert submit(SCHEMA, args, **{"address.zip": "1234"}).errors == {"address.street": ["This is required."]}


def test_it_takes_an_optional_value_away():
    assert "count" not in changed(SCHEMA, ARGS, count="")
    assert "notify" not in changed(SCHEMA, ARGS, notify="")


def test_it_keeps_money_of_the_type_it_had():
    assert repr(changed(SCHEMA, {**ARGS, "amount": 240.0}, amount="199.5")["amount"]) == "199.5"
    assert repr(changed(SCHEMA, {**ARGS, "amount": 240}, amount="199")["amount"]) == "199"
    assert repr(changed({"properties": {"a": {"type": "number"}}}, {"a": Decimal("1.00")}, a="2.50")["a"]) == repr(
        Decimal("2.50")
    )


def test_it_does_not_stumble_over_binary_fractions():
    schema = {"type": "object", "properties": {"amount": {"type": "number", "multipleOf": 0.01}}}
    assert changed(schema, {"amount": 1.0}, amount="199.99") == {"amount": 199.99}
    assert "amount" in submit(schema, {"amount": 1.0}, amount="199.999").errors


def test_it_accepts_the_unchanged_value_that_the_schema_would_refuse_only_untouched():
    args = {**ARGS, "count": 0}
    assert submit(SCHEMA, args).is_valid()
    assert "count" in submit(SCHEMA, args, rate="2").errors


def test_it_shows_a_value_outside_the_choices():
    args = {**ARGS, "currency": "CHF"}
    assert changed({**SCHEMA, "properties": {"currency": {"enum": ["EUR"]}}}, args) == args


@pytest.mark.parametrize(
    "schema",
    [None, {}, True, {"type": "object"}, {"$ref": "#/nowhere"}, {"$ref": "#"}, {"allOf": "x"}, {"properties": []}, "x", 5],
)
def test_it_offers_json_where_there_is_no_schema(schema):
    form = form_for(schema, ARGS)
    (slot,) = form.slots.values()
    assert slot.control == Control.JSON
    assert changed(schema if isinstance(schema, dict) and schema in ({}, {"type": "object"}) else None, ARGS) == ARGS


def test_it_survives_a_schema_that_refers_to_itself():
    schema = {"$defs": {"N": {"$ref": "#/$defs/N"}}, "properties": {"n": {"$ref": "#/$defs/N"}, "m": {"$ref": "http://x/"}}}
    assert {slot.control for slot in form_for(schema, {"n": 1}).slots.values()} == {Control.JSON}


def test_it_goes_two_objects_deep_and_no_further():
    inner = {"type": "object", "properties": {"c": {"type": "string"}}}
    schema = {"properties": {"a": {"type": "object", "properties": {"b": inner}}}}
    args = {"a": {"b": {"c": "x"}}}
    form = form_for(schema, args)
    assert [(slot.name, slot.control) for slot in form.slots.values()] == [("a.b", Control.JSON)]
    assert changed(schema, args, **{"a.b": '{"c": "y"}'}) == {"a": {"b": {"c": "y"}}}


HOSTILE_KEYS = [
    "__all__",
    "",
    " ",
    "<script>",
    '"><img src=x>',
    "a.b",
    "ключ",
    "verdict",
    "fields",
    "clean",
    "a\nb",
    "_0",
    "constructor",
]


def test_it_is_safe_with_hostile_names_and_values():
    text = "<script>alert(1)</script>\"'&"
    schema = {
        "properties": {
            **{key: {"type": "string", "title": text, "description": text} for key in HOSTILE_KEYS},
            "a": {"type": "object", "properties": {"b": {"type": "string"}}},
        }
    }
    args = {**dict.fromkeys(HOSTILE_KEYS, text), "a": {"b": "inner"}}
    form = form_for(schema, args)
    assert len(form.fields) == len(HOSTILE_KEYS) + 1
    browser = Browser(str(form))
    assert not {"script", "img"} & set(browser.tags)
    assert changed(schema, args) == args
    name = next(name for name, slot in form.slots.items() if slot.path == ("a.b",))
    args_now = changed(schema, args, **{name: "outer"})
    assert (args_now["a.b"], args_now["a"]) == ("outer", {"b": "inner"})


def test_it_makes_no_form_of_a_thousand_fields():
    schema = {"properties": {f"f{number}": {"type": "string"} for number in range(1000)}}
    assert len(form_for(schema, {}).fields) == 1


@pytest.mark.parametrize(
    ("schema", "typed", "value"),
    [
        ({"type": "string"}, "yes", "yes"),
        ({"type": "boolean"}, "true", True),
        ({"type": "integer"}, "5", 5),
        ({"enum": ["happened", "retry"]}, "retry", "retry"),
        ({"type": ["string", "null"]}, "x", "x"),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, "5", 5),
    ],
)
def test_it_asks_for_an_answer_that_is_no_object(schema, typed, value):
    form = form_for(schema, None)
    (name,) = form.fields
    assert changed(schema, None, **{name: typed}) == value


def test_it_wants_the_required_parts_of_an_answer():
    schema = {"properties": {"ok": {"type": "boolean"}, "why": {"type": "string"}}, "required": ["ok"]}
    assert submit(schema, {}).errors == {"ok": ["This is required."]}
    assert changed(schema, {}, ok="false") == {"ok": False}


def test_it_puts_the_problems_of_others_at_the_fields():
    form = submit(SCHEMA, ARGS)
    form.show_problems({"amount": ["Too much."], "anything.deep.0": ["Odd."], "": ["All wrong."], "address": ["Unknown."]})
    assert form.errors["amount"] == ["Too much."]
    assert form.errors["anything"] == ["Odd."]
    assert form.non_field_errors() == ["All wrong.", "address: Unknown."]


def test_it_names_the_changes():
    form = submit(SCHEMA, ARGS, amount="199", count="")
    assert form.changes() == [("Amount", "240.00", "199.00"), ("Count", 2, None)]


any_text = st.text(max_size=30) | st.text(alphabet="ab \n\r\t\x00\x0b\u2028\"'<&\\\ud800", max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | any_text
    | st.decimals(allow_nan=False, allow_infinity=False)
)
any_value = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3), max_leaves=6
)
any_schema = st.recursive(
    st.sampled_from(
        [
            *({"type": kind} for kind in ("string", "integer", "number", "boolean", "array", "object", "null")),
            *({"type": "string", "format": name} for name in ("date", "date-time", "email", "uri", "decimal")),
            PYDANTIC_MONEY,
            {"type": ["string", "null"]},
            {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            {"enum": ["a", 1, None, True, "", "b\r\nc"]},
            {"enum": ["x", "y"]},
            {"const": 5},
            {"type": "array", "items": {"type": "string"}},
            {"type": "array", "items": {"type": "number"}},
            {"type": "array", "items": {"enum": ["x", "y", 1]}, "uniqueItems": True},
            {"type": "object", "additionalProperties": {"type": "string"}},
            {"type": "object", "additionalProperties": {"type": "number"}},
            {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}},
            {"oneOf": [{"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"b": {"const": 1}}}]},
            {},
            True,
        ]
    ),
    lambda inner: st.builds(
        lambda properties, required: {"type": "object", "properties": properties, "required": required},
        st.dictionaries(st.sampled_from(["a", "b", "a.b", "x y"]), inner, max_size=3),
        st.lists(st.sampled_from(["a", "b"]), max_size=2),
    ),
    max_leaves=5,
)
args_strategy = st.dictionaries(st.sampled_from(["a", "b", "a.b", "x y", "other"]), any_value, max_size=4)
root_strategy = st.dictionaries(st.sampled_from(["a", "b", "a.b", "x y"]), any_schema, max_size=4)


@given(root_strategy, args_strategy)
def test_it_gives_back_any_arguments_under_any_schema(properties, args):
    form = submit({"properties": properties}, args)
    if args:
        assert form.errors == {}
    assert repr(form.cleaned_args()) == repr(args)
    assert digest(form.cleaned_args()) == digest(args)


@given(root_strategy, args_strategy, st.sampled_from(["a", "b", "a.b", "x y", "value"]), any_text)
def test_it_bears_anything_that_is_posted(properties, args, name, text):
    form = form_for({"properties": properties}, args, {f"args-{name}": text})
    if form.is_valid():
        json.dumps(digest(form.cleaned_args()))
    str(form)


MAP = {"type": "object", "additionalProperties": {"type": "number"}}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
WITH_MAPS = {"properties": {"labels": LABELS, "weights": MAP, "odd": {"type": "object", "additionalProperties": {}}}}
MAPS: dict[str, Any] = {"labels": {"team": "blue", "x y": ""}, "weights": {"a": 1, "b": 0.5}, "odd": {"a": [1]}}


def test_a_map_is_lines_of_key_and_value():
    form = form_for(WITH_MAPS, MAPS)
    assert [slot.control for slot in form.slots.values()] == [Control.MAP, Control.MAP, Control.JSON]
    assert form["labels"].initial == "team: blue\nx y: "
    assert changed(WITH_MAPS, MAPS, labels="team: red: dark\r\n\r\nnew: 1")["labels"] == {"team": "red: dark", "new": "1"}
    assert repr(changed(WITH_MAPS, MAPS, weights="a: 1\nb: 2.5\nc: 3")["weights"]) == repr({"a": 1, "b": 2.5, "c": 3})
    assert "labels" not in changed(WITH_MAPS, MAPS, labels="")
    assert changed({**WITH_MAPS, "required": ["labels"]}, MAPS, labels="")["labels"] == {}


@pytest.mark.parametrize("typed", ["no colon", ": no key", "a: 1\na: 2", "a: one"])
def test_a_line_that_is_no_pair_is_refused(typed):
    form = submit(WITH_MAPS, MAPS, weights=typed)
    assert list(form.errors) == ["weights"]


@pytest.mark.parametrize("odd", [{"a:b": "x"}, {"a": "x\ny"}, {" a": "x"}, {"": "x"}, {"a": 1, 2: "b"}, {"a": " x"}])
def test_a_map_that_lines_cannot_show_is_json(odd):
    slots = form_for(WITH_MAPS, {"labels": odd}).slots
    assert slots["labels"].control == (Control.MAP if odd == {"a": 1} else Control.JSON)


CARD = {
    "title": "Card", "type": "object", "required": ["kind", "number"],
    "properties": {"kind": {"const": "card"}, "number": {"type": "string", "minLength": 4}, "name": {"type": "string"}},
}  # fmt: skip
TRANSFER = {
    "type": "object", "required": ["kind", "iban"],
    "properties": {"kind": {"const": "transfer"}, "iban": {"type": "string"}, "days": {"type": "integer"}},
}  # fmt: skip
PAYING = {
    "$defs": {"Card": CARD},
    "properties": {"to": {"oneOf": [{"$ref": "#/$defs/Card"}, TRANSFER]}, "note": {"type": "string"}},
    "required": ["to"],
}
PAID = {"to": {"kind": "card", "number": "4711", "name": "Mara"}, "note": "x"}


def test_of_several_forms_of_an_object_one_is_chosen_and_its_fields_filled():
    form = form_for(PAYING, PAID)
    assert [(name, slot.label) for name, slot in form.slots.items()] == [
        ("to", "To"), ("to.0.number", "To · Card · Number"), ("to.0.name", "To · Card · Name"),
        ("to.1.iban", "To · transfer · Iban"), ("to.1.days", "To · transfer · Days"), ("note", "Note"),
    ]  # fmt: skip
    assert form["to"].initial == "0"
    assert repr(changed(PAYING, PAID)) == repr(PAID)
    assert changed(PAYING, PAID, **{"to.0.number": "4712"})["to"] == {"kind": "card", "number": "4712", "name": "Mara"}
    moved = submit(PAYING, PAID, **{"to": "1", "to.1.iban": "DE02", "to.1.days": "3"})
    assert moved.cleaned_args() == {"to": {"kind": "transfer", "iban": "DE02", "days": 3}, "note": "x"}
    assert [label for label, _before, _after in moved.changes()] == ["To", "To · transfer · Iban", "To · transfer · Days"]


def test_what_stands_in_the_other_forms_does_not_count():
    form = submit(PAYING, PAID, **{"to.1.iban": "DE02", "to.1.days": "many"})
    assert form.errors == {}
    assert form.cleaned_args() == PAID
    assert submit(PAYING, PAID, to="1", **{"to.1.days": "many"}).errors.keys() == {"to.1.days"}


def test_a_form_that_is_not_filled_is_refused_where_it_was_chosen():
    form = submit(PAYING, PAID, to="1")
    assert set(form.errors) & {"to", "to.1.iban"}


@pytest.mark.parametrize("value", [{"kind": "cash"}, {"kind": "card", "number": "4711", "more": 1}, "card", [1]])
def test_a_value_of_none_of_the_forms_is_json(value):
    assert form_for(PAYING, {"to": value}).slots["to"].control == Control.JSON


def test_an_answer_may_have_several_forms_too():
    schema = {"anyOf": [CARD, TRANSFER]}
    assert changed(schema, None, value="1", **{"1.iban": "DE02"} if "1.iban" in form_for(schema, None).fields else {}) == {
        "kind": "transfer", "iban": "DE02",
    }  # fmt: skip


ORDER = {
    "properties": {
        "lines": {
            "type": "array", "minItems": 1,
            "items": {
                "type": "object", "required": ["sku", "count"],
                "properties": {"sku": {"type": "string", "title": "Article"}, "count": {"type": "integer", "minimum": 1}},
            },
        },
    },
    "required": ["lines"],
}  # fmt: skip
ORDERED = {"lines": [{"sku": "tent", "count": 1, "extra": [1.0]}, {"sku": "lamp", "count": 2}]}


def test_the_objects_of_a_list_have_fields_and_may_be_taken_out_or_added():
    form = form_for(ORDER, ORDERED)
    assert form["lines.1.sku"].label == "Lines 2 · Article"
    assert form["lines.2.count"].label == "Lines, one more · Count"
    assert repr(changed(ORDER, ORDERED)) == repr(ORDERED)
    lines = changed(ORDER, ORDERED, **{"lines.0.count": "3"})["lines"]
    assert lines == [{"sku": "tent", "count": 3, "extra": [1.0]}, {"sku": "lamp", "count": 2}]
    assert changed(ORDER, ORDERED, **{"lines.0": "remove"})["lines"] == [{"sku": "lamp", "count": 2}]
    both = changed(ORDER, ORDERED, **{"lines.0": "remove", "lines.1.count": "5", "lines.2.sku": "rope", "lines.2.count": "4"})
    assert both["lines"] == [{"sku": "lamp", "count": 5}, {"sku": "rope", "count": 4}]
    assert ORDERED["lines"][0]["count"] == 1
    assert changed(ORDER, {"lines": []}, **{"lines.0.sku": "rope", "lines.0.count": "1"}) == {
        "lines": [{"sku": "rope", "count": 1}]
    }


@pytest.mark.parametrize(
    ("typed", "at"),
    [({"lines.0.count": "0"}, "lines.0.count"), ({"lines.0.count": "x"}, "lines.0.count"), ({"lines.2.sku": "rope"}, None)],
)
def test_what_is_wrong_with_one_of_them_is_said_there(typed, at):
    form = submit(ORDER, ORDERED, **typed)
    assert form.errors
    if at:
        assert list(form.errors) == [at]


def test_a_list_that_is_too_long_for_fields_is_json():
    many = {"lines": [{"sku": "tent", "count": 1}] * 30}
    assert form_for(ORDER, many).slots["lines"].control == Control.JSON
    assert form_for(ORDER, {"lines": ["no object"]}).slots["lines"].control == Control.JSON
