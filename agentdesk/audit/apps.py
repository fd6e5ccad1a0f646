from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "agentdesk.audit"
    label = "audit"
