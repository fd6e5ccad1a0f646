"""What a tool's own dry run says of a call that waits for people."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from approvals.models.approvals import Approval


class Preview(models.Model):
    """The newest one that a reviewer asked for. It is made by a worker, where the agents' code is: until then ``done_at`` is
    empty. Either ``would`` (encoded) or ``error`` says what came of it. It is about the arguments with ``digest``."""

    approval = models.OneToOneField(Approval, on_delete=models.CASCADE, primary_key=True, related_name="preview")
    digest = models.CharField(max_length=71)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    asked_by_label = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)
    would = models.JSONField(null=True)
    error = models.JSONField(null=True, help_text=_("{kind, message, hint}"))
    revision = models.PositiveBigIntegerField(default=1, help_text=_("Rises with every change of what the screen shows."))

    def __str__(self) -> str:
        return f"preview of {self.approval_id}"
