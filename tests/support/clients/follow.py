"""Follows the events with a client of others: follow.py CLIENT SERVER TOKEN.

Prints what the client passes on, one JSON array [type, data] a line; data is parsed as
every program would, so a message without data ends this with an error.
"""

import json
import sys
import time

import httpx
import httpx_sse
import requests
import sseclient

CLIENT, SERVER, TOKEN = sys.argv[1:]
URL = f"{SERVER}/api/events/"
SILENCE = 40  # seconds: a heartbeat comes every 15
state = {"cursor": "", "retry": 1.0}


def headers() -> dict[str, str]:
    return {
        "Authorization": f"Token {TOKEN}",
        "Accept": "text/event-stream",
        "Last-Event-ID": state["cursor"],
    }


def take(event) -> None:
    print(json.dumps([event.event, json.loads(event.data)]), flush=True)  # noqa: T201
    state["cursor"] = event.id or state["cursor"]
    if event.retry is not None:
        state["retry"] = int(event.retry) / 1000


def by_httpx_sse() -> None:
    patience = httpx.Timeout(5, read=SILENCE)
    with (
        httpx.Client(timeout=patience, headers=headers()) as client,
        httpx_sse.connect_sse(client, "GET", URL) as source,
    ):
        for event in source.iter_sse():
            take(event)


def by_sseclient() -> None:
    answer = requests.get(URL, headers=headers(), stream=True, timeout=SILENCE)
    answer.raise_for_status()
    for event in sseclient.SSEClient(answer).events():
        take(event)


follow = {"httpx-sse": by_httpx_sse, "sseclient-py": by_sseclient}[CLIENT]
while True:
    follow()
    time.sleep(state["retry"])
