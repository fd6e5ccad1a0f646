"""Which price holds for a model call, and what the call costs."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from runs.models.prices import ModelPrice, Usage, price_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def price(provider: str, model: str, *, days_ago: int = 1, cached: str | None = None, each: str = "1") -> ModelPrice:
    return ModelPrice(
        provider=provider, model=model, input_price=Decimal(each), output_price=Decimal(each) * 2,
        cached_price=None if cached is None else Decimal(cached), valid_from=NOW - timedelta(days=days_ago),
    )  # fmt: skip


TABLE = [
    price("*", "*", each="9"),
    price("openai", "gpt-5*", each="5"),
    price("*", "gpt-5-mini", days_ago=9, each="2"),
    price("*", "gpt-5-mini", each="1"),
    price("*", "gpt-5-mini", days_ago=-1, each="7"),
]


@pytest.mark.parametrize(
    ("provider", "model", "each"),
    [("openai", "gpt-5", 5), ("openai", "GPT-5-mini", 1), ("azure", "gpt-5", 9), ("openai", "o9", 9), ("openai", "gpt-5-x", 5)],
)
def test_the_closest_pattern_holds_and_of_its_prices_the_newest(provider: str, model: str, each: int) -> None:
    found = price_of(TABLE, provider, model, NOW)
    assert found is not None
    assert found.input_price == each


def test_a_model_that_no_price_fits_has_none() -> None:
    assert price_of(TABLE[1:], "azure", "gpt-4", NOW) is None
    assert price_of(TABLE, "openai", "gpt-5", NOW - timedelta(days=30)) is None


@pytest.mark.parametrize(("cached", "cost"), [(None, "1.2"), ("0.25", "0.9"), ("0", "0.8")])
def test_what_came_from_the_cache_has_its_own_price(cached: str | None, cost: str) -> None:
    usage = Usage(read=1_000_000, written=100_000, cached=400_000)
    assert price("*", "*", cached=cached).cost(usage) == Decimal(cost)
