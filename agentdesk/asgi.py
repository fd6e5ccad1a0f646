"""The web process: static files, Django's pages, and the WebSocket of live pages."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentdesk.settings")

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

pages = get_asgi_application()

# These need Django set up. Without our Celery application a task would be sent to a default broker.
import agentdesk.celery  # noqa: E402, F401
from agentdesk.live.consumer import LiveConsumer  # noqa: E402
from agentdesk.static_files import StaticFiles  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": StaticFiles(pages),
        "websocket": URLRouter([path("ws/live/", LiveConsumer.as_asgi())]),
    }
)
