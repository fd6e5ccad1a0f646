"""The names of models and their fields, as Django admin and forms show them: Django makes them of the names in the code.

They are translated here, all at once, rather than at each of hundreds of fields.
"""

from django.apps import apps
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_noop as _

OURS = frozenset({"agentdesk", "approvals", "runs"})

# What Django makes, so that translators find it.
NAMES = (
    _("absence"), _("accepted at"), _("accepted by label"), _("accepted description"), _("accepted schema"),
    _("accepted schema version"), _("action"), _("active"), _("active seconds"), _("adapter"), _("agent"),
    _("agent version"), _("agents"), _("allowed"), _("alternatives"), _("announcement"), _("answer"),
    _("answer schema"), _("approval"), _("approvals"), _("approved args"), _("approved digest"), _("args"),
    _("args schema"), _("asked args"), _("at"), _("attempt"), _("author"), _("because"), _("begun at"), _("budget"),
    _("cached price"), _("call id"), _("cancel requested at"), _("cancel requested by"), _("changed at"),
    _("claimed by"), _("closed at"), _("code version"), _("conditions"), _("config"), _("consumed at"), _("context"),
    _("cost"), _("count"), _("counted"), _("counters"), _("created at"), _("currency"), _("data"), _("decided at"),
    _("decided by"), _("decided by label"), _("decision"), _("decisions"), _("delivered at"), _("delivery"),
    _("description"), _("digest"), _("dispatched at"), _("doubt"), _("dry run"), _("effect"), _("effects"), _("egress"),
    _("enabled"), _("ended at"), _("erased at"), _("error"), _("escalate to"), _("escalated at"), _("evaluation"),
    _("evaluations"), _("events"), _("evidence"), _("executed args"), _("executed digest"), _("expires after"),
    _("expires at"), _("expression"), _("facts"), _("failed tries"), _("finished at"), _("first seen at"), _("follows"),
    _("former nonce"), _("former until"), _("graph"), _("held at"), _("hint"), _("hold seconds"), _("id"),
    _("idempotent"), _("input"), _("input price"), _("input schema"), _("key"), _("keys"), _("kind"), _("labels from"),
    _("language"), _("last used at"), _("limits"), _("load error"), _("loaded at"), _("made at"), _("made by"),
    _("made from"), _("manifest"), _("members"), _("membership"), _("memberships"), _("message"), _("message id"),
    _("minimum risk"), _("mode"), _("model"), _("name"), _("namespace"), _("next at"), _("next input"),
    _("next input at"), _("node"), _("nonce"), _("note"), _("occasion"), _("offered at"), _("offered by label"),
    _("offered to"), _("opens next"), _("output"), _("output price"), _("own nodes"), _("owner"), _("parent"),
    _("parent checkpoint"), _("parent key"), _("partial answers"), _("payload"), _("pinned answer"),
    _("pinned answers"), _("policy version"), _("policy versions"), _("priority"), _("proposed at"), _("provider"),
    _("pruned at"), _("reason"), _("reject reasons"), _("release at"), _("remind after"), _("remind at"),
    _("reminded at"), _("renew at"), _("reopened because"), _("request key"), _("requested at"), _("requester"),
    _("requester label"), _("requirements"), _("response schema"), _("result"), _("retries"), _("review"),
    _("reviewer"), _("reviewer teams"), _("reviews"), _("revision"), _("revoked at"), _("revoked because"),
    _("revoked by label"), _("risk"), _("role"), _("rule"), _("rules"), _("run"), _("runs"), _("schema"),
    _("schema version"), _("scope"), _("second factor"), _("seconds open"), _("self approval"), _("session round"),
    _("slug"), _("source"), _("source ref"), _("spent"), _("standing approval"), _("standing approvals"),
    _("started at"), _("state"), _("status"), _("step"), _("steps"), _("stop reason"), _("subject"), _("subscription"),
    _("subscriptions"), _("taken from"), _("team"), _("teams"), _("template version"), _("theme"), _("thread id"),
    _("time zone"), _("timeout seconds"), _("title"), _("token"), _("tokens"), _("tool"), _("tool call"),
    _("tool calls"), _("tools"), _("traceback"), _("traceparent"), _("tries"), _("undoes"), _("updated at"), _("user"),
    _("uses"), _("uses keys"), _("valid from"), _("verdict"), _("version"), _("via"), _("view digest"),
    _("void reason"), _("voided at"), _("wanted"),
)  # fmt: skip


def translate() -> None:
    """Let the names that Django made of the code be looked up in the reader's language. What is named in the model itself
    stays, and migrations see none of it."""
    for model in apps.get_models():
        if model.__module__.partition(".")[0] not in OURS:
            continue
        options = model._meta
        if "verbose_name" not in options.original_attrs:
            name, plural = str(options.verbose_name), str(options.verbose_name_plural)
            options.verbose_name = gettext_lazy(name)
            if "verbose_name_plural" not in options.original_attrs:
                options.verbose_name_plural = gettext_lazy(plural)
        for field in (*options.local_fields, *options.local_many_to_many):
            if field._verbose_name is None:  # type: ignore[attr-defined]  # what the model itself names; the stubs leave it out
                field.verbose_name = gettext_lazy(str(field.verbose_name))
