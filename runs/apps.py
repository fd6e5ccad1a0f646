import os

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

# Before LangGraph is imported: graphs then know their own state types, and checkpoints rebuild no others (CVE-2026-28277).
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"


class RunsConfig(AppConfig):
    name = "runs"
    verbose_name = _("Runs")

    def ready(self) -> None:
        from approvals import sources
        from runs import notices, receivers, source
        from runs.web import fragments

        receivers.connect()
        fragments.register()
        notices.register()
        sources.register(source.NAME, source.RunSource(), seeks=True)
