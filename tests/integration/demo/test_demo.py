"""`earshot demo` answers every sentence of the bundled recording and loses nothing, at the speed of
speech, with nothing but what a fresh machine has."""

import json
import os
import subprocess

from common.events import EVENTS
from ops.demo.recording_file import normalise, read_sentences
from tests.support.pipeline import DEADLINE_S, earshot

# no network, how to reach another Redis, and settings that do not say which model or server
ELSEWHERE = {
    "EARSHOT_STT__BEAM_SIZE": "1",
    "EARSHOT_LLM__ROUNDS": "8",
    "HF_HUB_OFFLINE": "1",
    "EARSHOT_REDIS__USERNAME": "somebody",
    "EARSHOT_REDIS__PASSWORD": "secret",
    "EARSHOT_REDIS__CA_FILE": "/nowhere/ca.crt",
}


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("EARSHOT_")}
    return subprocess.run(
        earshot("demo", *arguments),
        env=env | ELSEWHERE,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_json_is_the_result_events_and_one_summary() -> None:
    done = demo("--json")
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    events = [EVENTS.validate_json(line) for line in lines]
    summary = json.loads(last)
    assert set(summary) == {"utterances", "replies", "merged", "skipped", "errors", "lost"}
    assert summary["utterances"] == sum(event.type == "heard" for event in events)
    ends = [summary[name] for name in ("replies", "merged", "skipped", "errors", "lost")]
    assert summary["utterances"] == sum(ends)
    assert summary["errors"] == summary["lost"] == 0
    assert summary["replies"] + summary["merged"] >= len(read_sentences()) >= 6
    heard = [normalise(event.data.text) for event in events if event.type == "transcript"]
    spoken = [normalise(sentence.text) for sentence in read_sentences()]
    assert sum(sentence in heard for sentence in spoken) >= 5 / 6 * len(spoken), heard


def test_a_person_reads_a_conversation() -> None:
    done = demo()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sum(line.startswith("User: ") for line in lines) >= 6
    assert sum(line.startswith("AI  : ") for line in lines) >= 6
    assert "0 errors, 0 lost" in lines[-1]
    assert "Traceback" not in done.stderr
