"""Tables of approvals: tools and rules, policy versions and evaluations, approvals with reviews and decisions."""

from approvals.models.approvals import Approval, Decision, Review
from approvals.models.comments import Comment
from approvals.models.evaluations import Evaluation
from approvals.models.inbox import Claim, Facet, SavedView, Snooze
from approvals.models.previews import Preview
from approvals.models.regrets import Regret
from approvals.models.rules import PolicyVersion, Rule
from approvals.models.standing import StandingApproval, StandingUse
from approvals.models.switches import Halt, Rehearsal
from approvals.models.tools import Breaker, Tool

__all__ = [
    "Approval", "Breaker", "Claim", "Comment", "Decision", "Evaluation", "Facet", "Halt", "PolicyVersion", "Preview",
    "Regret", "Rehearsal", "Review", "Rule", "SavedView", "Snooze", "StandingApproval", "StandingUse", "Tool",
]  # fmt: skip
