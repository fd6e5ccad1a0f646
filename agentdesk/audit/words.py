"""How the record's acts and objects are called on its pages.

Pages make these words of the names in the code (:func:`agentdesk.templatetags.desk.worded`) and look them up in the reader's
language; here they are listed, so that translators find them. What is stored are the names.
"""

from django.utils.translation import gettext_noop as _

ACTS = (
    _("Absence began"), _("Absence cancelled"), _("Absence entered"), _("Agent changed"), _("Agent registered"),
    _("Agent switched off"), _("Agent switched on"), _("Approval assigned"), _("Approval claim lapsed"),
    _("Approval claimed"), _("Approval commented"), _("Approval decided"), _("Approval escalated"),
    _("Approval expired"), _("Approval handed over"), _("Approval modified"), _("Approval preview asked"),
    _("Approval previewed"), _("Approval recalled"), _("Approval refused"), _("Approval regret withdrawn"),
    _("Approval regretted"), _("Approval released"), _("Approval reminded"), _("Approval reopened"),
    _("Approval requested"), _("Approval revealed"), _("Approval reviewed"), _("Approval snoozed"),
    _("Approval superseded"), _("Approval taken over"), _("Approval withdrawn"), _("Approval woken"), _("Call allowed"),
    _("Call answered"), _("Call asked"), _("Call denied"), _("Call executing"), _("Call failed"), _("Call in doubt"),
    _("Call rejected"), _("Call resolved"), _("Call retried"), _("Call simulated"), _("Call succeeded"),
    _("Call tampered"), _("Call undo asked"), _("Call undone"), _("Decision delivered"), _("Decision released"),
    _("Decision unused"), _("Decision voided"), _("Delivery replayed"), _("Desk dry run began"),
    _("Desk dry run ended"), _("Desk switched off"), _("Desk switched on"), _("Login failed"), _("Login succeeded"),
    _("Logout"), _("Membership changed"), _("Policy imported"), _("Policy rolled back"), _("Price added"),
    _("Price changed"), _("Price removed"), _("Rule changed"), _("Rule created"), _("Rule deleted"),
    _("Run cancel requested"), _("Run cancelled"), _("Run claimed"), _("Run continued"), _("Run erased"),
    _("Run failed"), _("Run forked"), _("Run held"), _("Run input"), _("Run lost"), _("Run pruned"), _("Run revealed"),
    _("Run started"), _("Run stopped"), _("Run succeeded"), _("Run waiting"), _("Session ended"), _("Standing made"),
    _("Standing offered"), _("Standing revoked"), _("Standing taken over"), _("Standing used"), _("Subscription added"),
    _("Subscription changed"), _("Subscription secret"), _("Subscription tested"), _("Team changed"),
    _("Token created"), _("Token revoked"), _("Tool accepted"), _("Tool changed"), _("Tool circuit closed"),
    _("Tool circuit opened"), _("Tool registered"), _("Tool switched off"), _("Tool switched on"), _("Tool unknown"),
    _("User changed"),
)  # fmt: skip

OBJECTS = (
    _("Agent"), _("Approval"), _("Call"), _("Delivery"), _("Desk"), _("Policy version"), _("Price"), _("Rule"), _("Run"),
    _("Standing"), _("Subscription"), _("Team"), _("Token"), _("Tool"), _("User"),
)  # fmt: skip
