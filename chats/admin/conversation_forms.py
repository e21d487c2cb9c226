"""Forms of the conversation pages."""

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError

from chats.admin.base import AllowsUnchangedText
from chats.admin.widgets import PeoplePicker
from chats.models import Conversation, User


class AddConversationForm(forms.ModelForm):
    """A new conversation, as if its owner had started it."""

    people = forms.ModelMultipleChoiceField(
        label="Other participants",
        queryset=User.objects.active(),
        required=False,
        widget=PeoplePicker(Conversation._meta.get_field("participants"), admin.site),
        error_messages={"invalid_choice": "%(value)s does not exist or is not active."},
    )

    class Meta:
        model = Conversation
        fields = ("title", "owner")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        owner = self.fields["owner"]
        owner.required, owner.help_text = True, ""
        owner.queryset = User.objects.active()
        owner.error_messages["invalid_choice"] = "This user is unknown or inactive."

    def clean_people(self):
        people = self.cleaned_data["people"]
        if len(people) >= settings.MAX_PARTICIPANTS:
            raise ValidationError(
                "A conversation has at most %(most)s participants.",
                params={"most": settings.MAX_PARTICIPANTS},
                code="full",
            )
        return people


class EditConversationForm(AllowsUnchangedText, forms.ModelForm):
    """The title and the owner, who must be a participant."""

    class Meta:
        model = Conversation
        fields = ("title", "owner")

    def clean_owner(self):
        owner = self.cleaned_data["owner"]
        participations = self.instance.participations
        if owner is None and participations.exists():
            raise ValidationError("A conversation with participants needs an owner.")
        if owner and not participations.filter(user=owner).exists():
            raise ValidationError(
                "The owner must be a participant: add them first.",
                code="not_participant",
            )
        return owner
