"""Clients that are signed in as real ones are: by a session, or by a token."""

from rest_framework.test import APIClient

from chats.models import AccessToken, User

ME = "/api/users/me/"


def with_session(user: User, **defaults) -> APIClient:
    """Return a client with a session of its own."""
    client = APIClient(**defaults)
    client.force_login(user)
    return client


def with_token(user: User, name: str = "script") -> APIClient:
    """Return a client with a token of its own."""
    _, secret = AccessToken.objects.issue(user, name, None)
    return using(secret)


def using(secret: str, scheme: str = "Token") -> APIClient:
    """Return a client that sends this token."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"{scheme} {secret}")
    return client


def is_in(client: APIClient) -> bool:
    """Return whether the client is signed in."""
    return client.get(ME).status_code == 200
