"""Root routes: the web client, the API, the admin, health."""

from django.contrib import admin
from django.urls import include, path

from chats.api.views.client import client_page
from chats.api.views.health import healthz, readyz
from chats.api.views.metrics import metrics_page
from chats.api.views.security_txt import security_txt

urlpatterns = [
    path("", client_page, name="client"),
    path("api/", include("chats.api.urls")),
    path("api-auth/", include("rest_framework.urls")),
    path("admin/", admin.site.urls),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics_page),
    path(".well-known/security.txt", security_txt),
]

handler400 = "chats.api.handlers.bad_request"
handler403 = "chats.api.handlers.forbidden"
handler404 = "chats.api.handlers.not_found"
handler500 = "chats.api.handlers.server_error"
