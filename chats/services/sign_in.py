"""Counting sign-in attempts, so that nobody can guess passwords in bulk.

Attempts are counted by the identifier that was typed, never by the account: a counter
that a username and an e-mail address shared would reveal that they belong to one user.
So an account, which has two identifiers, allows twice the guesses.
"""

import hashlib
from datetime import timedelta

from django.contrib.auth.hashers import check_password
from django.db import transaction
from django.utils import timezone

from chats.db.clocks import SKEW
from chats.models import AccessToken, AuditEntry, SignInAttempts, User
from chats.models.text.identifiers import comparable
from chats.services.audit import record
from chats.web.exceptions import ChatError, TooManyAttempts
from chats.web.throttles import limit_password_checks

WINDOW = timedelta(minutes=15)
PER_IDENTIFIER_AND_ADDRESS = 5
PER_IDENTIFIER = 50  # from all addresses where the identifier has not signed in
PER_ADDRESS = 200  # for all identifiers: enough for an office behind one address
REMEMBERED = timedelta(days=30)  # an address from which the identifier signed in


def reserve_attempt(identifier: str, address: str) -> None:
    """Count an attempt before its password is checked; raise TooManyAttempts.

    The attempt is committed first, under a lock on its counter: of any number of
    guesses sent at once, only as many as are allowed are checked. A successful one is
    taken back with ``forgive_attempts``.

    The limit of an identifier does not apply to addresses from which it has signed in
    lately. Otherwise anybody with many hosts could lock the user out.
    """
    _limit_checks(identifier, address)
    limits = _limits(identifier, address)
    with transaction.atomic():
        counters = [_locked_counter(key) for key in sorted(limits)]
        for counter in counters:
            if counter.attempts < limits[counter.key]:
                continue
            is_wide = counter.key == _anywhere(identifier)
            if is_wide and _is_remembered(identifier, address):
                continue
            raise _refusal(counter)
        for counter in counters:
            counter.attempts += 1
            counter.save(update_fields=["attempts", "window_ends_at"])


def _limit_checks(identifier: str, address: str) -> None:
    """Limit the hashes made for an address; raise TooManyAttempts.

    An identifier that has signed in from the address lately has a limit of its own,
    for when others have reached that of the address.
    """
    try:
        limit_password_checks(address)
    except TooManyAttempts:
        if not _is_remembered(identifier, address):
            raise
        limit_password_checks(_key("checks", comparable(identifier), address))


def forgive_attempts(identifier: str, address: str) -> None:
    """Take the attempt back after the right password was given.

    The counter of the identifier from this address starts again. The wider counters
    lose only this attempt: otherwise an attacker could reset them by signing in to an
    account of their own.
    """
    pair, *wider = _limits(identifier, address)
    with transaction.atomic():
        for key in sorted([pair, *wider]):
            counter = _locked_counter(key)
            counter.attempts = 0 if key == pair else max(0, counter.attempts - 1)
            counter.save(update_fields=["attempts", "window_ends_at"])
        _remember(identifier, address)


def start_afresh(user: User, address: str) -> None:
    """Reset the counters of a user who has set a new password by e-mail.

    For both identifiers: earlier attempts were guesses of another password.
    """
    identifiers = (user.username, user.email)
    keys = [_pair(item, address) for item in identifiers]
    keys += [_anywhere(item) for item in identifiers]
    with transaction.atomic():
        for key in sorted(keys):
            counter = _locked_counter(key)
            counter.attempts = 0
            counter.save(update_fields=["attempts", "window_ends_at"])
        for item in identifiers:
            _remember(item, address)


def confirm_password(user: User, password: str, address: str, *, field: str) -> None:
    """Check the password of a user who is signed in, to prove who they are.

    It counts as an attempt to sign in by username. Raises TooManyAttempts, or ChatError
    on ``field`` for a wrong password.
    """
    reserve_attempt(user.username, address)
    # Not the user's own method: it may store a new hash, which ends all sessions.
    if not check_password(password, user.password):
        raise ChatError("Wrong password.", field=field, code="wrong_password")
    forgive_attempts(user.username, address)


@transaction.atomic
def unlock(counter: SignInAttempts, *, actor: User) -> None:
    """Delete the counter of one key, for the staff; to do so again is harmless."""
    if SignInAttempts.objects.filter(key=counter.key).delete()[0]:
        record(AuditEntry.Action.SIGN_IN_UNLOCKED, actor=actor, details=counter.key)


def forget_expired() -> tuple[int, int]:
    """Delete expired tokens and finished windows; return how many of each."""
    now = timezone.now()
    tokens, _ = AccessToken.objects.filter(expires_at__lte=now).delete()
    counters, _ = SignInAttempts.objects.filter(window_ends_at__lte=now).delete()
    return tokens, counters


def _limits(identifier: str, address: str) -> dict[str, int]:
    """Return the counters' keys and limits, that of the pair first."""
    return {
        _pair(identifier, address): PER_IDENTIFIER_AND_ADDRESS,
        _anywhere(identifier): PER_IDENTIFIER,
        _key("address", address): PER_ADDRESS,
    }


def _pair(identifier: str, address: str) -> str:
    return _key("identifier and address", comparable(identifier), address)


def _anywhere(identifier: str) -> str:
    return _key("identifier", comparable(identifier))


def _remember(identifier: str, address: str) -> None:
    """Note that the identifier has signed in from the address."""
    SignInAttempts.objects.update_or_create(
        key=_remembered(identifier, address),
        defaults={"window_ends_at": timezone.now() + REMEMBERED},
    )


def _is_remembered(identifier: str, address: str) -> bool:
    now = timezone.now()
    note = SignInAttempts.objects.filter(key=_remembered(identifier, address))
    possible = (now, now + REMEMBERED + SKEW)
    return note.filter(window_ends_at__range=possible).exists()


def _remembered(identifier: str, address: str) -> str:
    return _key("remembered", comparable(identifier), address)


def _refusal(counter: SignInAttempts) -> TooManyAttempts:
    wait = counter.window_ends_at - timezone.now()
    return TooManyAttempts(
        "Too many failed attempts. Try again later.",
        retry_after=max(1, int(wait.total_seconds()) + 1),
    )


def _key(*parts: str) -> str:
    """Return a key of fixed size: no identifier or address is stored as text."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def _locked_counter(key: str) -> SignInAttempts:
    """Return the counter, locked until the commit; start its window anew if it ended.

    Also if it ends later than any window can: it began by a wrong clock, and would lock
    the user out for as long as that clock was ahead.
    """
    now = timezone.now()
    SignInAttempts.objects.bulk_create(
        [SignInAttempts(key=key, window_ends_at=now + WINDOW)], ignore_conflicts=True
    )
    counter = SignInAttempts.objects.select_for_update().filter(key=key).first()
    if counter is None:  # its window had ended, and it was pruned just now
        return _locked_counter(key)
    if not now < counter.window_ends_at <= now + WINDOW + SKEW:
        counter.attempts, counter.window_ends_at = 0, now + WINDOW
    return counter


# What the counters of ``_limits`` count, in the same order.
KINDS = ("account and address", "account", "address")


def keys_of(account: str, address: str) -> dict[str, str]:
    """Return the keys of the counters of one attempt, each with what it counts.

    The staff finds counters by them, since no key can be turned back into text.
    """
    return dict(zip(_limits(account, address), KINDS, strict=True))
