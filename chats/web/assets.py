"""Static files, under a version made from their contents, so that browsers cache them.

All files of a release have one version, and modules import each other by relative
paths. So all modules of a page are from one release. A process knows its own version
only, and answers 404 for any other. While processes are being replaced, nginx retries
such a request at a process that has the version. Wrong contents would be worse: the
browser would cache them for good.
"""

from functools import cache, lru_cache
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urljoin

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import get_script_prefix
from django.utils.cache import patch_vary_headers
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

from chats.web import script
from chats.web.compression import BEST_LEVEL, SMALLEST, accepts_gzip, compressed

TEXTS = ("text/", "application/json", "image/svg+xml")


@cache
def version() -> str:
    """Return the version as part of a path; "" with DEBUG, where files change."""
    if settings.DEBUG:
        return ""
    found: dict[str, str] = {}
    for finder in get_finders():
        for name, storage in finder.list(None):
            found.setdefault(name, storage.path(name))
    digest = blake2b(script.script(), digest_size=8)
    for name, path in sorted(found.items()):
        contents = blake2b(Path(path).read_bytes()).hexdigest()
        digest.update(f"{name} {contents}\n".encode())
    return f"{digest.hexdigest()}/"


class VersionedStorage(StaticFilesStorage):
    """Makes the URLs of static files, below the application's mount point."""

    def url(self, name: str) -> str:
        url = super().url(name)
        path = url.removeprefix(self.base_url)
        return urljoin(get_script_prefix()[:-1] + self.base_url, version() + path)


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """WhiteNoise, with compression for large text files.

    Each file is served under its version, for browsers to cache, and without a version,
    to be revalidated each time.
    """

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        is_read = request.method in {"GET", "HEAD"}
        if is_read and request.path_info == f"{self._versioned_prefix()}{script.NAME}":
            return script.script_answer(request)
        return super().__call__(request)

    def add_file_to_dictionary(self, url: str, path: str, stat_cache=None) -> None:
        super().add_file_to_dictionary(url, path, stat_cache)
        versioned = f"{self._versioned_prefix()}{url.removeprefix(self.static_prefix)}"
        super().add_file_to_dictionary(versioned, path, stat_cache)

    def immutable_file_test(self, path: str, url: str) -> bool:
        return bool(version()) and url.startswith(self._versioned_prefix())

    def _versioned_prefix(self) -> str:
        return self.static_prefix + version()

    def serve(self, static_file: StaticFile, request: HttpRequest) -> HttpResponseBase:
        """Serve a whole file, whatever range is requested.

        WhiteNoise wrongly answers 416 to a range of one byte, and a server may ignore
        ranges (RFC 9110, section 14.2).
        """
        request.META.pop("HTTP_RANGE", None)
        if etag := request.META.get("HTTP_IF_NONE_MATCH"):
            request.META["HTTP_IF_NONE_MATCH"] = etag.removeprefix("W/")
        response = super().serve(static_file, request)
        if is_worth_compressing(response) and not self.autorefresh:
            patch_vary_headers(response, ("Accept-Encoding",))
            if accepts_gzip(request.META.get("HTTP_ACCEPT_ENCODING", "")):
                [(_, path, _)] = static_file.alternatives
                return packed(response, path, is_head=request.method == "HEAD")
        return response


def is_worth_compressing(response: HttpResponseBase) -> bool:
    return (
        response.status_code == 200
        and response.headers["Content-Type"].startswith(TEXTS)
        and int(response.headers["Content-Length"]) >= SMALLEST
    )


def packed(response: HttpResponseBase, path: str, *, is_head: bool) -> HttpResponse:
    """Return the response with the file's contents in gzip."""
    body = compressed_file(path)
    response.close()
    headers = dict(response.items()) | {
        "Content-Encoding": "gzip",
        "Content-Length": str(len(body)),
        "ETag": f"W/{response.headers['ETag']}",
    }
    return HttpResponse(b"" if is_head else body, headers=headers)


@lru_cache(maxsize=256)
def compressed_file(path: str) -> bytes:
    """Return the file in gzip, compressed once in a process."""
    return compressed(Path(path).read_bytes(), BEST_LEVEL)
