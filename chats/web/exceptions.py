"""What can go wrong in the domain, as status, message, field and machine code."""

from django.core.exceptions import PermissionDenied

# What a 401 answer asks for (RFC 6750, section 3).
CHALLENGE = 'Bearer realm="api"'


class ChatError(Exception):
    """A rule of the domain refused the call.

    ``field`` names the input at fault; with it the API answers
    ``{field: [message]}``, without it ``{"detail": message, "code": code}``.
    ``retry_after``, in seconds, is for what may succeed later.
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
    """The thing does not exist, or the actor may not know that it does."""

    status = 404
    code = "not_found"

    def __init__(self, message: str = "Not found."):
        super().__init__(message)


class SignedOut(ChatError):
    """What the actor was signed in with has ended."""

    status = 401
    code = "not_authenticated"


class NotAllowed(ChatError):
    """The actor sees the thing and may not do this to it."""

    status = 403
    code = "permission_denied"


class HTTPSRequired(PermissionDenied):
    """A write came over plain HTTP where only HTTPS is served."""


class Conflict(ChatError):
    """The thing is in a state that rules the call out."""

    status = 409
    code = "conflict"


class Gone(ChatError):
    """The thing was kept for a while and is not any more."""

    status = 410
    code = "gone"


class TooManyAttempts(ChatError):
    """The limit is reached; ``retry_after`` is in seconds."""

    status = 429
    code = "throttled"

    def __init__(self, message: str, *, retry_after: int, code: str = ""):
        super().__init__(message, code=code)
        self.retry_after = retry_after


class Full(TooManyAttempts):
    """This process has no room for more; another one may."""

    status = 503
    code = "full"
