from django.apps import AppConfig


class PeopleConfig(AppConfig):
    name = "agentdesk.people"
    label = "people"

    def ready(self) -> None:
        from agentdesk.people import receivers  # noqa: F401 - registers them
