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

SECONDS_OF_A_DAY = 86_400
# One worker: e-mails are sent in order, and before the process ends.
outbox = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")


def send_password_reset(user: User | None, *, site: str) -> None:
    """Queue the e-mail; for None queue a job that does nothing, at the same cost.

    ``site`` is the web client's address, empty where it is not known.
    """
    outbox.submit(_send_password_reset, user, site)


def _send_password_reset(user: User | None, site: str) -> None:
    if user is None:
        return
    try:
        send_mail("Reset your password", _reset_text(user, site), None, [user.email])
    except Exception:  # no caller waits for the result
        logger.exception("The password reset for %s could not be sent", user.pk)


def _reset_text(user: User, site: str) -> str:
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    token = default_token_generator.make_token(user)
    return render_to_string(
        # Nothing that the user wrote: the address may be somebody else's, and names
        # can contain links.
        "chats/password_reset.txt",
        {
            "uid": uid,
            "token": token,
            "link": reset_link(site, uid, token),
            "days": settings.PASSWORD_RESET_TIMEOUT // SECONDS_OF_A_DAY,
        },
    )


def reset_link(site: str, uid: str, token: str) -> str:
    """Return the page on which the password is set; nothing where none is known.

    In the web client's address both values are in the fragment, which browsers send
    to no server: neither a log nor a ``Referer`` has them.
    """
    if settings.PASSWORD_RESET_URL:
        return settings.PASSWORD_RESET_URL.format(uid=uid, token=token)
    if settings.WEB_CLIENT and site:
        return f"{site}#/reset/{uid}/{token}"
    return ""
