"""Numbers as people write them in the language of the page: exact, with every place they have, and never by way of a float."""

from decimal import Decimal

from django.utils.formats import get_format


def figure(number: int | Decimal, places: int = 0) -> str:
    """``number``, which is finite, in digits: ``1,860.00``, in German ``1.860,00``. ``places``: after the point, at least."""
    exact = Decimal(number)
    own = max(0, -int(exact.as_tuple().exponent))
    plain = f"{exact:,.{max(places, own)}f}"
    signs = {",": str(get_format("THOUSAND_SEPARATOR")), ".": str(get_format("DECIMAL_SEPARATOR"))}
    return "".join(signs.get(sign, sign) for sign in plain)


def groups_by_point() -> bool:
    """Whether a point stands between thousands here, so that ``1.234`` is one thousand and more to who reads it."""
    return str(get_format("THOUSAND_SEPARATOR")) == "."
