"""How often people decided as a shadow rule would have. Reads evaluations and decisions on record."""

from dataclasses import dataclass
from math import ceil, floor, sqrt

from agentdesk.audit.models import AuditEntry
from approvals.models import Decision, Rule
from approvals.models.rules import Effect
from approvals.policy.replay import AGREED
from approvals.states import Verdict

Z = 1.96  # standard normal quantile of a two-sided interval of 95 %
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Agreement:
    """``agreed`` of ``decided`` calls; ``low`` and ``high`` are the 95 % interval of the rate, between 0 and 1."""

    agreed: int
    decided: int
    low: float
    high: float

    @property
    def low_percent(self) -> int:
        return floor(self.low * 100)

    @property
    def high_percent(self) -> int:
        return ceil(self.high * 100)


def agreement(rule: Rule) -> Agreement | None:
    """Over the calls that matched the rule, as it is now, and that people decided about. None for a rule that asks: whatever
    people say then, it was right to ask them. A call that people modified was not right as it was."""
    if rule.verdict == Effect.ASK:
        return None
    verdicts = Decision.objects.filter(
        approval__evaluation__at__gte=rule.updated_at,
        approval__evaluation__rules__contains=[{"id": str(rule.pk), "matched": True}],
        voided_at__isnull=True, verdict__in=[*AGREED, Verdict.REJECT],
    ).exclude(via=AuditEntry.Via.STANDING).values_list("verdict", flat=True)[:MOST]  # fmt: skip
    right = Verdict.APPROVE if rule.verdict == Effect.ALLOW else Verdict.REJECT
    agreed = sum(verdict == right for verdict in verdicts)
    return Agreement(agreed, len(verdicts), *interval(agreed, len(verdicts)))


def interval(hits: int, of: int) -> tuple[float, float]:
    """Wilson's score interval (E. B. Wilson, 1927) of a rate, 95 %; (0, 1) where nothing was counted."""
    if of == 0:
        return 0.0, 1.0
    rate, scale = hits / of, 1 + Z**2 / of
    middle = (rate + Z**2 / (2 * of)) / scale
    reach = Z * sqrt(rate * (1 - rate) / of + Z**2 / (4 * of**2)) / scale
    return max(0.0, middle - reach), min(1.0, middle + reach)
