from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ApprovalsConfig(AppConfig):
    name = "approvals"
    verbose_name = _("Approvals")

    def ready(self) -> None:
        from approvals import notices, receivers  # noqa: F401 - registers them
        from approvals.web import fragments

        fragments.register()
        notices.register()
