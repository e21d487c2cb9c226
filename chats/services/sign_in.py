"""Counting sign-in attempts, so that nobody guesses passwords in bulk."""

import hashlib
from datetime import timedelta

from django.contrib.auth.hashers import check_password
from django.db import transaction
from django.utils import timezone

from chats.exceptions import ChatError, TooManyAttempts
from chats.models import AccessToken, AuditEntry, SignInAttempts, User
from chats.services.audit import record

WINDOW = timedelta(minutes=15)
PER_ACCOUNT_AND_ADDRESS = 5
PER_ACCOUNT = 50  # from all addresses together that the account is new to
PER_ADDRESS = 200  # over all accounts: an office behind one address fits
REMEMBERED = timedelta(days=30)  # an address from which the account signed in


def reserve_attempt(account: str, address: str) -> None:
    """Count an attempt before its password is looked at; raise TooManyAttempts.

    The attempt is committed first, under a lock on its counter, so of any number
    of guesses sent at once no more than the allowance is evaluated. A success
    takes its own count back with ``forgive_attempts``.

    An account that is used up is so for strangers only: where it has signed in
    lately its person still can, or anybody with many hosts could keep them out.
    """
    limits = _limits(account, address)
    with transaction.atomic():
        counters = [_locked_counter(key) for key in sorted(limits)]
        for counter in counters:
            if counter.attempts < limits[counter.key]:
                continue
            if counter.key == _account(account) and _is_remembered(account, address):
                continue
            raise _refusal(counter)
        for counter in counters:
            counter.attempts += 1
            counter.save(update_fields=["attempts", "window_ends_at"])


def forgive_attempts(account: str, address: str) -> None:
    """Take back the counts after the right password was given.

    The pair starts afresh; the wider counters lose this one attempt only, or an
    attacker would clear them by signing in to an account of their own.
    """
    pair, *wider = _limits(account, address)
    with transaction.atomic():
        for key in sorted([pair, *wider]):
            counter = _locked_counter(key)
            counter.attempts = 0 if key == pair else max(0, counter.attempts - 1)
            counter.save(update_fields=["attempts", "window_ends_at"])
        _remember(account, address)


def start_afresh(account: str, address: str) -> None:
    """Let somebody in again who has set a new password by letter.

    What was guessed before was another password.
    """
    pair = _pair(account, address)
    with transaction.atomic():
        for key in sorted([pair, _account(account)]):
            counter = _locked_counter(key)
            counter.attempts = 0
            counter.save(update_fields=["attempts", "window_ends_at"])
        _remember(account, address)


def confirm_password(user: User, password: str, address: str, *, field: str) -> None:
    """Have somebody signed in prove who they are; counts as an attempt to sign in.

    Raises TooManyAttempts, or ChatError on ``field`` for a wrong password.
    """
    account = str(user.pk)
    reserve_attempt(account, address)
    # Not the user's own method: it may store another hash, which ends all sessions.
    if not check_password(password, user.password):
        raise ChatError("Wrong password.", field=field, code="wrong_password")
    forgive_attempts(account, address)


@transaction.atomic
def unlock(counter: SignInAttempts, *, actor: User) -> None:
    """Forget the attempts of one key, on behalf of the staff; again is harmless."""
    if SignInAttempts.objects.filter(key=counter.key).delete()[0]:
        record(AuditEntry.Action.SIGN_IN_UNLOCKED, actor=actor, details=counter.key)


def forget_expired() -> tuple[int, int]:
    """Delete expired tokens and finished windows; return how many of each."""
    now = timezone.now()
    tokens, _ = AccessToken.objects.filter(expires_at__lte=now).delete()
    counters, _ = SignInAttempts.objects.filter(window_ends_at__lte=now).delete()
    return tokens, counters


def _limits(account: str, address: str) -> dict[str, int]:
    """Return the counters' keys and allowances, the pair first."""
    return {
        _pair(account, address): PER_ACCOUNT_AND_ADDRESS,
        _account(account): PER_ACCOUNT,
        _key("address", address): PER_ADDRESS,
    }


def _pair(account: str, address: str) -> str:
    return _key("account and address", account, address)


def _account(account: str) -> str:
    return _key("account", account)


def _remember(account: str, address: str) -> None:
    """Note that the account has signed in from the address."""
    SignInAttempts.objects.update_or_create(
        key=_key("remembered", account, address),
        defaults={"window_ends_at": timezone.now() + REMEMBERED},
    )


def _is_remembered(account: str, address: str) -> bool:
    note = SignInAttempts.objects.filter(key=_key("remembered", account, address))
    return note.filter(window_ends_at__gt=timezone.now()).exists()


def _refusal(counter: SignInAttempts) -> TooManyAttempts:
    wait = counter.window_ends_at - timezone.now()
    return TooManyAttempts(
        "Too many failed attempts. Try again later.",
        retry_after=max(1, int(wait.total_seconds()) + 1),
    )


def _key(*parts: str) -> str:
    """Return a key of fixed size: neither accounts nor addresses are kept as text."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def _locked_counter(key: str) -> SignInAttempts:
    """Return the counter, locked until the commit, its window begun anew if over."""
    now = timezone.now()
    SignInAttempts.objects.bulk_create(
        [SignInAttempts(key=key, window_ends_at=now + WINDOW)], ignore_conflicts=True
    )
    counter = SignInAttempts.objects.select_for_update().filter(key=key).first()
    if counter is None:  # its window was over, and it was pruned just now
        return _locked_counter(key)
    if counter.window_ends_at <= now:
        counter.attempts, counter.window_ends_at = 0, now + WINDOW
    return counter


# What the counters of ``_limits`` count by, in its order.
KINDS = ("account and address", "account", "address")


def keys_of(account: str, address: str) -> dict[str, str]:
    """Return the keys of the counters of one attempt, each with what it counts by.

    For the staff, who can find a counter so; no key can be turned back into text.
    """
    return dict(zip(_limits(account, address), KINDS, strict=True))
