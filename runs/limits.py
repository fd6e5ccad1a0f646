"""The limits of runs: their names and words, which are in force for a run, and what people grant beyond them.

Counts are integers; money is a Decimal, in JSON a text. An agent's limits are set by admins; whoever starts a run lowers them
for that run; an operator grants more when it has stopped at one. Nothing that an agent does reaches any of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agentdesk.english import in_english
from runs.errors import InvalidLimit

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as Promise

    from runs.models import Agent, Run

type Amount = int | Decimal

GRANTED = "granted"  # the key of Run.limits that holds what was granted beyond them
CONCURRENT_RUNS, PENDING_APPROVALS = "concurrent_runs", "pending_approvals"
MOST = 10**12  # of anything: what is larger is a slip
PLACES_MOST, PLACES = 12, 6  # before and after the point


@dataclass(frozen=True, slots=True)
class Limit:
    """``name`` is what is counted. ``label`` names it with its unit, in a form. ``reached`` says what happened, with
    ``%(limit)s`` for the number."""

    name: "Promise"
    label: "Promise"
    reached: "Promise"
    is_money: bool = False
    is_of_agent: bool = False  # of all runs of the agent together: nobody lowers it for one run
    is_queue: bool = False  # what is beyond it waits instead of being stopped: nobody grants more of it


LIMITS: dict[str, Limit] = {
    "supersteps": Limit(
        gettext_lazy("supersteps"),
        gettext_lazy("Most steps of the graph, without a pause"),
        gettext_lazy("Its graph made %(limit)s steps without a pause."),
    ),
    "model_calls": Limit(
        gettext_lazy("model calls"),
        gettext_lazy("Most model calls"),
        gettext_lazy("It has made as many model calls as it may: %(limit)s."),
    ),
    "tool_calls": Limit(
        gettext_lazy("tool calls"),
        gettext_lazy("Most tool calls"),
        gettext_lazy("It has made as many tool calls as it may: %(limit)s."),
    ),
    "identical_calls": Limit(
        gettext_lazy("identical calls"),
        gettext_lazy("Most calls of one tool with the same arguments"),
        gettext_lazy(
            "It has called one tool with the same arguments as often as it may: %(limit)s. It seems to go round in circles."
        ),
    ),
    "tokens": Limit(
        gettext_lazy("tokens"),
        gettext_lazy("Most tokens, read and written"),
        gettext_lazy("Its models have read and written %(limit)s tokens or more."),
    ),
    "cost": Limit(
        gettext_lazy("cost"),
        gettext_lazy("Most cost of model and tool calls (money, in each currency)"),
        gettext_lazy("Its model and tool calls have cost %(limit)s or more."),
        is_money=True,
    ),
    "output_chars": Limit(
        gettext_lazy("output characters"),
        gettext_lazy("Largest result of a tool, or text of a model (characters)"),
        gettext_lazy("Something is larger than %(limit)s characters."),
    ),
    "active_seconds": Limit(
        gettext_lazy("active seconds"),
        gettext_lazy("Most seconds of work, waiting not counted"),
        gettext_lazy("It has worked for %(limit)s seconds."),
    ),
    "wall_seconds": Limit(
        gettext_lazy("wall seconds"),
        gettext_lazy("Most seconds of work without a pause"),
        gettext_lazy("It worked for %(limit)s seconds without a pause."),
    ),
    CONCURRENT_RUNS: Limit(
        gettext_lazy("concurrent runs"),
        gettext_lazy("Most runs at work at the same time; more of them wait in the queue"),
        gettext_lazy("The agent has %(limit)s runs at work."),
        is_of_agent=True,
        is_queue=True,
    ),
    PENDING_APPROVALS: Limit(
        gettext_lazy("pending approvals"),
        gettext_lazy("Most approvals that wait at the same time, of all its runs"),
        gettext_lazy("As many approvals of its agent wait as may: %(limit)s. It asks for more."),
        is_of_agent=True,
    ),
}


def amount(name: str, value: Any) -> Amount:
    """A limit's value from a form, a program or the database. Raises InvalidLimit for what is no number of its kind."""
    limit = _known(name)
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise InvalidLimit(_("%(value)s is no number.") % {"value": repr(value)[:40]}) from error
    # Looked at before it is reckoned with or written out: an exponent costs nothing to send.
    if isinstance(value, bool) or not number.is_finite() or number.adjusted() > PLACES_MOST or abs(number) > MOST:
        raise InvalidLimit(_("%(value)s is no number.") % {"value": repr(value)[:40]})
    if int(number.as_tuple().exponent) < -PLACES:
        raise InvalidLimit(_("%(value)s is no number.") % {"value": repr(value)[:40]})
    if limit.is_money:
        return number
    if number != int(number):
        raise InvalidLimit(_("%(name)s is a whole number.") % {"name": name})
    return int(number)


def stored(value: Amount) -> int | str:
    """As JSON keeps it."""
    return format(value, "f") if isinstance(value, Decimal) else value


def as_json(limits: Mapping[str, Any]) -> dict[str, int | str]:
    return {name: stored(amount(name, value)) for name, value in limits.items()}


def limits_of_agent(agent: "Agent") -> dict[str, Amount]:
    """The desk's limits with the agent's own over them, as an admin set them."""
    own = agent.limits
    return {name: amount(name, own.get(name, value)) for name, value in settings.RUN_LIMITS.items()}


def limits_of(run: "Run") -> dict[str, Amount]:
    """The limits in force: the agent's, lowered by the run's own, and what was granted when it was continued."""
    more, found = run.limits.get(GRANTED, {}), {}
    for name, value in limits_of_agent(run.agent).items():
        found[name] = min(value, amount(name, run.limits.get(name, value))) + amount(name, more.get(name, 0))
    return found


def lowered(agent: "Agent", wanted: Mapping[str, Any]) -> dict[str, int | str]:
    """What a run's own limits are, checked, as JSON keeps them. Raises InvalidLimit: they lower those of the agent."""
    most, found = limits_of_agent(agent), {}
    for name, value in wanted.items():
        number = amount(name, value)
        if _known(name).is_of_agent:
            raise InvalidLimit(_("%(name)s counts all runs of an agent: nobody sets it for one.") % {"name": name})
        if not 0 < number <= most[name]:
            facts = {"name": name, "most": stored(most[name])}
            raise InvalidLimit(_("%(name)s is more than 0 and at most %(most)s, as it is for this agent.") % facts)
        found[name] = stored(number)
    return found


def granted(run: "Run", more: Mapping[str, Any]) -> dict[str, Any]:
    """``run.limits`` with more granted; of each at most what the desk gives a run to begin with. Raises InvalidLimit."""
    before = dict(run.limits.get(GRANTED, {}))
    for name, value in more.items():
        number, most = amount(name, value), amount(name, settings.RUN_LIMITS[name])
        if _known(name).is_queue:
            raise InvalidLimit(_("%(name)s stops no run: nothing is granted of it.") % {"name": name})
        if not 0 <= number <= most:
            raise InvalidLimit(
                _("At most %(most)s more of %(name)s are granted at once.") % {"name": name, "most": stored(most)}
            )
        before[name] = stored(amount(name, before.get(name, 0)) + number)
    return {**run.limits, **({GRANTED: before} if before else {})}


def own_limits(run: "Run") -> dict[str, Any]:
    """A run's limits without what was granted to it alone."""
    return {name: value for name, value in run.limits.items() if name != GRANTED}


def name_of(name: str) -> str:
    """What a limit counts, in words; one that only the code knows by its name there."""
    return str(LIMITS[name].name) if name in LIMITS else name.replace("_", " ")


def field_of(name: str, most: Amount) -> forms.Field:
    """A field for a limit of at most ``most``; empty where nobody sets it."""
    options: dict[str, Any] = {"label": LIMITS[name].label, "max_value": most, "required": False}
    if LIMITS[name].is_money:
        return forms.DecimalField(min_value=Decimal("0.000001"), decimal_places=6, **options)
    return forms.IntegerField(min_value=1, **options)


@in_english()
def told(name: str, value: Amount, detail: str = "") -> str:
    """What was reached and what can be done, for people; it is stored with the run."""
    if name not in LIMITS:
        return _("It reached a limit of the desk: %(name)s, %(value)s.") % {"name": name.replace("_", " "), "value": value}
    words = [str(LIMITS[name].reached) % {"limit": stored(value)}, detail, _("What it has done so far is kept.")]
    words.append(_("An operator can continue it with more; an admin can raise the limit at the agent for runs to come."))
    return " ".join(word for word in words if word)


def _known(name: str) -> Limit:
    if name not in LIMITS:
        raise InvalidLimit(_("There is no limit %(name)r; there are: %(all)s.") % {"name": name, "all": ", ".join(LIMITS)})
    return LIMITS[name]
