"""Who sees and who operates runs."""

from agentdesk.people.models import Role, User
from runs.models import Agent, Run


def may_start(user: User, agent: Agent) -> bool:
    """Operators, reviewers and admins of the agent's team, and its service accounts."""
    return user.is_active and (user.is_superuser or agent.team_id in user.team_ids())


def may_operate(user: User, run: Run) -> bool:
    """Cancel, continue, fork: operators and admins of the run's team, and whoever started it."""
    if not user.is_active:
        return False
    return user.is_superuser or run.requester_id == user.pk or run.team_id in user.team_ids(Role.OPERATOR, Role.ADMIN)


def may_undo(user: User, run: Run) -> bool:
    """Ask for the undo of one of its calls: people of its team. Whether that is done, the gate and other people say."""
    if not user.is_active or user.is_service:
        return False
    return user.is_superuser or run.team_id in user.team_ids()


def may_grant(user: User, run: Run) -> bool:
    """Grant a run more than its limits: people who are operators or admins of its team. Not programs, whose agents would do so
    for themselves."""
    if not user.is_active or user.is_service:
        return False
    return user.is_superuser or run.team_id in user.team_ids(Role.OPERATOR, Role.ADMIN)


def may_erase(user: User, run: Run) -> bool:
    """Erase a run's content: operators and admins of its team."""
    return user.is_active and (user.is_superuser or run.team_id in user.team_ids(Role.OPERATOR, Role.ADMIN))


def may_reveal(user: User, run: Run) -> bool:
    """Open what is masked on a run's page: people who are operators or admins of its team. No program."""
    if not user.is_active or user.is_service:
        return False
    return user.is_superuser or run.team_id in user.team_ids(Role.OPERATOR, Role.ADMIN)


def may_see_traceback(user: User, run: Run) -> bool:
    """Tracebacks may hold anything that the agent's code had in hand: operators and admins only."""
    return user.is_active and (user.is_superuser or run.team_id in user.team_ids(Role.OPERATOR, Role.ADMIN))
