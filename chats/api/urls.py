"""The API's routes, below ``/api/``."""

from django.urls import include, path
from rest_framework.routers import DefaultRouter

from chats.api.views import auth
from chats.api.views.conversations import ConversationViewSet
from chats.api.views.events import EventsView
from chats.api.views.export import ExportView
from chats.api.views.messages import MessageViewSet
from chats.api.views.schema import DocsView, SchemaView
from chats.api.views.sessions import SessionViewSet
from chats.api.views.users import MeViewSet, UserViewSet

router = DefaultRouter()
router.include_format_suffixes = False
router.register("messages", MessageViewSet)  # the most requested ones first
router.register("conversations", ConversationViewSet)
router.register("users", UserViewSet)
router.register("auth/tokens", auth.TokenViewSet)
router.register("auth/sessions", SessionViewSet)

auth_urls = [
    path("login/", auth.LoginView.as_view(), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("password/change/", auth.PasswordChangeView.as_view(), name="password-change"),
    path("password/reset/", auth.PasswordResetView.as_view(), name="password-reset"),
    path(
        "password/reset/confirm/",
        auth.PasswordResetConfirmView.as_view(),
        name="password-reset-confirm",
    ),
]

MINE = {
    "get": "retrieve",
    "put": "update",
    "patch": "partial_update",
    "delete": "destroy",
}

urlpatterns = [
    path("", include(router.urls)),
    path("users/me/", MeViewSet.as_view(MINE, detail=True), name="user-me"),
    path("events/", EventsView.as_view(), name="events"),
    path("users/me/export/", ExportView.as_view(), name="export"),
    path("auth/", include(auth_urls)),
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", DocsView.as_view(), name="docs"),
]
