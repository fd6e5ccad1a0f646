from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class AgentDeskConfig(AppConfig):
    name = "agentdesk"

    def ready(self) -> None:
        from agentdesk import checks  # noqa: F401 - registers the system checks


class DeskAdminConfig(AdminConfig):
    default_site = "agentdesk.admin_site.DeskAdminSite"
