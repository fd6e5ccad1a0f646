from django.urls import path

from agentdesk.people import absence_views, views

app_name = "people"
urlpatterns = [
    path("", views.profile, name="profile"),
    path("absence/", absence_views.absences, name="absence"),
    path("absence/<uuid:absence_id>/end/", absence_views.end, name="end_absence"),
    path("confirmed/", views.confirmed, name="confirmed"),
    path("theme/", views.theme, name="theme"),
    path("keys/", views.keys, name="keys"),
    path("keys/switches/", views.key_switches, name="key_switches"),
    path("sign-out-others/", views.sign_out_others, name="sign_out_others"),
    path("sessions/<int:session_id>/end/", views.sign_out_there, name="sign_out_there"),
    path("tokens/", views.add_token, name="add_token"),
    path("tokens/<uuid:token_id>/revoke/", views.end_token, name="end_token"),
]
