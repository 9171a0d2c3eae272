"""The supervisor's roles: heard, started again when they die, ended once and together, and
never left behind by a parent that was killed.
"""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ops.local.supervisor import (
    NotReady,
    RoleEnded,
    StopRequested,
    Supervisor,
    print_to_stderr,
    role_command,
)
from tests.support.waiting import until

DEADLINE_S = 30.0

FOREVER = "print('up', flush=True); import time; time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + FOREVER
POLITE = """
import signal, sys, time
def leave(number, frame):
    print('asked', number, flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
signal.signal(signal.SIGINT, leave)
print('up', flush=True)
while True:
    time.sleep(600)
"""


def _python(source: str) -> list[str]:
    return [sys.executable, "-c", source]


class _Heard:
    """A sink that a test can await."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))

    async def until(self, name: str, line: str, times: int = 1) -> None:
        await until(lambda: self.lines.count((name, line)) >= times)


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_lines_of_both_streams_come_with_the_name_of_their_role() -> None:
    heard = _Heard()
    async with Supervisor(heard) as roles:
        await roles.spawn("a", _python("print('out')"))
        await roles.spawn("b", _python("import sys; sys.stderr.write('no line end')"))
        assert await roles.ended("a") == 0
        assert await roles.ended("b") == 0
    assert sorted(heard.lines) == [("a", "out"), ("b", "no line end")]


async def test_a_line_beyond_all_measure_loses_nothing() -> None:
    heard = _Heard()
    async with Supervisor(heard) as roles:
        await roles.spawn("a", _python("print('x' * 3_000_000); print('after')"))
        await roles.ended("a")
    assert sum(len(line) for _, line in heard.lines) == 3_000_000 + len("after")
    assert heard.lines[-1] == ("a", "after")


async def test_bytes_that_are_no_text_do_not_stop_the_reading() -> None:
    heard = _Heard()
    async with Supervisor(heard) as roles:
        await roles.spawn("a", _python(r"import os; os.write(1, b'\xff\xfe\nfine\n')"))
        await roles.ended("a")
    assert ("a", "fine") in heard.lines


async def test_a_sink_that_fails_does_not_stop_the_role() -> None:
    def broken(name: str, line: str) -> None:
        raise BrokenPipeError

    async with Supervisor(broken) as roles:
        await roles.spawn("a", _python("print('x' * 1_000_000)"))
        assert await roles.ended("a") == 0


async def test_env_is_the_whole_environment_of_the_role() -> None:
    heard = _Heard()
    source = "import os; print(os.environ.get('EARSHOT_LLM__MODEL'), os.environ.get('HOME'))"
    async with Supervisor(heard) as roles:
        await roles.spawn("a", _python(source), {"EARSHOT_LLM__MODEL": "m"})
        await roles.ended("a")
    assert heard.lines == [("a", "m None")]


async def test_a_role_that_is_killed_starts_again() -> None:
    heard = _Heard()
    async with Supervisor(heard, first_pause_s=0.01) as roles:
        await roles.spawn("a", _python(FOREVER))
        await heard.until("a", "up")
        first = roles.pid("a")
        os.kill(first, signal.SIGKILL)
        await heard.until("a", "up", times=2)
        assert roles.pid("a") != first


async def test_a_role_that_fails_starts_again(tmp_path: Path) -> None:
    source = f"""
import pathlib, sys
mark = pathlib.Path({str(tmp_path / "mark")!r})
if not mark.exists():
    mark.touch()
    sys.exit(3)
{FOREVER}
"""
    heard = _Heard()
    async with Supervisor(heard, first_pause_s=0.01) as roles:
        await roles.spawn("a", _python(source))
        await heard.until("a", "up")


async def test_the_pauses_before_a_new_start_grow_to_their_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def at_once(_: object, seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) == 5

    monkeypatch.setattr("ops.local.child.Child.asked_within", at_once)
    async with Supervisor(_Heard(), first_pause_s=1, max_pause_s=5) as roles:
        await roles.spawn("a", _python("raise SystemExit(1)"))
        assert await roles.ended("a") == 1
    assert pauses == [1, 2, 4, 5, 5]


async def test_a_role_that_is_done_does_not_start_again() -> None:
    heard = _Heard()
    async with Supervisor(heard, first_pause_s=0) as roles:
        await roles.spawn("a", _python("print('once')"))
        assert await roles.ended("a") == 0
    assert heard.lines == [("a", "once")]


async def test_a_role_not_to_be_restarted_ends_with_its_status() -> None:
    heard = _Heard()
    async with Supervisor(heard, first_pause_s=0) as roles:
        await roles.spawn("a", _python("print('once'); raise SystemExit(4)"), restart=False)
        assert await roles.ended("a") == 4
    assert heard.lines == [("a", "once")]


async def test_stop_asks_each_role_once_and_waits_for_it() -> None:
    heard = _Heard()
    async with Supervisor(heard) as roles:
        for name in ("a", "b"):
            await roles.spawn(name, _python(POLITE))
        for name in ("a", "b"):
            await heard.until(name, "up")
        await asyncio.gather(roles.stop(), roles.stop())
    asked = ("a", "asked 15"), ("b", "asked 15")
    assert sorted(line for line in heard.lines if line[1] != "up") == sorted(asked)


async def test_one_role_can_be_stopped_and_its_name_used_again() -> None:
    heard = _Heard()
    async with Supervisor(heard) as roles:
        await roles.spawn("a", _python(POLITE))
        await roles.spawn("b", _python(POLITE))
        await heard.until("a", "up")
        await heard.until("b", "up")
        first, other = roles.pid("a"), roles.pid("b")
        await roles.stop("a")
        assert _gone(first)
        assert not _gone(other)
        with pytest.raises(ValueError, match="a role b already"):
            await roles.spawn("b", _python(POLITE))
        await roles.spawn("a", _python(POLITE))
        await heard.until("a", "up", times=2)


async def test_a_role_that_does_not_end_is_killed_with_its_own_children() -> None:
    heard = _Heard()
    source = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}], stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
{STUBBORN}
"""
    async with Supervisor(heard, grace_s=0.2) as roles:
        await roles.spawn("a", _python(source))
        await heard.until("a", "up")
        pid = roles.pid("a")
    grandchild = int(heard.lines[0][1])
    await until(lambda: _gone(pid) and _gone(grandchild))


async def test_a_role_waiting_to_start_again_ends_at_once() -> None:
    heard = _Heard()
    async with Supervisor(heard, first_pause_s=600, grace_s=600) as roles:
        await roles.spawn("a", _python("print('up'); raise SystemExit(1)"))
        await heard.until("a", "up")
        pid = roles.pid("a")
        await until(lambda: _gone(pid))
        async with asyncio.timeout(DEADLINE_S):
            await roles.stop()


async def test_a_program_that_is_not_there_is_said_at_once() -> None:
    async with Supervisor(_Heard()) as roles:
        with pytest.raises(FileNotFoundError):
            await roles.spawn("a", ["/no/such/program"])


async def test_until_hands_on_the_answer() -> None:
    heard = _Heard()
    async with Supervisor(heard) as roles:
        await roles.spawn("a", _python(FOREVER))

        async def ready() -> int:
            await heard.until("a", "up")
            return 7

        assert await roles.until(ready(), stop=asyncio.Event()) == 7


@pytest.mark.parametrize("restart", [True, False])
async def test_until_ends_with_the_last_words_of_a_role_that_cannot(restart: bool) -> None:
    source = "import sys; print('earshot: no such model', file=sys.stderr); sys.exit(2)"
    async with Supervisor(_Heard(), first_pause_s=600) as roles:
        await roles.spawn("stt-1", _python(source), restart=restart)
        with pytest.raises(RoleEnded, match=r"stt-1 ended \(exit status 2\): earshot: no such mo"):
            await roles.until(asyncio.Event().wait(), stop=asyncio.Event())


async def test_until_sees_a_failure_from_before_it_was_asked() -> None:
    async with Supervisor(_Heard()) as roles:
        await roles.spawn("a", _python("raise SystemExit('no')"), restart=False)
        await roles.ended("a")
        with pytest.raises(RoleEnded, match="a ended"):
            await roles.until(asyncio.Event().wait(), stop=asyncio.Event())


async def test_until_goes_on_when_a_role_is_killed_and_starts_again() -> None:
    heard = _Heard()
    async with Supervisor(heard, first_pause_s=0.01) as roles:
        await roles.spawn("a", _python(FOREVER))
        await heard.until("a", "up")
        os.kill(roles.pid("a"), signal.SIGKILL)
        await roles.until(heard.until("a", "up", times=2), stop=asyncio.Event())


async def test_until_says_what_it_waited_for() -> None:
    heard = _Heard()
    async with Supervisor(heard) as roles:
        await roles.spawn("a", _python(FOREVER))
        await heard.until("a", "up")
        with pytest.raises(NotReady, match=r"not ready after 0.01 s: a said 'up'"):
            await roles.until(asyncio.Event().wait(), stop=asyncio.Event(), timeout_s=0.01)


async def test_until_ends_when_the_person_wants_to_stop() -> None:
    stop = asyncio.Event()
    stop.set()
    async with Supervisor(_Heard()) as roles:
        await roles.spawn("a", _python(FOREVER))
        with pytest.raises(StopRequested):
            await roles.until(asyncio.Event().wait(), stop=stop)


PARENT = """
import asyncio, signal, sys
from ops.local.supervisor import Supervisor, print_to_stderr

async def main():
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Supervisor(print_to_stderr) as roles:
        await roles.spawn("a", [sys.executable, "-c", sys.argv[1]])
        print(roles.pid("a"), flush=True)
        await stop.wait()
    print("all ended", flush=True)

asyncio.run(main())
"""


def _parent(child: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, child],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


async def test_the_terminals_ctrl_c_reaches_the_roles_once_through_the_parent() -> None:
    with _parent(POLITE) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        parent.stdout.readline()
        assert parent.stderr.readline() == "     a | up\n"
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does: to the whole group
        said, logged = parent.communicate(timeout=DEADLINE_S)
    assert parent.returncode == 0
    assert said.splitlines()[-1] == "all ended"
    assert logged == "     a | asked 15\n"


async def test_roles_end_with_a_parent_that_is_killed() -> None:
    with _parent(FOREVER) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.communicate(timeout=DEADLINE_S)
    await until(lambda: _gone(pid))


def test_a_role_runs_the_earshot_command_of_this_python(tmp_path: Path) -> None:
    """Whatever lies in the working directory."""
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    answer = subprocess.run(
        role_command("config", "--help"), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "every setting" in answer.stdout


def test_the_sink_for_a_terminal_aligns_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    print_to_stderr("stt-1", "ready")
    print_to_stderr("llm", "ready")
    assert capsys.readouterr().err == " stt-1 | ready\n   llm | ready\n"
