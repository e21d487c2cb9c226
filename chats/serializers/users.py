"""Users."""

from rest_framework import serializers

from chats.models import User
from chats.serializers import examples, rows
from chats.serializers.examples import shown_as

PUBLIC_FIELDS = (
    "user_id",
    "username",
    "first_name",
    "last_name",
    "role",
    "is_online",
    "last_seen_at",
)


PRIVATE_FIELDS = ("email", "phone_number", "created_at", "updated_at")


@shown_as(examples.PUBLIC_USER)
class PublicUserSerializer(serializers.ModelSerializer):
    """The public fields of a user, for everyone who is signed in."""

    is_online = serializers.BooleanField(read_only=True)

    class Meta:
        model = User
        fields = PUBLIC_FIELDS
        read_only_fields = PUBLIC_FIELDS


@shown_as(examples.USER)
class UserSerializer(PublicUserSerializer):
    """A user; only that user and admins see the private fields."""

    class Meta(PublicUserSerializer.Meta):
        fields = (*PUBLIC_FIELDS, *PRIVATE_FIELDS)
        read_only_fields = fields

    def to_representation(self, instance: User) -> dict:
        viewer = self.context["request"].user
        row = rows.row_of(instance, rows.USER)
        is_private_to = viewer.pk == instance.pk or (
            viewer.is_authenticated and viewer.is_role_admin
        )
        return rows.private_user(row) if is_private_to else rows.public_user(row)
