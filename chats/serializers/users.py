"""Users."""

from rest_framework import serializers

from chats.models import User
from chats.models.users import is_online
from chats.serializers import examples
from chats.serializers.examples import shown_as
from chats.serializers.rows import Row, RowSerializer


@shown_as(examples.PUBLIC_USER)
class PublicUserSerializer(RowSerializer):
    """The public fields of a user, for everyone who is signed in."""

    is_online = serializers.BooleanField(read_only=True)

    class Meta(RowSerializer.Meta):
        model = User
        fields = (
            "user_id",
            "username",
            "first_name",
            "last_name",
            "role",
            "is_online",
            "last_seen_at",
        )
        read_only_fields = fields
        computed = {"is_online": (is_online, "last_seen_at")}
        once_by = "username"  # unique like the id, and much faster to hash


class PrivateUserSerializer(PublicUserSerializer):
    """A user with the private fields, for that user and for role-admins."""

    class Meta(PublicUserSerializer.Meta):
        fields = (
            *PublicUserSerializer.Meta.fields,
            "email",
            "phone_number",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


@shown_as(examples.USER)
class UserSerializer(PrivateUserSerializer):
    """A user; only that user and admins see the private fields."""

    class Meta(PrivateUserSerializer.Meta):
        list_serializer_class = serializers.ListSerializer  # the fields differ by row

    def to_representation(self, instance: User) -> Row:
        viewer = self.context["request"].user
        is_private_to = viewer.pk == instance.pk or (
            viewer.is_authenticated and viewer.is_role_admin
        )
        shown = PrivateUserSerializer if is_private_to else PublicUserSerializer
        return shown().to_representation(instance)
