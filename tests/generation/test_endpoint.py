"""The endpoint back end against a real HTTP server that misbehaves on cue."""

import json
import logging
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from support.json_server import JsonHandler, JsonServer

from selfrl.generation import Sampling
from selfrl.generation.endpoint import EndpointGenerator

KEY = "sk-very-secret-0123456789"


class Server(JsonServer):
    """Answers "echo: <prompt>" after working off `faults`, one a request."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.requests: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.keys: set[str | None] = set()
        self.max_n = 99
        self.refuses: dict[str, str] = {}  # part of a request -> the words that refuse it
        self.refusal = 400

    def refused(self, asked: dict[str, Any]) -> str:
        """Why a request is refused; "" for one that is not."""
        parts = {name for name in asked if name != "n" or asked["n"] > 1}
        return next((words for part, words in self.refuses.items() if part in parts), "")


class Handler(JsonHandler):
    server: Server

    def answer(self, body: bytes) -> None:
        asked = json.loads(body)
        server = self.server
        with server.lock:
            server.requests.append(asked)
            server.times.append(time.monotonic())
            server.keys.add(self.headers.get("Authorization"))
        with server.next_fault() as fault:
            time.sleep(0.02)
        if fault == "cut":
            self.connection.close()
        elif fault == "slow":
            time.sleep(3)
        elif fault == "429":
            self.reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "1"})
        elif fault == "garbage":
            self.reply(200, "<html>", {})
        elif fault in ("empty", "null"):
            self.reply(200, {"id": "1", "choices": [] if fault == "empty" else None}, {})
        elif fault == "no message":
            self.reply(200, {"id": "1", "choices": [{"index": 0, "finish_reason": "stop", "message": None}]}, {})
        elif fault == "parts":
            parts = [
                {"type": "text", "text": "echo"},
                {"type": "thinking", "text": "hm"},
                {"type": "text", "text": "!"},
            ]
            message = {"role": "assistant", "content": parts}
            self.reply(200, {"id": "1", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}, {})
        elif fault == "null usage":
            message = {"role": "assistant", "content": "echo"}
            usage = {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
            choices = [{"index": 0, "finish_reason": "stop", "message": message}]
            self.reply(200, {"id": "1", "choices": choices, "usage": usage}, {})
        elif why := server.refused(asked):
            self.reply(server.refusal, {"error": {"message": why}}, {})
        elif fault == "thinking":  # cut off before the answer, with the reasoning kept apart
            message = {"role": "assistant", "content": None, "reasoning_content": "hm"}
            self.reply(200, {"id": "1", "choices": [{"index": 0, "finish_reason": "length", "message": message}]}, {})
        elif fault:  # as some servers do, the error echoes the key
            self.reply(int(fault), {"error": {"message": f"broken {self.headers.get('Authorization')}"}}, {})
        else:
            text = "echo: " + asked["messages"][-1]["content"]
            n = min(asked["n"], server.max_n)
            choices = [
                {"index": i, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
                for i in range(n)
            ]
            usage = {"prompt_tokens": 7, "completion_tokens": 5 * n, "total_tokens": 7 + 5 * n}
            self.reply(
                200,
                {
                    "id": "1",
                    "object": "chat.completion",
                    "created": 0,
                    "model": "m",
                    "choices": choices,
                    "usage": usage,
                },
                {},
            )


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def client(server: Server, monkeypatch: pytest.MonkeyPatch, **options: Any) -> EndpointGenerator:
    monkeypatch.setenv("SELFRL_TEST_KEY", KEY)
    return EndpointGenerator("m", server.url, "SELFRL_TEST_KEY", **options)


def test_answers_come_in_order_with_tokens_counted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = client(server, monkeypatch)
    prompts = [f"q{i}" for i in range(12)]
    groups = endpoint.generate(prompts, Sampling(n=2, max_tokens=9, temperature=0.3, top_p=0.8, seed=4, stop=("Q:",)))
    assert [[g.text for g in group] for group in groups] == [[f"echo: {p}"] * 2 for p in prompts]
    assert (endpoint.usage.prompt_tokens, endpoint.usage.completion_tokens) == (7 * 12, 10 * 12)
    assert groups[0][0].completion_tokens == 5
    sent = server.requests[0]
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"]) == (0.3, 0.8, 9)
    assert sent["stop"] == ["Q:"]
    assert server.keys == {f"Bearer {KEY}"}


def test_conversations_go_as_they_are(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    conversation = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "q"}]
    client(server, monkeypatch).generate([conversation], Sampling())
    assert server.requests[0]["messages"] == conversation


def test_an_endpoint_that_gives_one_at_a_time_is_asked_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.max_n = 1
    groups = client(server, monkeypatch).generate(["q"], Sampling(n=3, seed=10))
    assert len(groups[0]) == 3
    seeds = [request["seed"] for request in server.requests]
    assert seeds == [seeds[0], seeds[0] + 1, seeds[0] + 2]


def test_equal_prompts_of_one_call_are_sampled_apart_and_alike_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = client(server, monkeypatch, concurrency=1)
    for _ in range(2):
        endpoint.generate(["q"] * 4, Sampling(n=2, seed=10))
    seeds = [request["seed"] for request in server.requests]
    assert seeds[:4] == seeds[4:]
    assert min(abs(a - b) for i, a in enumerate(seeds[:4]) for b in seeds[:i]) > 2
    endpoint.generate(["q"], Sampling(seed=11))
    endpoint.generate(["q"], Sampling())
    assert server.requests[-2]["seed"] not in seeds
    assert "seed" not in server.requests[-1]


@pytest.mark.parametrize("fault", ["500", "503", "cut", "slow"])
def test_faults_are_retried(server: Server, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    server.faults = [fault, fault]
    endpoint = client(server, monkeypatch, timeout_s=0.5)
    assert endpoint.generate(["q"], Sampling())[0][0].text == "echo: q"
    assert (endpoint.usage.requests, endpoint.usage.retries, endpoint.usage.failures) == (3, 2, 0)


def test_retry_after_is_honoured(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults = ["429"]
    assert client(server, monkeypatch).generate(["q"], Sampling())[0]
    assert server.times[1] - server.times[0] >= 1.0


def test_what_fails_to_the_end_is_an_empty_group_and_counted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults = ["500"] * 2
    endpoint = client(server, monkeypatch, attempts=2, concurrency=1)
    groups = endpoint.generate(["a", "b"], Sampling())
    assert groups[0] == []
    assert groups[1][0].text == "echo: b"
    assert endpoint.usage.failures == 1


def test_a_refused_prompt_fails_alone_and_is_not_tried_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults = ["400"]
    endpoint = client(server, monkeypatch, concurrency=1)
    groups = endpoint.generate(["too long", "fine"], Sampling())
    assert groups[0] == []
    assert groups[1][0].text == "echo: fine"
    assert (endpoint.usage.failures, len(server.requests)) == (1, 2)


def test_an_endpoint_that_refuses_n_is_asked_for_one_at_a_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults = ["400"]
    server.max_n = 1
    assert len(client(server, monkeypatch).generate(["q"], Sampling(n=2))[0]) == 2


@pytest.mark.parametrize("fault", ["garbage", "empty", "null"])
def test_a_broken_reply_is_a_failure(server: Server, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    server.faults = [fault]
    endpoint = client(server, monkeypatch, concurrency=1)
    groups = endpoint.generate(["a", "b"], Sampling())
    assert groups[0] == []
    assert groups[1][0].text == "echo: b"
    assert endpoint.usage.failures == 1


def test_a_completion_cut_off_in_its_reasoning_is_empty_and_stays(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults = ["thinking"]
    endpoint = client(server, monkeypatch, concurrency=1)
    ((cut, whole),) = endpoint.generate(["a"], Sampling(n=2))
    assert (cut.text, cut.finish_reason) == ("", "length")
    assert whole.text == "echo: a"
    assert endpoint.usage.failures == 0


@pytest.mark.parametrize("status", ["401", "404"])
def test_a_wrong_key_or_model_ends_in_a_sentence(server: Server, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    server.faults = [status]
    with pytest.raises(ValueError, match=f"answered {status}: check its address"):
        client(server, monkeypatch).generate(["q"], Sampling())


@pytest.mark.parametrize(("key", "message"), [("", "holds no key"), ("sk-ключ", "no header can carry")])
def test_a_key_that_cannot_be_sent_is_refused_at_once(
    server: Server, monkeypatch: pytest.MonkeyPatch, key: str, message: str
) -> None:
    monkeypatch.setenv("SELFRL_TEST_KEY", key)
    with pytest.raises(ValueError, match=message) as caught:
        EndpointGenerator("m", server.url, "SELFRL_TEST_KEY")
    assert not key or key not in str(caught.value)


def test_a_key_with_a_line_break_is_sent_without_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = client(server, monkeypatch)
    monkeypatch.setenv("SELFRL_TEST_KEY", KEY + "\n")
    assert endpoint.generate(["q"], Sampling())[0]
    assert server.keys == {f"Bearer {KEY}"}


def test_concurrency_is_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client(server, monkeypatch, concurrency=3).generate([f"q{i}" for i in range(20)], Sampling())
    assert 2 <= server.most_at_once <= 3


def test_the_key_shows_nowhere(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    server.faults = ["500", "401"]
    endpoint = client(server, monkeypatch, attempts=3)
    with pytest.raises(ValueError, match="401") as caught:
        endpoint.generate(["q"], Sampling())
    printed = capsys.readouterr()
    shown = [
        caplog.text,
        printed.out,
        printed.err,
        repr(endpoint),
        repr(vars(endpoint)),
        str(caught.value),
        repr(caught.value),
        *traceback.format_exception(caught.value),
    ]
    assert not [text for text in shown if KEY in text]


def test_an_endpoint_needs_an_address_or_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ValueError, match="give a base URL"):
        EndpointGenerator("m")


@pytest.mark.parametrize(("fault", "text"), [("parts", "echo!"), ("null usage", "echo")])
def test_replies_of_another_shape_are_read(
    server: Server, monkeypatch: pytest.MonkeyPatch, fault: str, text: str
) -> None:
    server.faults = [fault]
    endpoint = client(server, monkeypatch)
    assert endpoint.generate(["q"], Sampling())[0][0].text == text
    assert (endpoint.usage.failures, endpoint.usage.prompt_tokens) == (0, 0)


def test_a_choice_without_a_message_is_a_failure_of_its_question(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults = ["no message"]
    endpoint = client(server, monkeypatch, concurrency=1)
    groups = endpoint.generate(["a", "b"], Sampling())
    assert [len(group) for group in groups] == [0, 1]
    assert endpoint.usage.failures == 1


@pytest.mark.parametrize("status", [400, 422, 501])
def test_an_endpoint_that_refuses_several_at_a_time_is_asked_for_one(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    server.refuses, server.refusal = {"n": "only one completion"}, status
    endpoint = client(server, monkeypatch, concurrency=1)
    groups = endpoint.generate(["a", "b"], Sampling(n=3))
    assert [len(group) for group in groups] == [3, 3]
    assert [request["n"] for request in server.requests] == [3, 1, 1, 1, 1, 1, 1]
    assert caplog.text.count("one at a time from now on") == 1
    assert endpoint.usage.failures == 0


def test_the_length_limit_and_the_seed_are_said_as_the_endpoint_takes_them(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.refuses = {
        "max_tokens": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "seed": "Unknown parameter: 'seed'.",
    }
    endpoint = client(server, monkeypatch, concurrency=1)
    groups = endpoint.generate(["a", "b"], Sampling(max_tokens=9, seed=3))
    assert [group[0].text for group in groups] == ["echo: a", "echo: b"]
    assert len(server.requests) == 4
    assert server.requests[-1]["max_completion_tokens"] == 9
    assert not {"max_tokens", "seed"} & set(server.requests[-1])
    assert caplog.text.count("calls the length limit") == caplog.text.count("takes no seed") == 1


def test_many_requests_at_once_learn_the_same(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.refuses = {"max_tokens": "no max_tokens", "seed": "no seed", "n": "no"}
    endpoint = client(server, monkeypatch)
    groups = endpoint.generate([f"q{i}" for i in range(12)], Sampling(n=2, seed=3))
    assert [len(group) for group in groups] == [2] * 12
    before = len(server.requests)
    endpoint.generate(["q"], Sampling(n=2, seed=3))
    assert len(server.requests) == before + 2


def test_a_refusal_of_a_prompt_changes_nothing_for_the_others_and_says_why(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    words = f"maximum context length is 9, but max_tokens and the prompt of {KEY} exceed it"
    server.refuses = {"messages": words}
    endpoint = client(server, monkeypatch, concurrency=1)
    assert endpoint.generate(["a"], Sampling(n=2)) == [[]]
    assert "maximum context length is 9" in caplog.text
    assert KEY not in caplog.text
    server.refuses = {}
    endpoint.generate(["b"], Sampling(n=2))
    assert (server.requests[-1]["n"], "max_tokens" in server.requests[-1]) == (2, True)
