from django.urls import path

from runs.web import steering, undoing, views

app_name = "runs"
urlpatterns = [
    path("runs/", views.runs, name="list"),
    path("runs/start/", views.start, name="start"),
    path("runs/<uuid:run_id>/", views.detail, name="detail"),
    path("runs/<uuid:run_id>/story/", views.story, name="story"),
    path("runs/<uuid:run_id>/timeline/", views.drawn, name="timeline"),
    path("runs/<uuid:run_id>/panel/", views.panel, name="panel"),
    path("runs/<uuid:run_id>/calls/<uuid:call_id>/undo/", undoing.undo_call, name="undo"),
    path("runs/<uuid:run_id>/cancel/", views.cancel, name="cancel"),
    path("runs/<uuid:run_id>/continue/", views.go_on, name="continue"),
    path("runs/<uuid:run_id>/revealed/", views.reveal, name="reveal"),
    path("runs/<uuid:run_id>/reask/", views.reask, name="reask"),
    path("runs/<uuid:run_id>/checkpoints/", steering.checkpoints, name="checkpoints"),
    path("runs/<uuid:run_id>/fork/", steering.fork, name="fork"),
    path("runs/<uuid:run_id>/input/", steering.give_input, name="input"),
    path("agents/", views.agents, name="agents"),
]
