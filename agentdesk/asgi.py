"""The web process: static files, Django's pages, and the WebSocket of live pages."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentdesk.settings")

import django

django.setup()

# These need Django set up. Without our Celery application a task would be sent to a default broker.
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import path  # noqa: E402

import agentdesk.celery  # noqa: E402, F401
from agentdesk.checks import refuse_insecure  # noqa: E402
from agentdesk.live.consumer import LiveConsumer  # noqa: E402
from agentdesk.pages import PagesHandler  # noqa: E402
from agentdesk.static_files import StaticFiles  # noqa: E402

refuse_insecure()  # a server imports this module without running Django's checks

application = ProtocolTypeRouter(
    {
        "http": StaticFiles(PagesHandler(settings.PAGE_THREADS)),
        "websocket": URLRouter([path("ws/live/", LiveConsumer.as_asgi())]),
    }
)
