"""Root routes: the web client, the API, the admin, health."""

from django.contrib import admin
from django.urls import include, path

from chats.views.client import client_page
from chats.views.health import healthz, readyz
from chats.views.metrics import metrics_page
from chats.views.security_txt import security_txt

urlpatterns = [
    path("", client_page),
    path("api/", include("chats.urls")),
    path("api-auth/", include("rest_framework.urls")),
    path("admin/", admin.site.urls),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics_page),
    path(".well-known/security.txt", security_txt),
]

handler400 = "chats.handlers.bad_request"
handler403 = "chats.handlers.forbidden"
handler404 = "chats.handlers.not_found"
handler500 = "chats.handlers.server_error"
