"""Errors of the domain, each with a status, a message, a field and a machine code."""

from django.core.exceptions import PermissionDenied

# The WWW-Authenticate header of a 401 response (RFC 6750, section 3).
CHALLENGE = 'Bearer realm="api"'


class ChatError(Exception):
    """A rule of the domain refused the call.

    ``field`` names the invalid input; with it the API answers
    ``{field: [message]}``, without it ``{"detail": message, "code": code}``.
    ``retry_after``, in seconds, is set if the call may succeed later.
    """

    status = 400
    code = "invalid"
    retry_after: int | None = None

    def __init__(self, message: str, *, field: str | None = None, code: str = ""):
        super().__init__(message)
        self.message = message
        self.field = field
        self.code = code or self.code


class NotFound(ChatError):
    """The resource does not exist, or the actor may not know that it exists."""

    status = 404
    code = "not_found"

    def __init__(self, message: str = "Not found."):
        super().__init__(message)


class SignedOut(ChatError):
    """The actor's session or token has ended."""

    status = 401
    code = "not_authenticated"


class NotAllowed(ChatError):
    """The actor can see the resource, but may not do this to it."""

    status = 403
    code = "permission_denied"


class HTTPSRequired(PermissionDenied):
    """A write came over plain HTTP where only HTTPS is served."""


class Conflict(ChatError):
    """The resource's current state does not allow the call."""

    status = 409
    code = "conflict"


class Gone(ChatError):
    """The resource was kept for a limited time, which is over."""

    status = 410
    code = "gone"


class TooManyAttempts(ChatError):
    """A limit is reached; ``retry_after`` is in seconds."""

    status = 429
    code = "throttled"

    def __init__(self, message: str, *, retry_after: int, code: str = ""):
        super().__init__(message, code=code)
        self.retry_after = retry_after


class Full(TooManyAttempts):
    """This process has no room for more; another process may have."""

    status = 503
    code = "full"
