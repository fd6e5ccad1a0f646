"""What one run may still use up: model calls, tokens, money and time. Counted over all attempts."""

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from langchain_core.messages import BaseMessage

from runs.limits import Amount
from runs.models import Run
from runs.models.prices import ModelPrice, Usage, price_of
from runs.states import StepKind, StepStatus
from runs.tools.context import LimitReached


class Budget:
    """Counts for one attempt, from whatever thread a model is called in. The limits of calls are looked at before a call; what
    a call turns out to have used is known after it, so a run passes those limits by one call (of each branch) at most. Then
    ``on_reached`` is called, which ends the run after its present step, and no further call begins."""

    def __init__(
        self, limits: Mapping[str, Amount], used: Mapping[str, Any], prices: list[ModelPrice], seconds: float = 0
    ) -> None:
        """``used``: the :meth:`counters` of the attempts before; ``seconds``: how long they worked."""
        self.limits, self.prices, self.seconds = limits, prices, seconds
        self.model_calls = int(used.get("model_calls", 0))
        self.tokens = {kind: int(used.get(f"{kind}_tokens", 0)) for kind in ("input", "output")}
        self.cost = {currency: Decimal(sum_) for currency, sum_ in used.get("cost", {}).items()}
        self.unknown = int(used.get("calls_of_unknown_cost", 0))
        self.reached: LimitReached | None = None
        self.on_reached: Callable[[], None] = lambda: None
        self._guard = threading.Lock()

    def counters(self) -> dict[str, Any]:
        """What the run has used up so far, as JSON keeps it."""
        with self._guard:
            return {
                "model_calls": self.model_calls, "input_tokens": self.tokens["input"], "output_tokens": self.tokens["output"],
                "cost": {currency: format(sum_, "f") for currency, sum_ in self.cost.items()},
                "calls_of_unknown_cost": self.unknown,
            }  # fmt: skip

    def begin_call(self) -> None:
        """A model is about to be called. Raises LimitReached when it may not; the run ends after its step even where the agent
        catches that."""
        with self._guard:
            if self.reached is None and self.model_calls >= self.limits["model_calls"]:
                self.reached = LimitReached("model_calls", self.limits["model_calls"])
            self._look()
            reached = self.reached
            if reached is None:
                self.model_calls += 1
                return
        self.on_reached()
        raise LimitReached(reached.limit, reached.value, reached.detail)

    def end_call(self, provider: str, model: str, message: BaseMessage | None) -> dict[str, Any]:
        """A model has answered. Returns what its step tells: tokens, and the cost where that is known."""
        usage = usage_of(message)
        price = price_of(self.prices, provider, model, datetime.now(UTC)) if usage else None
        cost = price.cost(usage) if price and usage else None
        with self._guard:
            was = self.reached
            if usage is not None:
                self.tokens["input"] += usage.read
                self.tokens["output"] += usage.written
            if price is not None and cost is not None:
                self.cost[price.currency] = self.cost.get(price.currency, Decimal(0)) + cost
            else:
                self.unknown += 1
            self._look()
        if self.reached is not was:
            self.on_reached()
        tokens = {"input_tokens": usage.read, "output_tokens": usage.written} if usage else {}
        money = {"cost": format(cost, "f"), "currency": price.currency} if price and cost is not None else {}
        return {**tokens, **money}

    def spend(self, currency: str, amount: Decimal) -> None:
        """A tool is about to be tried, which costs this. A run that is over its limit with it ends after its present step."""
        with self._guard:
            was = self.reached
            self.cost[currency] = self.cost.get(currency, Decimal(0)) + amount
            self._look()
        if self.reached is not was:
            self.on_reached()

    def measure(self, text: str) -> None:
        """A model has written this. It stays in the thread, for it is paid for, and the run ends after its step."""
        if len(text) > self.limits["output_chars"]:
            detail = f"A model wrote {len(text)} characters."
            self.reach(LimitReached("output_chars", self.limits["output_chars"], detail))

    def reach(self, reached: LimitReached) -> None:
        """The run ends after its present step, in which no further call begins."""
        with self._guard:
            if self.reached is not None:
                return
            self.reached = reached
        self.on_reached()

    def begin_stretch(self) -> tuple[float, LimitReached]:
        """How many seconds the stretch of work that begins now may take, and what it reaches then."""
        self.reached = None  # by the stretch before; what counts for the whole run is found again
        stretch, whole = float(self.limits["wall_seconds"]), float(self.limits["active_seconds"]) - self.seconds
        name = "wall_seconds" if stretch < whole else "active_seconds"
        return min(stretch, whole), LimitReached(name, self.limits[name])

    def _look(self) -> None:
        """Whether what was used has reached a limit."""
        used: dict[str, Amount] = {"tokens": sum(self.tokens.values()), "cost": max(self.cost.values(), default=Decimal(0))}
        for name, value in used.items():
            if self.reached is None and value >= self.limits[name]:
                self.reached = LimitReached(name, self.limits[name])


def usage_of(message: BaseMessage | None) -> Usage | None:
    """The tokens of a model's answer (LangChain's ``UsageMetadata``), or None where the model does not tell."""
    told = getattr(message, "usage_metadata", None)
    if not told:
        return None
    cached = (told.get("input_token_details") or {}).get("cache_read") or 0
    return Usage(int(told.get("input_tokens") or 0), int(told.get("output_tokens") or 0), int(cached))


def recounted(run: Run) -> dict[str, Any]:
    """The counters of a run whose last worker died before it wrote them: from its steps and calls, written
    as it goes."""
    used: dict[str, Any] = {"model_calls": 0, "input_tokens": 0, "output_tokens": 0, "calls_of_unknown_cost": 0}
    cost: dict[str, Decimal] = {}
    facts = ("status", "data__input_tokens", "data__output_tokens", "data__cost", "data__currency")
    for status, read, written, money, currency in run.steps.filter(kind=StepKind.MODEL).values_list(*facts):
        used["model_calls"] += 1
        used["input_tokens"] += read or 0
        used["output_tokens"] += written or 0
        if money is not None:
            cost[currency] = cost.get(currency, Decimal(0)) + Decimal(money)
        elif status == StepStatus.DONE:
            used["calls_of_unknown_cost"] += 1
    for currency, money in run.calls.filter(cost__isnull=False).values_list("currency", "cost"):
        cost[currency] = cost.get(currency, Decimal(0)) + (money or 0)
    return {**used, "cost": {currency: format(sum_, "f") for currency, sum_ in cost.items()}}
