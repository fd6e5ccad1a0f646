"""The last active superuser stays, whoever asks and in whatever way."""

import threading
from typing import Any

import pytest
from django.contrib.auth import get_user
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.test import Client

from agentdesk.audit.models import AuditEntry
from agentdesk.people.models import User

LOST: list[dict[str, Any]] = [{"is_active": False}, {"is_superuser": False}, {"kind": "service"}]


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root")


@pytest.fixture
def browser(root):
    client = Client()
    client.force_login(root)
    return client


def form_of(user, **changes):
    given = {"username": user.username, "email": user.email, "first_name": "", "last_name": "", "kind": user.kind}
    given |= {name: "on" for name in ("is_active", "is_superuser") if getattr(user, name) and changes.get(name, True)}
    return given | {name: value for name, value in changes.items() if value}


@pytest.mark.parametrize("change", LOST)
def test_the_database_keeps_the_last_one(root, change):
    User.objects.create_superuser("gone", is_active=False)
    User.objects.create_superuser("robot", kind=User.Kind.SERVICE)
    with pytest.raises(IntegrityError, match="the last active superuser stays"), transaction.atomic():
        User.objects.filter(pk=root.pk).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=root.pk).delete()
    root.refresh_from_db()
    assert (root.is_active, root.is_superuser, root.kind) == (True, True, "person")


@pytest.mark.parametrize("change", LOST)
def test_others_may_go(root, change):
    second = User.objects.create_superuser("second")
    User.objects.filter(pk=second.pk).update(**change)
    second.delete()
    root.first_name = "Ruth"
    root.save()


def test_one_statement_does_not_take_all_of_them(root):
    User.objects.create_superuser("second")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(is_superuser=F("is_superuser")).update(is_active=False)
    assert User.objects.filter(is_superuser=True, is_active=True).count() == 2


@pytest.mark.parametrize(("field", "change"), [(next(iter(each)), each) for each in LOST])
def test_the_form_says_so_at_the_field(browser, root, field, change):
    response = browser.post(f"/admin/people/user/{root.pk}/change/", form_of(root, **change))
    assert response.status_code == 200
    assert "last active superuser" in str(response.context["adminform"].form.errors[field])
    assert not AuditEntry.objects.filter(action="user.changed").exists()
    assert get_user(browser).is_authenticated


def test_the_form_lets_one_of_two_go(browser, root):
    second = User.objects.create_superuser("second")
    response = browser.post(f"/admin/people/user/{second.pk}/change/", form_of(second, is_superuser=False))
    assert response.status_code == 302
    assert not User.objects.get(pk=second.pk).is_superuser


@pytest.mark.usefixtures("committed")
def test_of_two_at_once_one_stays():
    both = [User.objects.create_superuser(name) for name in ("ruth", "rosa")]
    refused = []
    together = threading.Barrier(2)

    def switch_off(user):
        try:
            with transaction.atomic():
                together.wait()
                User.objects.filter(pk=user.pk).update(is_active=False)
        except IntegrityError:
            refused.append(user.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=switch_off, args=[user]) for user in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(User.objects.filter(is_active=True).values_list("pk", flat=True)) == refused
    assert len(refused) == 1
