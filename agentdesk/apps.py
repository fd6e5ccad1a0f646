from django.apps import AppConfig


class AgentDeskConfig(AppConfig):
    name = "agentdesk"

    def ready(self) -> None:
        from agentdesk import checks  # noqa: F401 - registers the system checks
