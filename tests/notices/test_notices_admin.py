"""Subscriptions and the delivery log in Django admin."""

import re
from typing import Any

import pytest
from django.urls import reverse

from agentdesk.audit.models import AuditEntry
from agentdesk.notices import outbox
from agentdesk.notices.models import Delivery, Subscription
from tests.admin.test_admin_rules import signed_in
from tests.cast import Cast, make_approval
from tests.notices.conftest import Receiver, run_all, subscribe
from tests.notices.test_webhooks import is_signed

LIST = reverse("admin:notices_subscription_changelist")
ADD = reverse("admin:notices_subscription_add")
LOG = reverse("admin:notices_delivery_changelist")


def page_of(subscription: Subscription) -> str:
    return reverse("admin:notices_subscription_change", args=[subscription.pk])


def form_of(cast: Cast, **changes: Any) -> dict[str, Any]:
    return {
        "name": "Ops", "team": cast.support.pk, "kind": "webhook", "url": "https://93.184.215.14/in?key=s3cret",
        "events": ["approval.asked"], "minimum_risk": "low", "active": "on", **changes,
    }  # fmt: skip


def secret_in(answer: Any) -> str:
    found = re.search(r'value="(whsec_[\w+/=]+)"', answer.content.decode())
    assert found, answer.content.decode()
    return found[1]


def test_a_webhook_is_made_and_its_secret_shown_once(cast: Cast, receiver: Receiver):
    client = signed_in(cast.admin)
    answer = client.post(ADD, form_of(cast, url=receiver.url))
    secret = secret_in(answer)
    assert "no-store" in answer["Cache-Control"]
    subscription = Subscription.objects.get()
    assert "whsec_" not in client.get(page_of(subscription)).content.decode()
    make_approval(cast.support)
    run_all()
    assert is_signed(receiver.got[0], secret)


def test_the_record_and_the_list_name_the_host_and_no_more_of_the_address(cast: Cast):
    client = signed_in(cast.admin)
    client.post(ADD, form_of(cast))
    entry = AuditEntry.objects.get(action="subscription.added")
    assert (entry.actor_id, entry.team_id, entry.via) == (cast.admin.pk, cast.support.pk, "admin")
    assert entry.after is not None
    assert entry.after["host"] == "93.184.215.14"
    assert "s3cret" not in str(entry.after)
    text = client.get(LIST).content.decode()
    assert "93.184.215.14" in text
    assert "s3cret" not in text
    client.post(page_of(Subscription.objects.get()), form_of(cast, name="Night"))
    changed = AuditEntry.objects.get(action="subscription.changed")
    assert changed.after == {"name": "Night"}


def test_a_new_secret_is_made_by_a_post_and_is_on_record(cast: Cast, receiver: Receiver):
    subscription: Any = subscribe(receiver.url, cast.support)
    client = signed_in(cast.admin)
    address = reverse("admin:notices_subscription_secret", args=[subscription.pk])
    assert f'formaction="{address}"' in client.get(page_of(subscription)).content.decode()
    assert client.get(address).status_code == 405
    assert signed_in(cast.stranger).post(address).status_code == 403
    answer = client.post(address)
    assert "valid for 24 hours more" in answer.content.decode()
    make_approval(cast.support)
    run_all()
    assert is_signed(receiver.got[0], secret_in(answer))
    assert is_signed(receiver.got[0], subscription.text)
    entry = AuditEntry.objects.get(action="subscription.secret")
    assert "whsec_" not in str(entry.after)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "http://example.com/"}, "Only https:// addresses are written to."),
        ({"url": "https://169.254.169.254/latest"}, "which is not a public address"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "which is not a public address"),
        ({"url": "https://me:pass@example.com/"}, "neither a user name nor a fragment"),
        ({"events": []}, "This field is required."),
        ({"team": ""}, "This field is required."),
    ],
)
def test_what_cannot_be_is_said_at_its_field(cast: Cast, change: dict[str, Any], said: str):
    answer = signed_in(cast.admin).post(ADD, form_of(cast, **change))
    assert answer.status_code == 200
    assert said in answer.content.decode().replace("&#x27;", "'")
    assert not Subscription.objects.exists()


def test_admins_of_a_team_see_and_change_its_own_only(cast: Cast):
    subscription = subscribe("https://example.com/", cast.support)
    desk_wide = subscribe("https://example.com/", None)
    stranger = signed_in(cast.stranger)
    assert page_of(subscription) not in stranger.get(LIST).content.decode()
    assert stranger.get(page_of(subscription)).status_code == 302
    assert signed_in(cast.reviewer).get(LIST).status_code in (302, 403)
    assert stranger.post(ADD, form_of(cast)).status_code == 200, "another team is no choice"
    assert Subscription.objects.count() == 2
    mine = signed_in(cast.admin)
    text = mine.get(LIST).content.decode()
    assert page_of(subscription) in text
    assert page_of(desk_wide) not in text
    cast.admin.is_superuser = True
    cast.admin.save()
    assert page_of(desk_wide) in mine.get(LIST).content.decode()
    assert mine.post(ADD, form_of(cast, team="")).status_code == 200
    assert Subscription.objects.filter(team=None).count() == 2


def test_a_test_is_sent_and_its_outcome_is_in_the_log(cast: Cast, receiver: Receiver):
    subscription = subscribe(receiver.url, cast.support)
    receiver.answers = [500]
    client = signed_in(cast.admin)
    form = {"action": "test", "_selected_action": [str(subscription.pk)]}
    delivery_page = reverse("admin:notices_delivery_change", args=[_only_delivery_after(client, form)])
    assert AuditEntry.objects.filter(action="subscription.tested").count() == 1
    run_all()
    text = client.get(delivery_page).content.decode()
    for shown in ("Ops", "Test", "500", "thank you", "Waiting"):
        assert shown in text
    assert signed_in(cast.stranger).get(delivery_page).status_code == 302
    Subscription.objects.update(active=False)
    assert "no test" in client.post(LIST, form, follow=True).content.decode()


def _only_delivery_after(client: Any, form: dict[str, Any]) -> Any:
    assert "A test is on its way to Ops." in client.post(LIST, form, follow=True).content.decode()
    return Delivery.objects.get().pk


def test_dead_letters_are_on_the_front_page_and_are_sent_again(cast: Cast, receiver: Receiver):
    subscription = subscribe(receiver.url, cast.support)
    make_approval(cast.support)
    outbox.spread()
    Delivery.objects.update(state="dead", tries=8, because="HTTP 500")
    client = signed_in(cast.admin)
    assert "Ops: 1 notifications did not arrive." in client.get("/admin/").content.decode()
    delivery = Delivery.objects.get(subscription=subscription)
    form = {"action": "replay", "_selected_action": [str(delivery.pk)]}
    signed_in(cast.stranger).post(LOG, form)
    delivery.refresh_from_db()
    assert delivery.state == "dead", "another team's"
    assert "1 are sent again; 0 were on their way already." in client.post(LOG, form, follow=True).content.decode()
    assert "0 are sent again; 1 were on their way already." in client.post(LOG, form, follow=True).content.decode()
    entry = AuditEntry.objects.get(action="delivery.replayed")
    assert (entry.actor_id, entry.object_id, entry.team_id) == (cast.admin.pk, str(delivery.pk), cast.support.pk)
    run_all()
    delivery.refresh_from_db()
    assert delivery.state == "sent"
    assert "did not arrive" not in client.get("/admin/").content.decode()


def test_switching_off_drops_what_waits(cast: Cast):
    subscription = subscribe("https://93.184.215.14/", cast.support)
    make_approval(cast.support)
    outbox.spread()
    form = form_of(cast)
    del form["active"]
    assert signed_in(cast.admin).post(page_of(subscription), form).status_code == 302
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.because) == ("dropped", "The subscription was switched off.")


def test_nobody_deletes_or_changes_the_log(cast: Cast):
    subscription = subscribe("https://example.com/", cast.support)
    delivery = outbox.send_test(subscription)
    client = signed_in(cast.admin)
    for name, pk in (("subscription", subscription.pk), ("delivery", delivery.pk)):
        assert client.post(reverse(f"admin:notices_{name}_delete", args=[pk]), {"post": "yes"}).status_code == 403
    assert client.post(reverse("admin:notices_delivery_change", args=[delivery.pk]), {"state": "sent"}).status_code == 403
