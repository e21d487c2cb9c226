"""The web client's script: its modules as one file, which browsers keep for good.

It is served among the static files (``chats.web.assets``).
"""

from functools import cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from chats.web.compression import BEST_LEVEL, accepts_gzip, compressed
from chats.web.modules import joined

NAME = "chats/client/script.js"  # among the static files, where no such file is
MAIN = Path(__file__).parents[1] / "static/chats/client/main.js"


@cache
def script() -> bytes:
    return joined(MAIN).encode()


@cache
def compressed_script() -> bytes:
    return compressed(script(), BEST_LEVEL)


def script_answer(request: HttpRequest) -> HttpResponse:
    """Answer the script, compressed for those who accept it."""
    response = HttpResponse(script(), content_type="text/javascript; charset=utf-8")
    response.headers["Cache-Control"] = "max-age=315360000, public, immutable"
    if accepts_gzip(request.META.get("HTTP_ACCEPT_ENCODING", "")):
        response.content = compressed_script()
        response.headers["Content-Encoding"] = "gzip"
    patch_vary_headers(response, ("Accept-Encoding",))
    return response
