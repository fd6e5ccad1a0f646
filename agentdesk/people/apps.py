from django.apps import AppConfig


class PeopleConfig(AppConfig):
    name = "agentdesk.people"
    label = "people"
