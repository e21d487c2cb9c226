"""E-mail, sent outside the request: response times do not reveal who has an account."""

import logging
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from chats.models import User

logger = logging.getLogger(__name__)

# One worker: e-mails are sent in order, and before the process ends.
outbox = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")


def send_password_reset(user: User | None) -> None:
    """Queue the e-mail; for None queue a job that does nothing, at the same cost."""
    outbox.submit(_send_password_reset, user)


def _send_password_reset(user: User | None) -> None:
    if user is None:
        return
    try:
        send_mail("Reset your password", _reset_text(user), None, [user.email])
    except Exception:  # no caller waits for the result
        logger.exception("The password reset for %s could not be sent", user.pk)


def _reset_text(user: User) -> str:
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    token = default_token_generator.make_token(user)
    link = settings.PASSWORD_RESET_URL.format(uid=uid, token=token)
    return render_to_string(
        # Nothing that the user wrote: the address may be somebody else's, and names
        # can contain links.
        "chats/password_reset.txt",
        {"uid": uid, "token": token, "link": link},
    )
