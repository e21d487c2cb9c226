"""The replay of chat logs: what it reads, whom it makes, and what it notices."""

import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from bench.lab.chat_logs import Log, parse_line, read_log
from bench.lab.messages import Message, judge
from bench.proofs import replay
from bench.proofs.replay import Client, RefusedError, run, usernames
from chats.models import Conversation
from chats.models.messages import MessageQuerySet

# One line ends as on Windows, one body has line separators of Unicode's, one has
# bytes that are not UTF-8.
SAMPLE = [
    b"=== ann [~ann@host.example] has joined #room",
    b"[09:56] <ann> hello: <world> [09:57] \t\r",
    b"[09:56] <Bob[1] >  two spaces, and one after ",
    b"[09:57]  * ann waves",
    b"[09:57] <bob>",
    b"[09:58] <ann>   ",
    "[09:58] <bob> a\x85b\u2028c\fd".encode(),
    b"=== ann is now known as anna",
    b"[09:59] <ann\\> caf\xe9 \0 end",
    b"",
]


@pytest.fixture
def log(tmp_path) -> Log:
    path = tmp_path / "sample.txt"
    path.write_bytes(b"\n".join(SAMPLE))
    return read_log(path)


def test_read_log_keeps_messages_as_they_are(log):
    assert log.name == "sample.txt"
    assert log.lines == [
        ("ann", "hello: <world> [09:57] \t"),
        ("Bob[1] ", " two spaces, and one after "),
        ("bob", "a\x85b\u2028c\fd"),
        ("ann\\", "caf\ufffd \ufffd end"),
    ]


def test_read_log_counts_blank_messages_as_skipped(log):
    assert log.skipped == 2


def test_read_log_limit_takes_the_first_messages(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("[00:01] <a> one\n[00:02] <b> two\n[00:03] <a> three\n")

    assert read_log(path, limit=2).lines == [("a", "one"), ("b", "two")]


@pytest.mark.parametrize(
    "line", ["", "=== a has left", "[09:56]  * a waves", "<a> no time", "[9:56] <a> b"]
)
def test_parse_line_other_lines(line):
    assert parse_line(line) is None


def test_parse_line_replaces_what_the_api_refuses():
    assert parse_line("[00:00] <a> \0\ud800b") == ("a", "\ufffd\ufffdb")


def test_usernames_are_legal_and_differ_even_without_case():
    nicks = ["bob", "Bob", "BOB", "b|b", "b^b", "b`b", "[x]", "a@b", "-", "n" * 300]
    names = usernames(nicks, run="r")

    assert list(names) == nicks
    assert len({name.lower() for name in names.values()}) == len(nicks)
    for name in names.values():
        assert re.fullmatch(r"[\w.+-]{1,150}", name)


SENT = [
    Message(client_id=f"id{number}", username="ab"[number % 2], body=f"body {number}")
    for number in range(6)
]
RECEIVED = [message._replace(seq=seq) for seq, message in enumerate(SENT, start=1)]


def renumbered(messages: list[Message]) -> list[Message]:
    return [message._replace(seq=seq) for seq, message in enumerate(messages, start=1)]


@pytest.mark.parametrize("burst", [False, True])
@pytest.mark.parametrize(
    ("received", "faults"),
    [
        pytest.param(RECEIVED, [0, 0, 0, 0], id="all well"),
        pytest.param([], [6, 0, 0, 0], id="all lost"),
        pytest.param(RECEIVED[:-1], [1, 0, 0, 0], id="last lost"),
        pytest.param(renumbered(RECEIVED[1:]), [1, 0, 0, 0], id="first never stored"),
        pytest.param(RECEIVED[:2] + RECEIVED[3:], [1, 0, 0, 1], id="gap in seq"),
        pytest.param(
            renumbered([*RECEIVED[:2], *RECEIVED[1:]]), [0, 1, 0, 0], id="doubled"
        ),
        pytest.param(
            [*RECEIVED, Message("", "a", "body 0", 7)], [0, 1, 0, 0], id="never sent"
        ),
        pytest.param(
            [RECEIVED[0]._replace(body="body 0 "), *RECEIVED[1:]],
            [0, 0, 1, 0],
            id="altered body",
        ),
        pytest.param(
            [RECEIVED[0]._replace(username="b"), *RECEIVED[1:]],
            [0, 0, 1, 0],
            id="altered sender",
        ),
        pytest.param(
            renumbered([*RECEIVED[:1], RECEIVED[3], RECEIVED[2], RECEIVED[1]])
            + RECEIVED[4:],
            [0, 0, 0, 2],
            id="one person's messages swapped",
        ),
    ],
)
def test_judge(received, faults, burst):
    if burst and faults == [0, 0, 0, 2]:
        faults = [0, 0, 0, 1]  # the other person's message between them is free

    assert judge(SENT, received, burst=burst) == faults


def test_judge_swapped_people_are_out_of_order_unless_in_a_burst():
    received = renumbered([RECEIVED[1], RECEIVED[0], *RECEIVED[2:]])

    assert judge(SENT, received, burst=False) == [0, 0, 0, 1]
    assert judge(SENT, received, burst=True) == [0, 0, 0, 0]


@pytest.fixture
def answering():
    """Return a function that starts a server giving these answers, one a request."""
    servers = []

    def start(*answers: tuple[int, str]) -> str:
        waiting = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, retry_after = waiting.pop(0)
                if status == HTTPStatus.NO_CONTENT:
                    return  # nothing at all: the connection breaks
                self.send_response(status)
                if retry_after:
                    self.send_header("Retry-After", retry_after)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        servers.append(server := HTTPServer(("127.0.0.1", 0), Handler))
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_client_retries_a_busy_server_and_a_broken_connection(answering):
    client = Client(answering((503, "0"), (429, "0"), (204, ""), (200, "")))

    assert client.call("GET", "/") == {}
    assert client.retried == 3
    client.close()


@pytest.mark.parametrize("answer", [(400, ""), (500, ""), (429, "3600")])
def test_client_does_not_go_on_from_a_refusal(answering, answer):
    client = Client(answering(answer))

    with pytest.raises(RefusedError):
        client.call("GET", "/")
    client.close()


@pytest.mark.parametrize("burst", [False, True])
def test_run_replays_logs_longer_than_a_page(
    live_server, capsys, monkeypatch, log, burst
):
    monkeypatch.setattr(replay, "PAGE_SIZE", 3)
    long = Log("long.txt", [("Ann", f"number {n}") for n in range(10)], skipped=0)

    assert run([log, long], live_server.url, burst=burst, threads=4)

    stored = Conversation.objects.values_list("title", "last_seq").order_by("title")
    assert list(stored) == [("long.txt", 10), ("sample.txt", 4)]
    _, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    assert [row[:4] for row in rows] == [
        ["sample.txt", "4", "4", "2"],
        ["long.txt", "1", "10", "0"],
        ["total", "5", "14", "2"],
    ]
    assert [row[5:] for row in rows] == [["0"] * 5] * 3


def test_run_twice_against_one_server(live_server, log):
    assert run([log], live_server.url)
    assert run([log], live_server.url)

    assert Conversation.objects.filter(title="sample.txt").count() == 2


def test_run_says_no_when_the_server_altered_a_message(live_server, monkeypatch, log):
    insert = MessageQuerySet.insert

    def alter(messages, message):
        message.message_body = message.message_body.strip()
        insert(messages, message)

    monkeypatch.setattr(MessageQuerySet, "insert", alter)

    assert not run([log], live_server.url)
