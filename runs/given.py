"""What a graph is given beside its input: LangGraph's config and context, from its agent and from whoever starts a run."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from agentdesk.figures import figure
from runs.errors import InputTooLarge, InvalidInput
from runs.models import Run

PARTS = ("configurable", "tags", "metadata")
# The desk's own to set: with these, a run would reach another thread, pass for another person, or for another graph.
RESERVED = frozenset(
    {
        *("thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map", "run_id", "idempotency_key"),
        *("graph_id", "assistant_id", "user_id", "langgraph_auth_user", "langgraph_auth_user_id"),
    }
)


def check(config: Any, context: Any) -> None:
    """Raises InvalidInput for what is no ``{"configurable": {…}, "tags": […], "metadata": {…}}``, or no mapping as context;
    InputTooLarge."""
    if not isinstance(config, dict) or not isinstance(context, dict):
        raise InvalidInput(_("Config and context are JSON objects."))
    if unknown := sorted(set(config) - set(PARTS)):
        raise InvalidInput(
            _("A config has %(known)s; not %(others)s.") % {"known": ", ".join(PARTS), "others": ", ".join(unknown)}
        )
    configurable, tags, metadata = config.get("configurable", {}), config.get("tags", []), config.get("metadata", {})
    if not isinstance(configurable, dict) or not isinstance(metadata, dict):
        raise InvalidInput(_("configurable and metadata are JSON objects."))
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidInput(_("tags is a list of texts."))
    if taken := sorted(key for key in configurable if key in RESERVED or key.startswith("__")):
        raise InvalidInput(_("The desk itself sets %(names)s.") % {"names": ", ".join(taken)})
    if len(json.dumps([config, context])) > settings.INPUT_MAX_BYTES:
        told = _("Config and context have more than %(most)s bytes.")
        raise InputTooLarge(told % {"most": figure(settings.INPUT_MAX_BYTES)})


def config_of(run: Run) -> dict[str, Any]:
    """The agent's config with the run's own over it, and what LangGraph's server tells a graph about itself and its user."""
    agent, own = run.agent.config, run.config
    return {
        "configurable": {
            **agent.get("configurable", {}), **own.get("configurable", {}), **_of_the_desk(run),
        },
        "tags": [*agent.get("tags", []), *own.get("tags", [])],
        "metadata": {**agent.get("metadata", {}), **own.get("metadata", {})},
    }  # fmt: skip


def context_of(run: Run) -> dict[str, Any]:
    """The agent's values for its graph's context with the run's own over them."""
    return {**run.agent.context, **run.context}


@dataclass(frozen=True, slots=True)
class Requester:
    """Who started the run, as LangGraph's server tells a graph (langgraph_sdk.auth.types.BaseUser)."""

    identity: str
    display_name: str
    is_authenticated: bool = True
    permissions: tuple[str, ...] = ()

    def __getitem__(self, key: str) -> Any:
        return asdict(self)[key]

    def __contains__(self, key: str) -> bool:
        return key in asdict(self)

    def __iter__(self) -> Iterator[str]:
        return iter(asdict(self))


def user_of(run: Run) -> Requester | None:
    """Who started the run. None for one that no person and no service account stands behind."""
    return Requester(str(run.requester_id), run.requester_label) if run.requester_id else None


def _of_the_desk(run: Run) -> dict[str, Any]:
    user = str(run.requester_id or "")
    return {
        "graph_id": run.agent.slug, "assistant_id": str(run.agent_id), "thread_id": run.thread_id,
        "user_id": user, "langgraph_auth_user_id": user, "langgraph_auth_user": user_of(run),
    }  # fmt: skip
