"""Changing one's own profile."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from agentdesk.audit.record import Actor, record
from agentdesk.people.models import User


def change_profile(user: User, changes: Mapping[str, Any], *, actor: Actor) -> None:
    """Store the fields that differ; the record holds them before and after."""
    with transaction.atomic():
        stored = User.objects.select_for_update().get(pk=user.pk)
        differing = {name: value for name, value in changes.items() if getattr(stored, name) != value}
        if not differing:
            return
        before = {name: getattr(stored, name) for name in differing}
        User.objects.filter(pk=user.pk).update(**differing)
        record(
            "user.changed", actor=actor, object_type="user", object_id=user.pk, object_label=stored.label,
            before=before, after=differing,
        )  # fmt: skip
