"""System checks of e-mail, for servers in use: what is sent, from whom, where it leads.

They ask nothing of the mail server: ``manage.py sendtestemail`` does.
"""

from collections.abc import Iterator
from email.utils import parseaddr

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

from chats.web.site import named_hosts

SMTP = "django.core.mail.backends.smtp.EmailBackend"
CONSOLE = "django.core.mail.backends.console.EmailBackend"
EMAIL_URL = "Set EMAIL_URL, such as smtp+tls://user:password@host:587."


@register(Tags.security, deploy=True)
def check_email(app_configs, **kwargs) -> list[CheckMessage]:
    """W004, W012 to W015: e-mails that go astray, or whose link is missing."""
    if settings.DEBUG:
        return []
    return [*delivery(), *links()]


def delivery() -> Iterator[CheckMessage]:
    if settings.EMAIL_BACKEND == CONSOLE:
        yield checks.Warning(
            "E-mails are printed to the log, with links that reset passwords: anyone "
            "who reads the log can take over an account.",
            hint=EMAIL_URL,
            id="chats.W004",
        )
    elif settings.EMAIL_BACKEND != SMTP:
        yield checks.Warning(
            "E-mails are not sent: nobody can reset a forgotten password.",
            hint=EMAIL_URL,
            id="chats.W012",
        )
    else:
        yield from delivery_by_smtp()


def delivery_by_smtp() -> Iterator[CheckMessage]:
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    if sender.endswith("@localhost"):
        yield checks.Warning(
            f"E-mails are sent from {sender}: most mail servers refuse that.",
            hint="Set EMAIL_FROM to an address of your own domain.",
            id="chats.W013",
        )
    is_encrypted = settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL
    if settings.EMAIL_HOST_PASSWORD and not is_encrypted and not is_this_machine():
        yield checks.Warning(
            "The mail server's password and all e-mails, with links that reset "
            "passwords, cross the network without encryption.",
            hint="Begin EMAIL_URL with smtp+tls:// (port 587) or smtp+ssl:// (465).",
            id="chats.W014",
        )


def is_this_machine() -> bool:
    return settings.EMAIL_HOST in {"localhost", "127.0.0.1", "::1"}


def links() -> Iterator[CheckMessage]:
    if settings.PASSWORD_RESET_URL:
        return
    if not settings.WEB_CLIENT or not named_hosts():
        yield checks.Warning(
            "E-mails that reset a password have no link: WEB_CLIENT is off, or "
            "ALLOWED_HOSTS names no host in full.",
            hint="Set PASSWORD_RESET_URL to the page that sets a new password.",
            id="chats.W015",
        )
