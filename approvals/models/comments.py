"""What people say to one another about an approval."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from agentdesk.ids import new_id
from approvals.models.approvals import Approval


class Comment(models.Model):
    """One remark. Agents and programs never read it, it has no say in any decision, and it is never changed; ``text`` is empty
    once the run's content was erased."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    approval = models.ForeignKey(Approval, on_delete=models.PROTECT, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    author_label = models.CharField(max_length=200)
    text = models.TextField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["at", "id"]
        indexes: ClassVar = [models.Index(fields=["approval", "at", "id"], name="comment_of")]

    def __str__(self) -> str:
        return f"{self.author_label}: {self.text[:40]}"
