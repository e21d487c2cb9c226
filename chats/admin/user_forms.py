"""Forms of the user pages."""

from django.contrib.auth.forms import (
    AdminPasswordChangeForm,
    AdminUserCreationForm,
    UserChangeForm,
)

from chats.admin.base import AllowsUnchangedText
from chats.models import User
from chats.services.users import change_password


class AddUserForm(AdminUserCreationForm):
    """A new user: the required fields, and a password."""

    class Meta(AdminUserCreationForm.Meta):
        model = User
        fields = ("username", "email", "first_name", "last_name")


class EditUserForm(AllowsUnchangedText, UserChangeForm):
    """All fields of a user except the password."""

    class Meta(UserChangeForm.Meta):
        model = User
        help_texts = {"is_active": "Change this with an action in the list of users."}


class UserPasswordForm(AdminPasswordChangeForm):
    """A new password, or none; the user's sessions and tokens end."""

    def __init__(self, user, *args, actor, **kwargs):
        super().__init__(user, *args, **kwargs)
        self.actor = actor

    def save(self, commit=True):
        usable = self.cleaned_data["set_usable_password"]
        # None sets an unusable password.
        password = self.cleaned_data["password1"] if usable else None
        change_password(self.user, password, actor=self.actor)
        return self.user
