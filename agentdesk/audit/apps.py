from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "agentdesk.audit"
    label = "audit"

    def ready(self) -> None:
        from agentdesk.audit import receivers  # noqa: F401 - registers them
