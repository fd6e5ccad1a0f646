import os

from django.apps import AppConfig

# Before LangGraph is imported: graphs then know their own state types, and checkpoints rebuild no others (CVE-2026-28277).
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"


class RunsConfig(AppConfig):
    name = "runs"

    def ready(self) -> None:
        from approvals import sources
        from runs import notices, receivers, source
        from runs.web import fragments

        receivers.connect()
        fragments.register()
        notices.register()
        sources.register(source.NAME, source.RunSource(), seeks=True)
