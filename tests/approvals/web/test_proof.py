"""Critical approvals: whoever approves confirms that it is them, and loses nothing of what they typed."""

import re
import time

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import expect

from agentdesk.audit.models import AuditEntry
from agentdesk.live.push import flush
from approvals.models import Decision
from tests.approvals.cast import make_approval, make_team, make_user
from tests.approvals.cast import post as decide
from tests.approvals.web.conftest import looked_at, post

PASSWORD = "correct horse battery"
CONFIRM, SECOND = "account_reauthenticate", "mfa_reauthenticate"
TYPED = {"message": "Checked.", "confirm": "A-1"}


@pytest.fixture
def robin(reviewer):
    reviewer.set_password(PASSWORD)
    reviewer.save()
    return reviewer


@pytest.fixture
def critical(team):
    return make_approval(team, risk="critical")


def confirm(client, password=PASSWORD):
    return client.post(reverse(CONFIRM), {"password": password, "next": reverse("people:confirmed")}, follow=True)


def totp_of(user):
    """A function that gives the code of now."""
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    return lambda: format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


def panel_of(client, approval):
    return client.get(reverse("approvals:panel", args=[approval.pk])).text


def test_who_has_not_confirmed_is_told_so_before_and_after_and_keeps_what_was_typed(browse, robin, critical):
    client = browse(robin)
    assert "confirm first that it is you" in panel_of(client, critical)
    answer = post(client, critical, **looked_at(critical, **TYPED))
    assert answer.status_code == 403
    assert "Confirm first that it is you" in answer.text
    assert ">Checked.</textarea>" in answer.text
    assert 'value="A-1"' in answer.text
    assert not Decision.objects.exists()
    confirmed = confirm(client)
    assert "press its button again" in confirmed.text
    assert "That is good until" in panel_of(client, critical)
    assert not Decision.objects.exists(), "nothing is decided by confirming"
    assert post(client, critical, **looked_at(critical, **TYPED)).status_code == 200
    entry = AuditEntry.objects.get(action="approval.reviewed")
    assert entry.after["proof"] == "password"


def test_a_wrong_password_confirms_nothing(browse, robin, critical):
    client = browse(robin)
    assert "Confirmed" not in confirm(client, "wrong").text
    assert post(client, critical, **looked_at(critical, **TYPED)).status_code == 403


def test_a_confirmation_is_good_for_some_minutes_and_in_its_own_session_only(browse, robin, critical, settings):
    client = browse(robin)
    confirm(client)
    assert post(browse(robin), critical, **looked_at(critical, **TYPED)).status_code == 403, "another session"
    session = client.session
    for record in session[AUTHENTICATION_METHODS_SESSION_KEY]:
        record["at"] = time.time() - settings.ACCOUNT_REAUTHENTICATION_TIMEOUT - 1
    session.save()
    assert post(client, critical, **looked_at(critical, **TYPED)).status_code == 403, "too long ago"
    assert "Not confirmed" in client.get(reverse("people:confirmed")).text
    confirm(client)
    assert post(client, critical, **looked_at(critical, **TYPED)).status_code == 200


def test_where_a_second_factor_is_wanted_the_password_is_not_enough(browse, robin, team):
    cache.clear()
    grave = make_approval(team, risk="low", requirements={"second_factor": True})
    code = totp_of(robin)
    client = browse(robin)
    assert reverse(SECOND) in panel_of(client, grave)
    confirm(client)
    assert "Confirm with your second factor first" in post(client, grave).text
    used = code()
    client.post(reverse(SECOND), {"code": used, "next": reverse("people:confirmed")})
    assert "That is good until" in panel_of(client, grave)
    other = browse(robin)
    other.post(reverse(SECOND), {"code": used, "next": reverse("people:confirmed")})
    assert post(other, grave).status_code == 403, "a code is good once"
    assert post(client, grave).status_code == 200
    assert AuditEntry.objects.get(action="approval.decided").after["proof"] == "totp"
    assert used not in str(list(AuditEntry.objects.values_list("after", flat=True)))


def test_who_signs_in_elsewhere_only_is_told_what_to_do(browse, reviewer, critical):
    reviewer.set_unusable_password()
    reviewer.save()
    assert not Authenticator.objects.exists()
    page = panel_of(browse(reviewer), critical)
    assert "You sign in elsewhere only" in page
    assert reverse(CONFIRM) not in page


def test_who_has_no_second_factor_yet_is_told_to_set_one_up(browse, robin, team):
    page = panel_of(browse(robin), make_approval(team, risk="low", requirements={"second_factor": True}))
    assert "Set one up in your profile first." in page
    assert reverse(SECOND) not in page


def test_a_password_that_is_hashed_anew_while_it_confirms_ends_no_session(browse, robin, critical, settings):
    client = browse(robin)
    settings.PASSWORD_HASHERS = ["tests.approvals.web.test_proof.TwoRoundHasher"]
    before = robin.password
    assert "press its button again" in confirm(client).text
    robin.refresh_from_db()
    assert robin.password != before
    assert post(client, critical, **looked_at(critical, **TYPED)).status_code == 200


class TwoRoundHasher(PBKDF2PasswordHasher):
    """What a newer Django brings: the same algorithm with more rounds."""

    iterations = 2


def test_rejecting_and_lesser_risks_want_no_proof(browse, robin, team, critical):
    client = browse(robin)
    assert post(client, critical, "reject", message="No.").status_code == 200
    high = make_approval(team, risk="high")
    assert "confirm first" not in panel_of(client, high)
    assert post(client, high, **looked_at(high, message="Checked.")).status_code == 200


@pytest.mark.e2e
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_it_is_confirmed_in_a_tab_of_its_own_and_the_form_waits(open_as, width, scheme, tmp_path):
    team = make_team("Support")
    robin = make_user(team, name="robin", first_name="Robin", last_name="Vale")
    robin.set_password(PASSWORD)
    robin.save()
    approval = make_approval(team, risk="critical")
    decide(approval, make_user(team, name="sam"))
    assert flush()
    page = open_as(robin, f"/approvals/{approval.pk}/", viewport={"width": width, "height": 900}, color_scheme=scheme)
    expect(page.locator("#wire")).to_have_attribute("data-state", "live")
    decision = page.get_by_role("complementary", name="Your decision")
    decision.get_by_label("Reason, kept on record").first.fill("I spoke with her.")
    decision.get_by_label("Type A-1 to confirm").first.fill("A-1")
    approve = decision.get_by_role("button", name=re.compile("Approve refund"))
    page.get_by_role("heading", name="Why").scroll_into_view_if_needed()
    expect(approve).to_be_enabled(timeout=20_000)
    approve.click()
    expect(decision.get_by_role("alert").filter(has_text="Confirm first that it is you")).to_be_visible()
    expect(decision.get_by_label("Reason, kept on record").first).to_have_value("I spoke with her.")
    assert not Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag22aa"]}).response["violations"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=tmp_path / f"proof-{width}.png", full_page=True)
    with page.context.expect_page() as opened:
        decision.get_by_role("link", name="Confirm that it is you").click()
    tab = opened.value
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Confirm").click()
    expect(tab.get_by_role("heading", name="Confirmed")).to_be_visible()
    tab.close()
    approve = decision.get_by_role("button", name=re.compile("Approve refund"))
    expect(decision.get_by_text("You can approve now.")).to_be_visible(timeout=20_000)
    expect(approve).to_be_enabled(timeout=20_000)
    approve.click()
    expect(page.get_by_role("complementary", name="Outcome")).to_contain_text("Approved by Robin Vale")
