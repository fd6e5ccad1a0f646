from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"

    def ready(self) -> None:
        from approvals import notices
        from approvals.web import fragments

        fragments.register()
        notices.register()
