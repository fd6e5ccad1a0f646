"""Addresses of the approvals' pages and fragments."""

from django.urls import path

from approvals.web import batch, beside, comments, held, meaning, previewing, saved, standing, triaging, views, whole, working

app_name = "approvals"
urlpatterns = [
    path("", views.inbox),
    path("approvals/", views.inbox, name="inbox"),
    path("approvals/rows/", views.rows, name="rows"),
    path("approvals/count/", views.count, name="count"),
    path("approvals/tabs/", views.tabs, name="tabs"),
    path("approvals/batch/", batch.batch, name="batch"),
    path("approvals/searches/", saved.save, name="save_search"),
    path("approvals/searches/<uuid:view_id>/forget/", saved.forget, name="forget_search"),
    path("approvals/<uuid:approval_id>/", views.detail, name="detail"),
    path("approvals/<uuid:approval_id>/card/", views.card, name="card"),
    path("approvals/<uuid:approval_id>/preview/", triaging.preview, name="preview"),
    path("approvals/<uuid:approval_id>/triage/", triaging.part, name="triage"),
    path("approvals/<uuid:approval_id>/triage/act/", triaging.act, name="triage_act"),
    path("approvals/<uuid:approval_id>/would/", previewing.shown, name="preview_of"),
    path("approvals/<uuid:approval_id>/would/ask/", previewing.ask, name="ask_preview"),
    path("approvals/<uuid:approval_id>/comments/", comments.listed, name="comments"),
    path("approvals/<uuid:approval_id>/comments/add/", comments.add, name="comment"),
    path("approvals/<uuid:approval_id>/panel/", views.panel, name="panel"),
    path("approvals/<uuid:approval_id>/revealed/", views.reveal, name="reveal"),
    path("approvals/<uuid:approval_id>/regret/", beside.regret, name="regret"),
    path("approvals/<uuid:approval_id>/stop/", beside.stop, name="stop"),
    path("approvals/<uuid:approval_id>/whole/<slug:of>/", whole.whole, name="whole"),
    path("approvals/<uuid:approval_id>/meaning/", meaning.meaning, name="meaning"),
    path("approvals/<uuid:approval_id>/exact/", views.exact, name="exact"),
    path("teams/<slug:slug>/", working.team, name="team"),
    path("profile/pace/", working.pace, name="pace"),
    path("approvals/standing/", standing.listing, name="standing"),
    path("approvals/standing/<uuid:standing_id>/revoke/", standing.revoke, name="revoke_standing"),
    path("approvals/standing/<uuid:standing_id>/take/", standing.take_over, name="take_standing"),
    path("approvals/<uuid:approval_id>/standing/", standing.make, name="make_standing"),
    path("approvals/held/", held.held, name="held"),
    path("approvals/<uuid:approval_id>/recall/", held.recall, name="recall"),
    path("approvals/<uuid:approval_id>/decision/", views.decide, name="decide"),
]
