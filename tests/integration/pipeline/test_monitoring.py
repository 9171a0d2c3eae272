"""A running system answers how it is: every metric that an alert or a panel names is there on one
of its processes, health checks tell the truth, and a turn leaves one trace without gaps."""

import asyncio
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import soundfile
from prometheus_client.parser import text_string_to_metric_families

from common.audio import SAMPLE_RATE
from common.redis.store import Store
from common.settings import LimitSettings
from common.traceparent import begin_trace, trace_id
from common.transitions.publishing import publish
from common.utterance import Utterance
from ops.demo.recording_file import AUDIO, read_sentences
from ops.local.machine import find_free_port
from tests.support.monitoring_files import named_metrics
from tests.support.otlp_receiver import OtlpReceiver, Received
from tests.support.pipeline import Pipeline, earshot, running_pipeline
from tests.support.waiting import until_sync

FOREIGN: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
# Of the whole, at most this may be nobody's.
GAP: Final = 0.05
ROUNDING_MS: Final = 1.5


@dataclass
class Watched:
    """A pipeline with a page for each process and a collector for its spans."""

    parts: Pipeline
    collector: OtlpReceiver
    ports: dict[str, int]

    def page(self, role: str, path: str) -> tuple[int, str]:
        """Status and text; 0 if nobody answers."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            url = f"http://127.0.0.1:{self.ports[role]}/{path}"
            with opener.open(url, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def metrics(self, role: str) -> dict[str, float]:
        """Samples by their name, those of all labels added up."""
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(self.page(role, "metrics")[1]):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0) + sample.value
        return found

    def wait_until_ready(self, role: str) -> None:
        until_sync(lambda: self.page(role, "readyz"), lambda answer: answer == (200, "ok\n"))

    def port(self, role: str) -> dict[str, str]:
        return {"EARSHOT_METRICS__PORT": str(self.ports[role])}

    def spans(self, trace: str, *names: str) -> dict[str, Received]:
        """The spans of a trace, once those of these names are there, by name."""

        def found(spans: list[Received]) -> dict[str, Received]:
            return {span.name: span for span in spans if span.trace == trace}

        return found(self.collector.wait_for(lambda spans: set(names) <= found(spans).keys()))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with ExitStack() as stack:
        collector = stack.enter_context(OtlpReceiver())
        parts = stack.enter_context(
            running_pipeline(tmp_path_factory.mktemp("watched"), stt=0, llm=0)
        )
        parts.env |= {
            "EARSHOT_TRACES__ENDPOINT": collector.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "NO_PROXY": "127.0.0.1",
            "EARSHOT_WORKER__BACKOFF_MAX_S": "0.5",
        }
        ports = {role: find_free_port() for role in ("stt", "llm", "listen")}
        watched = Watched(parts, collector, ports)
        for role in ("stt", "llm"):
            stack.enter_context(parts.running(role, env=watched.port(role)))
        for role in ("stt", "llm"):
            watched.wait_until_ready(role)
        yield watched


@pytest.fixture(scope="module")
def sentence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recording's first sentence, and silence enough to end it."""
    audio, rate = soundfile.read(AUDIO, dtype="int16")
    assert rate == SAMPLE_RATE
    first = audio[: round((read_sentences()[0].end_s + 0.1) * rate)]
    path = tmp_path_factory.mktemp("speech") / "sentence.wav"
    soundfile.write(path, np.concatenate([first, np.zeros(2 * rate, np.int16)]), rate)
    return path


def test_every_metric_that_rules_and_panels_name_is_there(watched: Watched) -> None:
    command = earshot("listen", "--input", "-", "--session", "metrics")
    parts = watched.parts
    env = parts.env | parts.redis.variables("listen") | watched.port("listen")
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as hears:
        watched.wait_until_ready("listen")
        found = {role: watched.metrics(role) for role in watched.ports}
        _, said = hears.communicate(bytes(2 * SAMPLE_RATE))  # a second of silence, and the end
    assert hears.returncode == 0, said.decode()
    there = set().union(*found.values())
    assert named_metrics() <= there, sorted(named_metrics() - there)
    for role in ("stt", "llm"):
        assert found[role]["earshot_workers"] == 2
        assert "earshot_outbox_utterances" not in found[role]
    assert "earshot_workers" not in found["listen"]


def check_trace(spans: dict[str, Received], events: list[dict[str, Any]]) -> None:
    """The spans nest in one turn, which lasts as long as its events say, and leave no gap."""
    turn = spans.pop("turn")
    assert turn.parent == ""
    reply = next(event for event in events if event["type"] == "reply")
    timings = reply["data"]["timings"]
    assert reply["data"]["trace"] == turn.trace
    end_to_end_ms = turn.end - turn.events["end_of_speech"]
    assert abs(end_to_end_ms - timings["done"]) <= ROUNDING_MS
    assert turn.end == reply["at"]
    for span in spans.values():
        assert span.parent == turn.id, span
        assert turn.start - ROUNDING_MS <= span.start <= span.end <= turn.end + ROUNDING_MS, span
        assert span.attributes["earshot.turn"] == reply["turn"]
    stages = sorted(spans.values(), key=lambda span: (span.start, span.end))
    covered, gaps = turn.start, 0.0
    for span in stages:
        gaps += max(0.0, span.start - covered)
        covered = max(covered, span.end)
    gaps += turn.end - covered
    assert gaps <= GAP * end_to_end_ms, stages
    token = spans["llm.generate"].events["first_token"]
    assert abs(token - turn.events["end_of_speech"] - timings["first_token"]) <= ROUNDING_MS
    assert spans["llm.generate"].start <= token <= spans["llm.generate"].end


LLM: Final = ("llm.wait", "llm.generate", "llm.settle", "turn")
STT: Final = ("stt.wait", "stt.transcribe")


def trace_in(events: list[dict[str, Any]]) -> str:
    (heard,) = (event for event in events if event["type"] == "heard")
    return trace_id(begin_trace(heard["id"]))


def test_a_turn_leaves_one_trace_from_the_first_sound_to_the_last_token(
    watched: Watched, sentence: Path
) -> None:
    done = watched.parts.run("listen", "--input", str(sentence), "--session", "traced")
    assert done.returncode == 0, done.stderr.decode()
    events = watched.parts.wait_for_endings("traced", 1)
    listen = ("listen.speech", "listen.outbox")
    spans = watched.spans(trace_in(events), *listen, *STT, *LLM)
    assert {name: span.service for name, span in spans.items()} == {
        **dict.fromkeys(listen, "earshot-listen"),
        **dict.fromkeys(STT, "earshot-stt"),
        **dict.fromkeys(LLM, "earshot-llm"),
    }
    ordered = [spans[name] for name in (*listen, *STT, *LLM[:3])]
    for before, after in pairwise(ordered):
        assert before.end == after.start
    spoken_ms = 1_000 * (read_sentences()[0].end_s - read_sentences()[0].start_s)
    assert spans["listen.speech"].end - spans["listen.speech"].start > spoken_ms / 2
    check_trace(spans, events)
    request = watched.parts.stand_in.requests()[-1]
    assert request.headers["traceparent"].split("-")[1:3] == [
        spans["llm.generate"].trace,
        spans["llm.generate"].id,
    ]


def test_what_was_sent_early_leaves_one_trace_as_well(watched: Watched, sentence: Path) -> None:
    done = watched.parts.run(
        *("listen", "--input", str(sentence), "--session", "early", "--realtime")
    )
    assert done.returncode == 0, done.stderr.decode()
    events = watched.parts.wait_for_endings("early", 1)
    listen = ("listen.speech", "listen.pause", "listen.confirm")
    spans = watched.spans(trace_in(events), *listen, *STT, *LLM)
    assert spans["stt.wait"].start == spans["listen.confirm"].start
    assert spans["llm.wait"].start == max(spans["listen.confirm"].end, spans["stt.transcribe"].end)
    check_trace(spans, events)


def test_a_trace_of_another_program_goes_on_and_its_turn_is_counted(
    watched: Watched,
) -> None:
    async def publish_it() -> None:
        async with watched.parts.redis.client() as client:
            utterance = Utterance(id="u1", session="foreign", text="hi", traceparent=FOREIGN)
            await publish(Store(client, 1, LimitSettings()), utterance)

    def counted() -> float:
        return watched.metrics("llm")["earshot_speech_to_done_seconds_count"]

    before = counted()
    asyncio.run(publish_it())
    events = watched.parts.wait_for_endings("foreign", 1)
    assert counted() == before + 1
    spans = watched.spans(trace_id(FOREIGN), "turn")
    assert spans["turn"].parent == FOREIGN.split("-")[2]
    assert events[-1]["data"]["trace"] == trace_id(FOREIGN)


def test_a_worker_without_its_llm_server_is_alive_and_not_ready(watched: Watched) -> None:
    stand_in = watched.parts.stand_in
    stand_in.kill()
    try:
        assert watched.parts.run("say", "hello", "--session", "lonely").returncode == 0
        _, why = until_sync(lambda: watched.page("llm", "readyz"), lambda answer: answer[0] == 503)
        assert stand_in.base_url in why
        assert watched.page("llm", "healthz") == (200, "ok\n")
        assert watched.page("stt", "readyz") == (200, "ok\n")
        assert watched.metrics("llm")["earshot_breaker_state"] > 0
    finally:
        stand_in.start()
    watched.parts.wait_for_endings("lonely", 1)
    watched.wait_until_ready("llm")
    assert watched.metrics("llm")["earshot_breaker_state"] == 0
