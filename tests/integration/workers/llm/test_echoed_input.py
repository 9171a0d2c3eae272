"""A server that repeats a request in its refusal puts nothing of what was said into the log of a
real worker, nor into the error that ends the turn."""

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import pytest

from common.keys import Shard
from common.redis.store import Store
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.conftest import FAST
from tests.support.command_line import CommandProcesses
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync

SPOKEN: Final = "my pin is four seven eleven and nobody may know it"


@pytest.fixture(params=["fields", "words"])
def echoing(request: pytest.FixtureRequest) -> Iterator[str]:
    """The base URL of a server that refuses each chat request, and repeats it."""

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {"object": "list", "data": [{"id": "m", "object": "model"}]})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            problem = {"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}
            fields = {"detail": [problem | {"input": asked}]}
            words = {"error": {"message": f"cannot answer {asked['messages']!r}"}}
            self._answer(422, fields if request.param == "fields" else words)

        def _answer(self, status: int, body: Any) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def test_a_refusal_that_repeats_the_request_is_not_logged(
    echoing: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    async def say() -> None:
        async with redis_server.client() as client:
            await publish(Store(client, 1, FAST), Utterance(id="u", session="s", text=SPOKEN))

    asyncio.run(say())
    processes = CommandProcesses(tmp_path, EARSHOT_REDIS__URL=redis_server.url)
    worker = processes.start("llm", EARSHOT_LLM__BASE_URL=echoing, EARSHOT_LLM__MODEL="m")
    try:
        with redis_server.sync_client() as client:

            def errors() -> list[str]:
                rows: Any = client.xrange(Shard(0).results)
                return [f[b"data"].decode() for _, f in rows if f[b"type"] == b"error"]

            (error,) = until_sync(errors)
        worker.terminate()
        _, logged = worker.communicate(timeout=60)
    finally:
        processes.close()
    assert '"buried"' in logged
    for text in (logged, error):
        assert "seven eleven" not in text
        assert "refuses the request" in text
