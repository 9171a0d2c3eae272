"""A producer that is killed in the middle of a sentence holds back nothing of what is said after it
was started again: real processes, with the real model and real HTTP."""

import io
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from common.audio import SAMPLE_RATE
from common.keys import Shard
from ops.bench.eager import make_clips
from tests.support.command_line import CommandProcesses, finish
from tests.support.pipeline import endings, running_pipeline
from tests.support.waiting import until_sync

SHARD = Shard(0)
# Of a draft; whoever waits for that, waits for longer than any test may.
LONG = {"EARSHOT_LIMITS__TURN_TIMEOUT_S": "3600", "EARSHOT_LIMITS__TEND_AFTER_S": "1"}


def _say(process: subprocess.Popen[str], samples: np.ndarray[Any, np.dtype[np.int16]]) -> None:
    assert isinstance(process.stdin, io.TextIOWrapper)
    process.stdin.buffer.write(samples.astype("<i2").tobytes())
    process.stdin.buffer.flush()


def test_after_a_restart_the_next_sentence_is_answered_at_once(tmp_path: Path) -> None:
    sentence, silence = make_clips(pairs=False)[0].samples, np.zeros(2 * SAMPLE_RATE, np.int16)
    turn = np.concatenate([sentence, silence])
    listen = ("listen", "--input", "-", "--session", "s1", "--eager", "on")
    with running_pipeline(tmp_path, stt=0, llm=0) as parts:
        parts.env |= LONG
        with parts.running("stt"), parts.running("llm"):
            variables = {name: value for name, value in parts.env.items() if "EARSHOT" in name}
            processes = CommandProcesses(tmp_path, **variables, EARSHOT_REDIS__URL=parts.redis.url)
            first = processes.start(*listen)
            _say(first, turn)
            parts.wait_for_endings("s1", 1)
            # a pause, and no second of silence: nobody knows whether it is over
            _say(first, np.concatenate([sentence, silence[: SAMPLE_RATE // 2]]))
            with parts.redis.sync_client() as client:
                until_sync(lambda: client.hget(SHARD.inbox("s1"), 2))
            first.send_signal(signal.SIGKILL)
            first.communicate()
            assert len(endings(parts.events("s1"))) == 1

            second = processes.start(*listen)
            _say(second, turn)
            status, _, told = finish(second)
            assert status == 0, told
            events = parts.wait_for_endings("s1", 3)
    assert "draft_of_killed_process_ended" in told
    ends = [
        (event["turn"], event["type"], event["data"].get("reason")) for event in endings(events)
    ]
    assert ends == [(1, "reply", None), (2, "skipped", "expired"), (3, "reply", None)]
