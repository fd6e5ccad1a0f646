from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class AgentDeskConfig(AppConfig):
    name = "agentdesk"

    def ready(self) -> None:
        from agentdesk import checks, faults, names  # noqa: F401 - checks registers the system checks

        names.translate()
        faults.switch_on()


class DeskAdminConfig(AdminConfig):
    default_site = "agentdesk.admin_site.DeskAdminSite"
