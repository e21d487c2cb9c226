"""The calls of ``bench.speed.growth``, with their requests."""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

from bench.lab.load import Plan, request
from bench.lab.population import ABSENT, MISSED, RARE, Place
from bench.lab.servers import call

DEEP = 20  # pages

CALLS = {
    "send": "send",
    "page": "page of 50, the newest",
    "page middle": "page of 50, in the middle by cursor",
    "page after": "page of 50, deep by after_seq",
    "list 25": "list of 20 of 25 conversations",
    "list 5000": "list of 20 of 5,000 conversations",
    "unread 25": "the unread of 25 conversations",
    "unread 5000": "the unread of 5,000 conversations",
    "unread messages": "unread messages, 25 conversations",
    "unread messages 5000": "unread messages, 5,000 conversations",
    "across": "all messages, 25 conversations",
    "across deep": f"all messages, {DEEP} pages deep",
    "across 5000": "all messages, 5,000 conversations",
    "sender often": "by a sender who said much",
    "sender seldom": "by one who said 3 things long ago",
    "sent before": "sent before an early day",
    "search common": "search, a common word",
    "search rare": "search, a word of 3 old messages",
    "search absent": "search, a word nobody said",
    "read": "mark as read",
    "events": "100 events from an old cursor",
    "stream": f"{MISSED} missed events by a stream",
    "users": "list of people",
    "users search": "search of people, one",
    "admin messages": "admin, messages",
    "admin conversations": "admin, conversations",
    "admin users": "admin, people",
}
ADMIN = {f"admin {name}s": f"/admin/chats/{name}/" for name in ("message", "user")}
ADMIN["admin conversations"] = "/admin/chats/conversation/"


class Caller(NamedTuple):
    """Makes the requests for one filled database behind a server."""

    url: str
    place: Place

    def paths(self) -> dict[str, str]:
        """Return the paths of the first caller's GETs; this makes some requests."""
        place = self.place
        messages, users = "/api/messages/?page_size=50", "/api/users/?page_size=20"
        page = f"{messages}&conversation_id={place.large}"
        rooms = "/api/conversations/?page_size=20"
        return {
            "page": page,
            "page middle": self._middle(page),
            "page after": f"{page}&ordering=seq&after_seq={place.depth // 3}",
            "list 25": rooms,
            "unread 25": f"{rooms}&unread=true",
            "unread messages": f"{messages}&unread=true",
            "across": messages,
            "across deep": self._deep(messages),
            "sender often": f"{messages}&sender={place.second.user_id}",
            "sender seldom": f"{messages}&sender={place.seldom}",
            "sent before": f"{messages}&sent_before={quote(place.early)}",
            "search common": f"{messages}&search={place.common}",
            "search rare": f"{messages}&search={RARE}",
            "search absent": f"{messages}&search={ABSENT}",
            "events": f"/api/events/?after={place.log_begins}&limit=100",
            "users": users,
            "users search": f"{users}&search=seldom",
        }

    def plans(self) -> dict[str, Callable[[], Plan]]:
        """Return functions that make the next plan, for each call except the stream."""
        place, token = self.place, self.place.first.token
        paths = self.paths()
        made = {name: self._always("GET", path, token) for name, path in paths.items()}
        for few, many in (("list 25", "list 5000"), ("unread 25", "unread 5000")):
            made[many] = self._always("GET", paths[few], place.third.token)
        made["unread messages 5000"] = self._always(
            "GET", paths["unread messages"], place.third.token
        )
        made["across 5000"] = self._always("GET", paths["across"], place.third.token)
        text = {"conversation": place.large, "message_body": "As it was said before."}
        made["send"] = self._always("POST", "/api/messages/", token, text)
        made["read"] = self._reading()
        for name, path in ADMIN.items():
            asked = request("GET", path, "", cookie=f"sessionid={place.session}")
            made[name] = lambda asked=asked: Plan([asked], True)
        return made

    def _always(self, *arguments) -> Callable[[], Plan]:
        return lambda: Plan([request(*arguments)], True)

    def _reading(self) -> Callable[[], Plan]:
        """Return a function that makes a plan to mark the next few messages as read."""
        paths = (f"/api/messages/{key}/mark_as_read/" for key in self.place.unread)
        asked: Iterator[bytes] = (
            request("POST", path, self.place.second.token) for path in paths
        )
        return lambda: Plan(list(itertools.islice(asked, 40)), False)

    def _middle(self, page: str) -> str:
        """Return the page at a cursor in the middle of the large conversation."""
        found = self._get(f"{page}&before_seq={self.place.depth // 2}")
        [cursor] = parse_qs(urlsplit(found["next"]).query)["cursor"]
        return f"{page}&cursor={quote(cursor)}"

    def _deep(self, path: str) -> str:
        for _ in range(DEEP - 1):
            following = urlsplit(self._get(path)["next"] or "")
            path = f"{following.path}?{following.query}" if following.path else path
        return path

    def _get(self, path: str) -> dict:
        return call(self.url, "GET", path, self.place.first.token).body
