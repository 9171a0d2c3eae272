"""The supervisor's roles are heard, started again when they die, and ended once and together."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest

from ops.local.supervisor import Supervisor, print_to_stderr, role_command
from tests.support.waiting import until
from tests.unit.ops.local.role_scripts import (
    DEADLINE_S,
    FOREVER,
    POLITE,
    STUBBORN,
    HeardLines,
    is_gone,
    python_command,
)


async def test_lines_of_both_streams_come_with_the_name_of_their_role() -> None:
    heard = HeardLines()
    async with Supervisor(heard) as roles:
        await roles.spawn("a", python_command("print('out')"))
        await roles.spawn("b", python_command("import sys; sys.stderr.write('no line end')"))
        assert await roles.wait_for_end("a") == 0
        assert await roles.wait_for_end("b") == 0
    assert sorted(heard.lines) == [("a", "out"), ("b", "no line end")]


async def test_a_line_beyond_all_measure_loses_nothing() -> None:
    heard = HeardLines()
    async with Supervisor(heard) as roles:
        await roles.spawn("a", python_command("print('x' * 3_000_000); print('after')"))
        await roles.wait_for_end("a")
    assert sum(len(line) for _, line in heard.lines) == 3_000_000 + len("after")
    assert heard.lines[-1] == ("a", "after")


async def test_bytes_that_are_no_text_do_not_stop_the_reading() -> None:
    heard = HeardLines()
    async with Supervisor(heard) as roles:
        await roles.spawn("a", python_command(r"import os; os.write(1, b'\xff\xfe\nfine\n')"))
        await roles.wait_for_end("a")
    assert ("a", "fine") in heard.lines


async def test_a_sink_that_fails_does_not_stop_the_role() -> None:
    def broken(name: str, line: str) -> None:
        raise BrokenPipeError

    async with Supervisor(broken) as roles:
        await roles.spawn("a", python_command("print('x' * 1_000_000)"))
        assert await roles.wait_for_end("a") == 0


async def test_env_is_the_whole_environment_of_the_role() -> None:
    heard = HeardLines()
    source = "import os; print(os.environ.get('EARSHOT_LLM__MODEL'), os.environ.get('HOME'))"
    async with Supervisor(heard) as roles:
        await roles.spawn("a", python_command(source), {"EARSHOT_LLM__MODEL": "m"})
        await roles.wait_for_end("a")
    assert heard.lines == [("a", "m None")]


async def test_a_role_that_is_killed_starts_again() -> None:
    heard = HeardLines()
    async with Supervisor(heard, first_pause_s=0.01) as roles:
        await roles.spawn("a", python_command(FOREVER))
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
    heard = HeardLines()
    async with Supervisor(heard, first_pause_s=0.01) as roles:
        await roles.spawn("a", python_command(source))
        await heard.until("a", "up")


async def test_the_pauses_before_a_new_start_grow_to_their_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def at_once(_: object, seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) == 5

    monkeypatch.setattr("ops.local.child.Child.wait_for_stop_request", at_once)
    async with Supervisor(HeardLines(), first_pause_s=1, max_pause_s=5) as roles:
        await roles.spawn("a", python_command("raise SystemExit(1)"))
        assert await roles.wait_for_end("a") == 1
    assert pauses == [1, 2, 4, 5, 5]


async def test_a_role_that_is_done_does_not_start_again() -> None:
    heard = HeardLines()
    async with Supervisor(heard, first_pause_s=0) as roles:
        await roles.spawn("a", python_command("print('once')"))
        assert await roles.wait_for_end("a") == 0
    assert heard.lines == [("a", "once")]


async def test_a_role_not_to_be_restarted_ends_with_its_status() -> None:
    heard = HeardLines()
    async with Supervisor(heard, first_pause_s=0) as roles:
        await roles.spawn("a", python_command("print('once'); raise SystemExit(4)"), restart=False)
        assert await roles.wait_for_end("a") == 4
    assert heard.lines == [("a", "once")]


async def test_stop_asks_each_role_once_and_waits_for_it() -> None:
    heard = HeardLines()
    async with Supervisor(heard) as roles:
        for name in ("a", "b"):
            await roles.spawn(name, python_command(POLITE))
        for name in ("a", "b"):
            await heard.until(name, "up")
        await asyncio.gather(roles.stop(), roles.stop())
    asked = ("a", "asked 15"), ("b", "asked 15")
    assert sorted(line for line in heard.lines if line[1] != "up") == sorted(asked)


async def test_one_role_can_be_stopped_and_its_name_used_again() -> None:
    heard = HeardLines()
    async with Supervisor(heard) as roles:
        await roles.spawn("a", python_command(POLITE))
        await roles.spawn("b", python_command(POLITE))
        await heard.until("a", "up")
        await heard.until("b", "up")
        first, other = roles.pid("a"), roles.pid("b")
        await roles.stop("a")
        assert is_gone(first)
        assert not is_gone(other)
        with pytest.raises(ValueError, match="a role b already"):
            await roles.spawn("b", python_command(POLITE))
        await roles.spawn("a", python_command(POLITE))
        await heard.until("a", "up", times=2)


async def test_a_role_that_does_not_end_is_killed_with_its_own_children() -> None:
    heard = HeardLines()
    source = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}], stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
{STUBBORN}
"""
    async with Supervisor(heard, grace_s=0.2) as roles:
        await roles.spawn("a", python_command(source))
        await heard.until("a", "up")
        pid = roles.pid("a")
    grandchild = int(heard.lines[0][1])
    await until(lambda: is_gone(pid) and is_gone(grandchild))


async def test_a_role_waiting_to_start_again_ends_at_once() -> None:
    heard = HeardLines()
    async with Supervisor(heard, first_pause_s=600, grace_s=600) as roles:
        await roles.spawn("a", python_command("print('up'); raise SystemExit(1)"))
        await heard.until("a", "up")
        pid = roles.pid("a")
        await until(lambda: is_gone(pid))
        async with asyncio.timeout(DEADLINE_S):
            await roles.stop()


async def test_a_program_that_is_not_there_is_said_at_once() -> None:
    async with Supervisor(HeardLines()) as roles:
        with pytest.raises(FileNotFoundError):
            await roles.spawn("a", ["/no/such/program"])


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
