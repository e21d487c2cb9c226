"""Counting sign-in attempts, so that nobody guesses passwords in bulk."""

import hashlib
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from chats.exceptions import TooManyAttempts
from chats.models import AccessToken, AuditEntry, SignInAttempts, User
from chats.services.audit import record

WINDOW = timedelta(minutes=15)
PER_ACCOUNT_AND_ADDRESS = 5
PER_ACCOUNT = 50  # from all addresses together: a lock-out costs this many hosts
PER_ADDRESS = 200  # over all accounts: an office behind one address fits


def reserve_attempt(account: str, address: str) -> None:
    """Count an attempt before its password is looked at; raise TooManyAttempts.

    The attempt is committed first, under a lock on its counter, so of any number
    of guesses sent at once no more than the allowance is evaluated. A success
    takes its own count back with ``forgive_attempts``.
    """
    limits = _limits(account, address)
    with transaction.atomic():
        counters = [_locked_counter(key) for key in sorted(limits)]
        for counter in counters:
            if counter.attempts >= limits[counter.key]:
                wait = counter.window_ends_at - timezone.now()
                raise TooManyAttempts(
                    "Too many failed attempts. Try again later.",
                    retry_after=max(1, int(wait.total_seconds()) + 1),
                )
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


@transaction.atomic
def unlock(counter: SignInAttempts, *, actor: User) -> None:
    """Forget the attempts of one key, on behalf of the staff."""
    counter.delete()
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
        _key("account and address", account, address): PER_ACCOUNT_AND_ADDRESS,
        _key("account", account): PER_ACCOUNT,
        _key("address", address): PER_ADDRESS,
    }


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
