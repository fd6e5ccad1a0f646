from django.apps import AppConfig


class NoticesConfig(AppConfig):
    name = "agentdesk.notices"
    label = "notices"
    verbose_name = "Notifications"
