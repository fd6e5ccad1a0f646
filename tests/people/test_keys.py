import json
import re
from pathlib import Path

import pytest
from django.test import Client
from django.utils.html import escape

from agentdesk.audit.models import AuditEntry
from agentdesk.people.keys import ACTS, FIXED, BadKey, clashes, map_of, own_of, read_key
from agentdesk.people.models import User
from tests.people.conftest import sign_in

CHECKOUT = Path(__file__).parents[2]
USUAL = {act.name: act.usual for act in ACTS}
SWITCHES = {"uses_keys": "on", "opens_next": "on"}


@pytest.fixture
def browser(robin):
    return sign_in(robin)


def stored(user):
    return User.objects.get(pk=user.pk)


def save(browser, **keys):
    return browser.post("/profile/keys/", USUAL | SWITCHES | keys)


def errors(response):
    """The fields that have an error, by the names of their acts."""
    return set(re.findall(r'id="id_(\w+)_error"', response.content.decode()))


@pytest.mark.parametrize("address", ["/profile/keys/", "/profile/keys/switches/"])
def test_it_is_for_who_is_signed_in(db, address):
    for answer in (Client().get(address), Client().post(address, USUAL)):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/accounts/login/")


def test_it_has_a_field_for_each_act_with_its_words_and_key(browser):
    page = browser.get("/profile/keys/").content.decode()
    for act in ACTS:
        assert f'value="{act.usual}"' in page
        assert str(act.words)[1:] in page


def test_it_stores_only_what_differs_and_says_so_on_record(browser, robin):
    assert save(browser, approve="y", next="g n", open="")["Location"] == "/profile/keys/"
    assert stored(robin).keys == {"approve": "y", "next": "g n", "open": ""}
    entry = AuditEntry.objects.get(action="user.changed")
    assert (entry.before, entry.after) == ({"keys": {}}, {"keys": {"approve": "y", "next": "g n", "open": ""}})
    assert stored(robin).key_map == USUAL | {"approve": "y", "next": "g n", "open": ""}


def test_it_writes_nothing_where_nothing_changed(browser):
    save(browser, approve="y")
    save(browser, approve="y")
    assert AuditEntry.objects.filter(action="user.changed").count() == 1


def test_every_page_knows_the_persons_own_keys_and_shows_them(browser):
    save(browser, go_runs="g x", map="!")
    page = browser.get("/").content.decode()
    given = re.search(r'<body [^>]*data-keys="([^"]+)"', page)[1]
    assert json.loads(given.replace("&quot;", '"')) == USUAL | {"go_runs": "g x", "map": "!"}
    assert '<kbd class="key end" aria-hidden="true">!</kbd>' in page
    assert re.search(r'<dt><kbd>g</kbd> <kbd>x</kbd></dt><dd data-words-of="go_runs">', page)


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ({"approve": "m"}, {"approve", "modify"}),
        ({"approve": "u"}, {"approve", "back"}),
        ({"approve": "g"}, {"approve", "go_inbox", "go_runs", "go_agents", "go_audit"}),
        ({"next": "m n"}, {"next", "modify"}),
        ({"approve": "abc"}, {"approve"}),
        ({"approve": "a b c"}, {"approve"}),
        ({"approve": "Ctrl+A"}, {"approve"}),
        ({"approve": "\N{GRINNING FACE}"}, {"approve"}),
        ({"approve": "\u0301"}, {"approve"}),
        ({"approve": "\u200b"}, {"approve"}),
    ],
)
def test_it_says_at_the_field_what_is_wrong_and_saves_nothing(browser, robin, keys, wrong):
    answer = save(browser, **keys)
    assert answer.status_code == 422
    assert errors(answer) == wrong
    assert escape(next(iter(keys.values()))) in answer.content.decode()
    assert stored(robin).keys == {}


def test_acts_of_different_pages_may_share_a_key(browser, robin):
    assert save(browser, approve="x", next="j").status_code == 302
    assert stored(robin).keys == {"approve": "x", "next": "j"}


def test_it_takes_large_and_small_letters_for_different_keys(browser, robin):
    assert save(browser, modify="R").status_code == 302
    assert stored(robin).keys == {"modify": "R"}


def test_it_restores_the_usual_keys_and_leaves_the_switches(browser, robin):
    browser.post("/profile/keys/", USUAL | {"approve": "y"})
    assert browser.post("/profile/keys/", USUAL | {"approve": "m m m", "restore": "1"}).status_code == 302
    assert stored(robin).keys == {}
    assert not stored(robin).uses_keys


def test_the_switches_beside_the_map_are_the_persons_own(browser, robin):
    assert browser.get("/profile/keys/switches/").status_code == 405
    assert browser.post("/profile/keys/switches/", {"opens_next": "on"}).status_code == 204
    assert (stored(robin).uses_keys, stored(robin).opens_next) == (False, True)
    page = browser.get("/").content.decode()
    assert re.search(r"<body [^>]*data-keys-off", page)
    assert '<kbd class="key' not in page
    assert "aria-keyshortcuts" not in page
    assert browser.post("/profile/keys/switches/", {"uses_keys": "on"}).status_code == 204
    assert re.search(r"<body [^>]*data-stay", browser.get("/").content.decode())


def test_nobody_changes_anothers_keys(browser, robin, person):
    other = person("eve")
    save(browser, approve="y", user=str(other.pk), id=str(other.pk))
    assert (stored(robin).keys, stored(other).keys) == ({"approve": "y"}, {})


def test_the_usual_keys_do_not_clash():
    assert list(clashes(USUAL)) == []
    assert [read_key(act.usual) for act in ACTS] == [act.usual for act in ACTS]
    assert own_of(map_of({})) == {}


def test_a_usual_key_gives_way_to_what_a_person_chose_before_it_was_there():
    keys = map_of({"next": "r", "no_such_act": "v"})
    assert (keys["next"], keys["reject"]) == ("r", "")
    assert "no_such_act" not in keys
    assert list(clashes(keys)) == []


def test_a_key_is_one_character_or_two():
    assert [read_key(text) for text in ("", " a ", "g  i", "é", "e\u0301")] == ["", "a", "g i", "é", "é"]
    with pytest.raises(BadKey):
        read_key("ab")


def test_every_act_has_something_that_does_it():
    """In the templates, or in the scripts where no control stands for it; and nothing names an act that there is not."""
    templates = "".join(path.read_text() for path in (CHECKOUT / "templates").rglob("*.html"))
    scripts = "".join((CHECKOUT / "static/js" / name).read_text() for name in ("keys.js", "inbox.js"))
    named = set(re.findall(r'{% (?:act|key) "(\w+)"', templates))
    done = named | set(re.findall(r"^  (\w+): (?:\(\) => |show|open)", scripts, re.MULTILINE))
    done |= set(re.findall(r'"(select\w*)"', scripts))
    assert named <= set(USUAL)
    assert set(USUAL) <= done


def test_what_is_pushed_shows_nobodys_keys():
    for name in (
        "approvals/_row.html",
        "approvals/_card.html",
        "approvals/_comment_list.html",
        "runs/_run.html",
        "runs/_step.html",
    ):
        source = (CHECKOUT / "templates" / name).read_text()
        assert "{% key" not in source
        assert "{% act" not in source


def test_the_guide_has_the_map():
    guide = (CHECKOUT / "docs/reviewer.md").read_text().partition("\n## Keys\n")[2]
    told = re.findall(r"^\| `(.+)` \| (.+) \|$", guide, re.MULTILINE)
    assert told == [(act.usual, str(act.words)) for act in ACTS] + [(key, str(words)) for key, words in FIXED]
