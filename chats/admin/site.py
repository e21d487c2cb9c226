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
    """The admin's sign-in; a refusal after too much guessing is told in the form."""

    def clean(self):
        try:
            return super().clean()
        except TooManyAttempts as refusal:
            raise ValidationError(refusal.message, code=refusal.code) from refusal


class OwnPasswordForm(AdminPasswordChangeForm):
    """One's own new password; tokens and other sessions end, as through the API.

    So is the old one counted as an attempt to sign in.
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
    """Django's page for one's own password, with our form."""

    form_class = OwnPasswordForm
    success_url = reverse_lazy("admin:password_change_done")

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"network": client_network(self.request)}


def change_own_password(request, extra_context=None):
    """Answer ``admin:password_change`` as Django does, but with our form."""
    request.current_app = admin.site.name
    context = {**admin.site.each_context(request), **(extra_context or {})}
    return OwnPasswordView.as_view(extra_context=context)(request)


def index(request, extra_context=None):
    """Answer ``admin:index`` as Django does, with what goes on above the tables."""
    shown = {"activity": activity_for(request.user), **(extra_context or {})}
    return AdminSite.index(admin.site, request, shown)


def catch_all_view(request, url):
    """Answer an unknown path as Django does, but redirect only reads to its slash."""
    if request.method not in {"GET", "HEAD"}:
        raise Http404
    return AdminSite.catch_all_view(admin.site, request, url)


admin.site.login_form = SignInForm
admin.site.index = index
admin.site.catch_all_view = no_append_slash(catch_all_view)
admin.site.index_template = "admin/chats/index.html"
# Only Django 6.0 has a setting for the form alone (AdminSite.password_change_form).
admin.site.password_change = change_own_password
