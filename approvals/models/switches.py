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


class Halt(models.Model):
    """A time in which the whole desk was switched off. At most one has no end."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    began_at = models.DateTimeField(_("switched off at"), auto_now_add=True)
    began_by_label = models.CharField(_("switched off by"), max_length=200)
    because = models.CharField(_("because"), max_length=300, blank=True)
    ended_at = models.DateTimeField(_("switched on at"), null=True)
    ended_by_label = models.CharField(_("switched on by"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("switch of the desk")
        verbose_name_plural = _("switch of the desk")
        ordering: ClassVar = ["-began_at"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["ended_at"], nulls_distinct=False, name="halt_one_open")]

    def __str__(self) -> str:
        return str(_("Switched off by %(who)s") % {"who": self.began_by_label})

    @classmethod
    def standing(cls) -> "models.QuerySet[Any]":
        """The one without an end, if the desk is switched off."""
        return cls.objects.filter(ended_at__isnull=True)


class Rehearsal(models.Model):
    """A time in which the whole desk was in dry run. At most one has no end."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    began_at = models.DateTimeField(_("began at"), auto_now_add=True)
    began_by_label = models.CharField(_("begun by"), max_length=200)
    because = models.CharField(_("because"), max_length=300, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True)
    ended_by_label = models.CharField(_("ended by"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("dry run of the desk")
        verbose_name_plural = _("dry run of the desk")
        ordering: ClassVar = ["-began_at"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["ended_at"], nulls_distinct=False, name="rehearsal_one_open")]

    def __str__(self) -> str:
        return str(_("Begun by %(who)s") % {"who": self.began_by_label})

    @classmethod
    def standing(cls) -> "models.QuerySet[Any]":
        """The one without an end, if the desk is in dry run."""
        return cls.objects.filter(ended_at__isnull=True)
