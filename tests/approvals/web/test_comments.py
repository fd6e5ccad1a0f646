"""What people say beside an approval: added once, by who sees it, on record, erased with the run; and on its page, live."""

import threading

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connection
from django.urls import reverse
from playwright.sync_api import expect

from agentdesk.audit.record import Actor
from agentdesk.digests import decode
from agentdesk.ids import new_id
from agentdesk.live.push import flush
from approvals import comments
from approvals.comments import comment
from approvals.erasure import erase_content
from approvals.errors import Invalid, NotAllowed, NotFound
from approvals.models import Comment
from tests.approvals.cast import entries, make_approval, make_team, make_user, post
from tests.approvals.web.conftest import HTMX


def say(client, approval, text, *, htmx=True, **more):
    return client.post(reverse("approvals:comment", args=[approval.pk]), {"text": text, **more}, headers=HTMX if htmx else {})


def test_everybody_who_sees_the_approval_reads_it_and_it_is_on_record(browse, reviewer, second, approval):
    answer = say(browse(reviewer), approval, "I called her.\r\nShe agrees. <b>")
    assert answer.status_code == 200
    made = Comment.objects.get()
    assert (made.text, made.author, made.author_label) == ("I called her.\nShe agrees. <b>", reviewer, "Robin Vale")
    page = browse(second).get(reverse("approvals:detail", args=[approval.pk])).text
    assert "She agrees. &lt;b&gt;" in page
    assert "Robin Vale" in page
    (entry,) = entries(approval, "approval.commented")
    assert (entry.actor_id, decode(entry.after), entry.content.body) == (reviewer.pk, {"comment": made.pk}, {"text": made.text})
    assert approval.status == "pending"


def test_the_same_form_sent_twice_says_it_once(browse, reviewer, second, approval):
    key = str(new_id())
    for _time in range(2):
        assert say(browse(reviewer), approval, "Once.", key=key).status_code == 200
    assert Comment.objects.count() == 1
    assert say(browse(second), approval, "Once.", key=key).status_code == 200, "somebody else's key takes nobody's words away"
    assert Comment.objects.count() == 2


def test_two_at_once_with_one_key_say_it_once(committed):
    team = make_team()
    author, approval, key = make_user(team), make_approval(team), new_id()
    ready = threading.Barrier(2)

    def act():
        ready.wait()
        comment(approval.pk, "Once.", actor=Actor.of(author, "web"), key=key)
        connection.close()

    threads = [threading.Thread(target=act) for _each in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Comment.objects.count() == 1


def test_others_and_programs_say_nothing(browse, stranger, team, approval):
    assert say(browse(stranger), approval, "Hello").status_code == 404
    with pytest.raises(NotFound):
        comment(approval.pk, "Hello", actor=Actor.of(stranger, "web"))
    with pytest.raises(NotAllowed):
        comment(approval.pk, "Hello", actor=Actor.of(make_user(team, kind="service"), "api"))
    with pytest.raises(NotAllowed):
        comment(approval.pk, "Hello", actor=Actor.desk())
    assert not Comment.objects.exists()
    assert browse(stranger).get(reverse("approvals:comments", args=[approval.pk])).status_code == 404


@pytest.mark.parametrize("htmx", [True, False])
def test_what_is_refused_comes_back_with_its_text(browse, reviewer, approval, htmx):
    client, long = browse(reviewer), "a" * (comments.LONGEST + 1)
    empty = say(client, approval, " \n ", htmx=htmx)
    assert (empty.status_code, "Write something first." in empty.text) == (422, True)
    refused = say(client, approval, long, htmx=htmx)
    assert refused.status_code == 422
    assert "5001 characters are too many: at most 5000." in refused.text
    assert f">{long}</textarea>" in refused.text
    assert not Comment.objects.exists()


def test_there_is_an_end_to_them(reviewer, approval, monkeypatch):
    monkeypatch.setattr(comments, "MOST", 1)
    comment(approval.pk, "First", actor=Actor.of(reviewer, "web"))
    with pytest.raises(Invalid) as error:
        comment(approval.pk, "Second", actor=Actor.of(reviewer, "web"))
    assert error.value.errors == {"text": ["There are 1 comments already, and no room for more."]}


def test_it_works_without_javascript(browse, reviewer, approval):
    client = browse(reviewer)
    answer = say(client, approval, "Seen.", htmx=False)
    assert answer["Location"] == reverse("approvals:detail", args=[approval.pk])
    assert "Your comment is on record." in client.get(answer["Location"]).text


def test_it_is_said_afterwards_too_and_goes_with_the_content_of_the_run(browse, reviewer, approval):
    post(approval, reviewer)
    say(browse(reviewer), approval, "Her account is 4711.")
    erase_content(approval.source, approval.source_ref)
    assert Comment.objects.get().text == ""
    assert "Erased with the run" in browse(reviewer).get(reverse("approvals:comments", args=[approval.pk])).text


@pytest.mark.e2e
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_two_people_talk_without_losing_what_they_type(open_as, width, scheme, tmp_path):
    team = make_team("Support")
    robin = make_user(team, name="robin", first_name="Robin", last_name="Vale")
    sam = make_user(team, name="sam", first_name="Sam", last_name="Ashby")
    approval = make_approval(team, reason="The tent arrived torn.")
    assert flush()
    look = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    pages = [open_as(person, f"/approvals/{approval.pk}/", **look) for person in (robin, sam)]
    for page in pages:
        expect(page.locator("#wire")).to_have_attribute("data-state", "live")
    hers, his = (page.get_by_role("region", name="Comments") for page in pages)
    his.get_by_label("Your comment").fill("I am about to")
    hers.get_by_label("Your comment").fill("She sent a photo.")
    hers.get_by_label("Your comment").press("Tab")
    pages[0].keyboard.press("Enter")
    expect(hers.get_by_role("listitem").filter(has_text="She sent a photo.")).to_be_focused()
    expect(his.get_by_role("listitem").filter(has_text="Robin Vale")).to_contain_text("She sent a photo.")
    expect(his.get_by_label("Your comment")).to_have_value("I am about to")
    expect(pages[1].get_by_role("log", name="Comments")).to_contain_text("Robin Vale")
    for page in pages:
        page.evaluate("scrollTo(0, 0)")  # what is half under the bar is no small target
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag22aa"]}).response["violations"]
        assert [(each["id"], node["html"]) for each in found for node in each["nodes"]] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    pages[1].screenshot(path=f"/tmp/shots/comments-{width}.png", full_page=True)
