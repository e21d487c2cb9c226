"""The API's routes, below ``/api/``."""

from django.urls import include, path
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.routers import DefaultRouter

from chats.views import auth
from chats.views.conversations import ConversationViewSet
from chats.views.events import EventsView
from chats.views.export import ExportView
from chats.views.messages import MessageViewSet
from chats.views.schema import SchemaView
from chats.views.sessions import SessionViewSet
from chats.views.users import UserViewSet

router = DefaultRouter()
router.include_format_suffixes = False
router.register("messages", MessageViewSet)  # first what is asked for most
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

urlpatterns = [
    path("", include(router.urls)),
    path("events/", EventsView.as_view(), name="events"),
    path("users/me/export/", ExportView.as_view(), name="export"),
    path("auth/", include(auth_urls)),
    path("schema/", SchemaView.as_view(), name="schema"),
    path(
        "docs/", SpectacularSwaggerSplitView.as_view(metadata_class=None), name="docs"
    ),
]
