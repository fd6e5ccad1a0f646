from django.urls import path

from agentdesk.audit import views

app_name = "audit"
urlpatterns = [
    path("", views.listing, name="list"),
    path("<int:entry_id>/", views.listing, name="entry"),
]
