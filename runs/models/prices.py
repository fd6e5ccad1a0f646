"""What model calls cost: the price table that admins keep."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id

MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call, as LangChain's ``usage_metadata`` counts them: ``cached`` is a part of ``read``."""

    read: int
    written: int
    cached: int = 0


class ModelPrice(models.Model):
    """The price of a model's tokens from a day on. Patterns have ``*`` and ``?``; case does not count."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    provider = models.CharField(
        max_length=100, default="*", help_text=_("As LangChain names it, such as openai, or a pattern.")
    )
    model = models.CharField(max_length=200, help_text=_("Its name, or a pattern such as gpt-5*."))
    input_price = models.DecimalField(max_digits=14, decimal_places=6, help_text=_("For a million tokens read."))
    output_price = models.DecimalField(max_digits=14, decimal_places=6, help_text=_("For a million tokens written."))
    cached_price = models.DecimalField(
        max_digits=14, decimal_places=6, null=True, blank=True,
        help_text=_("For a million tokens read from the provider's cache. Empty: as any other that is read."),
    )  # fmt: skip
    currency = models.CharField(max_length=12, default="USD", help_text=_("Such as USD. Each is added up by itself."))
    valid_from = models.DateTimeField(default=timezone.now, help_text=_("Calls from then on; calls before keep their cost."))
    note = models.CharField(max_length=300, blank=True, help_text=_("Where the price comes from, for other admins."))

    class Meta:
        ordering: ClassVar = ["provider", "model", "-valid_from"]
        verbose_name = _("price of a model")
        verbose_name_plural = _("prices of models")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["provider", "model", "valid_from"], name="price_once"),
            models.CheckConstraint(
                condition=Q(input_price__gte=0, output_price__gte=0) & (Q(cached_price__isnull=True) | Q(cached_price__gte=0)),
                name="price_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} · {self.model}"

    def fits(self, provider: str, model: str) -> bool:
        pairs = ((provider, self.provider), (model, self.model))
        return all(fnmatchcase(name.casefold(), pattern.casefold()) for name, pattern in pairs)

    def cost(self, usage: Usage) -> Decimal:
        """Of one call, in :attr:`currency`."""
        cached = self.input_price if self.cached_price is None else self.cached_price
        fresh = max(usage.read - usage.cached, 0)
        return (fresh * self.input_price + usage.cached * cached + usage.written * self.output_price) / MILLION


def price_of(prices: Iterable[ModelPrice], provider: str, model: str, at: datetime) -> ModelPrice | None:
    """The price that holds for a call at ``at``: of those that fit, the one with the closest pattern, then the newest."""
    fitting = [price for price in prices if price.valid_from <= at and price.fits(provider, model)]
    return max(fitting, key=lambda price: (_closeness(price.model), _closeness(price.provider), price.valid_from), default=None)


def _closeness(pattern: str) -> tuple[bool, int]:
    """A name goes before a pattern, and of patterns the one that says more."""
    return ("*" not in pattern and "?" not in pattern, sum(char not in "*?" for char in pattern))
