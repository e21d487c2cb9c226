"""Changes to an account that affect more than its row."""

import secrets
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from chats.models import (
    AccessToken,
    AuditEntry,
    Conversation,
    Participant,
    StartedConversation,
    User,
)
from chats.models.text.identifiers import SystemName
from chats.models.users import POWERS
from chats.services.audit import record
from chats.services.conversations import end_participations
from chats.services.sessions import end_everything
from chats.web.exceptions import ChatError, Conflict, NotFound, SignedOut

Action = AuditEntry.Action


def register_user(*, password: str, actor: User | None = None, **fields: Any) -> User:
    """Create an account; one with powers is recorded as an action of ``actor``.

    Raises ChatError on a username or e-mail that was just taken.
    """
    hashed = make_password(password)  # slow, so before any lock
    try:
        with transaction.atomic():
            user = User.objects.model(
                username=User.normalize_username(fields.pop("username")),
                email=User.objects.normalize_email(fields.pop("email")),
                password=hashed,
                **fields,
            )
            user.save(force_insert=True)
            if user.is_role_admin:
                record_created(user, actor=actor)
            return user
    except IntegrityError as error:
        raise _taken(error) from error


def record_created(user: User, *, actor: User | None) -> None:
    """Record an account that somebody else created, or that is created with powers."""
    record(Action.USER_CREATED, user, actor=actor, details=user.describe_powers())


def update_user(user: User, changes: dict[str, Any], *, actor: User) -> User:
    """Change these fields of the account, and no others.

    Under the row's lock. Raises Conflict if the account has been deleted; SignedOut if
    actors change their own e-mail, and their password is no longer the one that they
    have proved; and ChatError on an e-mail that was just taken.
    """
    try:
        with transaction.atomic():
            user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
            if user.deleted_at is not None:
                raise Conflict("This account has been deleted.")
            before = {field: getattr(user, field) for field in changes}
            is_own = actor.pk == user.pk and "email" in changes
            if is_own and actor.password != user.password:
                raise SignedOut("Sign in again.")
            for field, value in changes.items():
                setattr(user, field, value)
            user.save(update_fields=[*changes, "updated_at"])
            _record_changes(user, before, changes, actor)
    except IntegrityError as error:
        raise _taken(error) from error
    return user


def _record_changes(user: User, before: dict, after: dict, actor: User) -> None:
    """Record changes of powers and of the e-mail, and all changes made by others."""
    changed = sorted(field for field in after if before[field] != after[field])
    powers = [field for field in changed if field in POWERS]
    if powers:
        steps = (f"{field}: {before[field]} to {after[field]}" for field in powers)
        details = ", ".join(steps)
        record(Action.USER_POWERS_CHANGED, user, actor=actor, details=details)
    rest = [field for field in changed if field not in POWERS]
    if rest and (actor.pk != user.pk or "email" in rest):
        record(Action.USER_CHANGED, user, actor=actor, details=", ".join(rest))


def _taken(error: IntegrityError) -> Exception:
    """Return the ChatError for a unique constraint; other errors unchanged.

    The first line names the constraint; on PostgreSQL, later lines quote the value.
    """
    constraint = str(error).partition("\n")[0]
    for field, label in (("email", "e-mail"), ("username", "username")):
        if field in constraint:
            message = f"A user with that {label} already exists."
            return ChatError(message, field=field, code="unique")
    return error


def change_password(
    user: User, new_password: str | None, *, actor: User | None
) -> None:
    """Set the password and end every session and token of the user.

    ``actor`` is None for the operator at the command line. A view that keeps its own
    session calls ``update_session_auth_hash``. Raises NotFound if the user has been
    deleted meanwhile; SignedOut if users change their own password, and it is no longer
    the one that they have proved.
    """
    proven = user.password
    user.set_password(new_password)  # slow, so before any lock
    with transaction.atomic():
        row = _lock(user).filter(deleted_at=None).values_list("password", flat=True)
        present = row.first()
        if present is None:
            raise NotFound
        if actor and actor.pk == user.pk and present != proven:
            raise SignedOut("Sign in again.")
        user.save(update_fields=["password", "updated_at"])
        end_everything(user)
        record(Action.PASSWORD_CHANGED, user, actor=actor)


@transaction.atomic
def issue_token(
    user: User, *, name: str, expires_at: datetime | None
) -> tuple[AccessToken, str]:
    """Create an access token; return it with its secret, which is not stored.

    Under the user's lock. Raises SignedOut if the password was changed, or the user
    deactivated, since ``user`` was read: the token would survive what ends all tokens.
    Raises ChatError if there are already MAX_TOKENS_PER_USER.
    """
    unchanged = _lock(user).filter(
        password=user.password, sessions_ended_at=user.sessions_ended_at, is_active=True
    )
    if not unchanged.exists():
        raise SignedOut("Sign in again.")
    if user.access_tokens.valid().count() >= settings.MAX_TOKENS_PER_USER:
        most = settings.MAX_TOKENS_PER_USER
        text = f"You can have at most {most} tokens. Revoke one first."
        raise ChatError(text, code="too_many_tokens")
    token, secret = AccessToken.objects.issue(user, name, expires_at)
    record(Action.TOKEN_CREATED, user, actor=user, details=str(token))
    return token, secret


@transaction.atomic
def revoke_token(token: AccessToken, *, actor: User) -> None:
    """Revoke an access token; to do so again is harmless."""
    if AccessToken.objects.filter(pk=token.pk).delete()[0]:
        record(
            Action.TOKEN_REVOKED,
            actor=actor,
            user_id=token.user_id,
            details=str(token),
        )


def _lock(user: User) -> QuerySet[User]:
    """Lock the user's row until the commit; return a queryset of it."""
    row = User.objects.filter(pk=user.pk)
    list(row.select_for_update(no_key=True).values_list("pk"))
    return row


@transaction.atomic
def deactivate_user(user: User, *, actor: User) -> None:
    """Refuse sign-in from now on, and end all sessions, tokens and streams.

    Participations stay, in case the user is reactivated.
    """
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    user.is_active = False
    user.sessions_ended_at = timezone.now()
    user.save(update_fields=["is_active", "sessions_ended_at", "updated_at"])
    end_everything(user)
    record(Action.USER_SUSPENDED, user, actor=actor)


@transaction.atomic
def reactivate_user(user: User, *, actor: User) -> bool:
    """Allow sign-in again; return False for a deleted user, who stays deleted."""
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if user.deleted_at is None:
        user.is_active = True
        user.save(update_fields=["is_active", "updated_at"])
        record(Action.USER_REACTIVATED, user, actor=actor)
    return user.is_active


@transaction.atomic
def delete_user(user: User, *, actor: User) -> None:
    """Remove the user from every conversation and anonymise the row.

    Ownership is passed on; messages stay, from "Deleted user". The user's row is locked
    first, so nobody can add them anywhere meanwhile. To delete a user again is
    harmless. Raises SignedOut if users delete themselves, and their password is no
    longer the one that they have proved.
    """
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if user.deleted_at is not None:
        return
    if actor.pk == user.pk and actor.password != user.password:
        raise SignedOut("Sign in again.")
    participations = Participant.objects.filter(user=user)
    conversations = list(
        Conversation.objects.filter(pk__in=participations.values("conversation_id"))
        .order_by("pk")
        .select_for_update(no_key=True)
    )
    _anonymise(user)
    record(Action.USER_DELETED, user, actor=actor)
    # Read under the locks: a removal may have been committed before them.
    rows = participations.filter(conversation__in=conversations)
    still_in = set(rows.values_list("conversation_id", flat=True))
    end_participations(
        rows, [item for item in conversations if item.pk in still_in], actor=actor
    )


def _anonymise(user: User) -> None:
    now = timezone.now()
    user.first_name, user.last_name = "Deleted", "user"
    user.phone_number = user.last_seen_at = user.last_login = None
    user.role = User.Role.GUEST
    user.is_active = user.is_staff = user.is_superuser = False
    user.deleted_at = user.sessions_ended_at = now
    user.set_unusable_password()
    _save_as_deleted(user)
    user.groups.clear()
    user.user_permissions.clear()
    end_everything(user)
    StartedConversation.objects.filter(user=user).delete()
    # The admin's log has the names of those it is about.
    LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk)
    ).update(object_repr="Deleted user")


def _save_as_deleted(user: User) -> None:
    """Save the row under reserved names, even if somebody has the usual ones.

    A deletion must not fail because of a row that is older than the reservation, or
    that was not written by the application.
    """
    user.username, user.email = SystemName.DELETED.of(user.pk)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        suffix = secrets.token_hex(4)
        user.username, user.email = SystemName.DELETED.of(user.pk, suffix)
        user.save()
