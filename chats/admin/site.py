"""The admin site as a whole."""

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import Http404
from django.urls import reverse_lazy
from django.views.decorators.common import no_append_slash

from chats.admin.activity.pages import activity_for
from chats.services.sign_in import confirm_password
from chats.services.users import change_password
from chats.web.addresses import client_network
from chats.web.exceptions import ChatError, TooManyAttempts

admin.site.site_header = "Messaging administration"
admin.site.site_title = "Messaging"
admin.site.index_title = "People, conversations, messages"


class SignInForm(AdminAuthenticationForm):
    """The admin's sign-in form, which shows TooManyAttempts as an error."""

    def clean(self):
        try:
            return super().clean()
        except TooManyAttempts as refusal:
            raise ValidationError(refusal.message, code=refusal.code) from refusal


class OwnPasswordForm(AdminPasswordChangeForm):
    """The form for one's own password, with the same consequences as in the API.

    Tokens and other sessions end. Checking the old password counts as a sign-in
    attempt.
    """

    def __init__(self, *args, network: str = "", **kwargs):
        super().__init__(*args, **kwargs)
        self.network = network

    def clean_old_password(self):
        password = self.cleaned_data["old_password"]
        try:
            confirm_password(self.user, password, self.network, field="old_password")
        except ChatError as refusal:
            raise ValidationError(refusal.message, code=refusal.code) from refusal
        return password

    def save(self, commit=True):
        change_password(self.user, self.cleaned_data["new_password1"], actor=self.user)
        return self.user


class OwnPasswordView(PasswordChangeView):
    """Django's page for one's own password, with ``OwnPasswordForm``."""

    form_class = OwnPasswordForm
    success_url = reverse_lazy("admin:password_change_done")

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"network": client_network(self.request)}


def change_own_password(request, extra_context=None):
    """Answer ``admin:password_change`` as Django does, but by ``OwnPasswordView``."""
    request.current_app = admin.site.name
    context = {**admin.site.each_context(request), **(extra_context or {})}
    return OwnPasswordView.as_view(extra_context=context)(request)


def index(request, extra_context=None):
    """Answer ``admin:index`` as Django does, with figures and charts in addition."""
    shown = {"activity": activity_for(request.user), **(extra_context or {})}
    return AdminSite.index(admin.site, request, shown)


def catch_all_view(request, url):
    """Answer an unknown path as Django does, but append slashes only for reads."""
    if request.method not in {"GET", "HEAD"}:
        raise Http404
    return AdminSite.catch_all_view(admin.site, request, url)


admin.site.login_form = SignInForm
admin.site.index = index
admin.site.catch_all_view = no_append_slash(catch_all_view)
admin.site.index_template = "admin/chats/index.html"
# Before Django 6.0 there is no AdminSite.password_change_form to set.
admin.site.password_change = change_own_password
