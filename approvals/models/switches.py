"""What admins switch off: a tool, an agent, the whole desk."""

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id


class Switched(models.Model):
    """Part of a row that has ``enabled``: who switched it last, when, and why. The record has every time."""

    switched_at = models.DateTimeField(_("switched at"), null=True, editable=False)
    switched_by_label = models.CharField(_("switched by"), max_length=200, blank=True, editable=False)
    switched_because = models.CharField(_("because"), max_length=300, blank=True, editable=False)

    class Meta:
        abstract = True


class DeskWide(models.Model):
    """A time in which something was so for the whole desk. At most one of a kind has no end."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    began_at = models.DateTimeField(_("began at"), auto_now_add=True)
    began_by_label = models.CharField(_("begun by"), max_length=200)
    because = models.CharField(_("because"), max_length=300, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True)
    ended_by_label = models.CharField(_("ended by"), max_length=200, blank=True)

    class Meta:
        abstract = True
        ordering: ClassVar = ["-began_at"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["ended_at"], nulls_distinct=False, name="%(class)s_one_open")]

    def __str__(self) -> str:
        return str(_("Begun by %(who)s") % {"who": self.began_by_label})

    @classmethod
    def standing(cls) -> "models.QuerySet[Any]":
        """The one without an end, if it is so now."""
        return cls._default_manager.filter(ended_at__isnull=True)


class Halt(DeskWide):
    """The whole desk was switched off."""

    class Meta(DeskWide.Meta):
        verbose_name = _("switch of the desk")
        verbose_name_plural = _("switch of the desk")


class Rehearsal(DeskWide):
    """The whole desk was in dry run."""

    class Meta(DeskWide.Meta):
        verbose_name = _("dry run of the desk")
        verbose_name_plural = _("dry run of the desk")
