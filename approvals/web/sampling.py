"""Before many alike are approved by one press, some of them are read whole: a row of a table is a glance, not a reading."""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from django.core import signing

from agentdesk.people.models import User
from approvals.models import Approval
from approvals.web.batching import Line

MANY = 10  # approvals in one batch, beyond which samples are read first
SAMPLES = 3
READ = "approvals.batch.read"


def samples_of(lines: Sequence[Line]) -> list[Line]:
    """What to read of a batch: what stands out most, then what lies evenly among the rest. In the order of the batch."""
    places = range(len(lines))
    standing_out = sorted((at for at in places if _stands_out(lines[at])), key=lambda at: (-_stands_out(lines[at]), at))
    chosen = standing_out[:SAMPLES]
    rest = [at for at in places if at not in chosen]
    wanted = min(SAMPLES - len(chosen), len(rest))
    chosen += [rest[number * (len(rest) - 1) // max(1, wanted - 1)] for number in range(wanted)]
    return [lines[at] for at in sorted(chosen)]


def receipt(user: User, approvals: Iterable[Approval]) -> str:
    """A signed field: the samples of these approvals, as they stand now, were shown to this person."""
    return signing.dumps([str(user.pk), *(_name(each.pk, each.version) for each in approvals)], salt=READ, compress=True)


def were_read(token: str, user: User, wanted: Collection[tuple[UUID | str, int]]) -> bool:
    """Whether ``token`` is a receipt of this person for all of ``wanted`` (approval and version). Few need none."""
    if len(wanted) <= MANY:
        return True
    try:
        owner, *names = signing.loads(token, salt=READ)
    except (signing.BadSignature, ValueError, TypeError):
        return False
    return bool(owner == str(user.pk) and {_name(*each) for each in wanted} <= set(names))


def _name(key: UUID | str, version: int) -> str:
    return f"{key}:{version}"


def _stands_out(line: Line) -> int:
    """How many of its values differ from the others or from what was approved before."""
    return sum(2 if cell.unusual else 1 for cell in line.cells if cell.unusual or cell.differs)
