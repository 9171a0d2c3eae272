"""Who guesses the token is slowed down and refused; who has logged in, or has the token, gets in
meanwhile, also after a restart."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Final

import httpx

from tests.integration.dashboard.guarded_dashboard import BEARER, TOKEN
from tests.support.dashboard_process import DashboardProcess
from tests.support.redis_server import RedisServer

GUESSES: Final = 40


async def guess(http: httpx.AsyncClient, number: int) -> httpx.Response:
    if number % 2:
        return await http.post("/login", data={"token": f"guess {number}"})
    return await http.get("/api/overview", headers={"Authorization": f"Bearer {number}"})


async def test_guessing_is_slow_and_locks_nobody_out(tmp_path: Path) -> None:
    variables = {"EARSHOT_DASHBOARD__TOKEN": TOKEN, "EARSHOT_DASHBOARD__HOST": "127.0.0.1"}
    with (
        RedisServer(tcp=True) as server,
        DashboardProcess(tmp_path, server.url, variables) as board,
    ):
        client = httpx.AsyncClient(base_url=board.url, trust_env=False, timeout=120)
        other = httpx.AsyncClient(base_url=board.url, trust_env=False, timeout=120)
        async with client as person, other as stranger:
            assert (await person.post("/login", data={"token": TOKEN})).status_code == 303
            guessing = [asyncio.create_task(guess(stranger, n)) for n in range(GUESSES)]
            for ended in asyncio.as_completed(guessing):
                refused = await ended
                if refused.status_code == 429:
                    break
            assert refused.status_code == 429
            assert int(refused.headers["Retry-After"]) >= 1
            assert "too many wrong tokens" in refused.text.lower()
            assert (await person.get("/api/overview")).status_code == 200
            assert not all(task.done() for task in guessing), "it did not wait for those"
            answers = Counter(answer.status_code for answer in await asyncio.gather(*guessing))
            assert set(answers) == {401, 429}
            assert (await stranger.get("/api/overview", headers=BEARER)).status_code == 200
            assert board.log.count("token_guessed") == 1
            assert "guess 1" not in board.log
            board.stop()
            board.start()
            assert (await person.get("/api/overview")).status_code == 200
