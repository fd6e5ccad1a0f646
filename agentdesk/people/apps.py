from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PeopleConfig(AppConfig):
    name = "agentdesk.people"
    label = "people"
    verbose_name = _("People")

    def ready(self) -> None:
        from agentdesk.people import receivers  # noqa: F401 - registers them
