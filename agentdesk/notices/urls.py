from django.urls import path

from agentdesk.notices import views

app_name = "notices"
urlpatterns = [path("", views.rules, name="rules")]
