"""Addresses of the approvals' pages and fragments."""

from django.urls import path

from approvals.web import held, views

app_name = "approvals"
urlpatterns = [
    path("", views.inbox),
    path("approvals/", views.inbox, name="inbox"),
    path("approvals/rows/", views.rows, name="rows"),
    path("approvals/count/", views.count, name="count"),
    path("approvals/<uuid:approval_id>/", views.detail, name="detail"),
    path("approvals/<uuid:approval_id>/card/", views.card, name="card"),
    path("approvals/<uuid:approval_id>/panel/", views.panel, name="panel"),
    path("approvals/<uuid:approval_id>/revealed/", views.reveal, name="reveal"),
    path("approvals/<uuid:approval_id>/exact/", views.exact, name="exact"),
    path("approvals/held/", held.held, name="held"),
    path("approvals/<uuid:approval_id>/recall/", held.recall, name="recall"),
    path("approvals/<uuid:approval_id>/decision/", views.decide, name="decide"),
]
