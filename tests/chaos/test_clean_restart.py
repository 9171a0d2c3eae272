"""Redis restarted in good order loses nothing, with `appendfsync everysec` neither, whatever is in
hand at that moment.
"""

import asyncio
from pathlib import Path

from tests.chaos.worker_processes import running_worker_processes
from tests.support.redis_server import RedisServer

EVERYSEC = {"appendonly": "yes", "appendfsync": "everysec"}


async def test_restarts_under_load_lose_nothing(tmp_path: Path) -> None:
    with RedisServer(options=EVERYSEC) as server:
        async with running_worker_processes(
            tmp_path, server.url, stt=2, llm=2, tokens_per_s=200.0
        ) as workers:
            for number in range(90):
                await workers.publish(f"s{number % 9}")
                if number in {30, 60}:
                    await asyncio.to_thread(server.restart, clean=True)
                await asyncio.sleep(0.02)
            findings = await workers.wait_until_at_rest()
            assert findings.answered == findings.accepted == 90
