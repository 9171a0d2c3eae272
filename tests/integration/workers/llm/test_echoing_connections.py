"""A server may repeat what was said anywhere: in a broken status line, a header, a chunk, an event.
Whatever it is, neither the log of a real worker nor the error that ends the turn repeats it."""

import asyncio
import json
import re
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any, Final

from common.keys import Shard
from common.redis.store import Store
from common.settings import LimitSettings
from common.transitions.publishing import publish
from common.utterance import Utterance
from tests.support.command_line import CommandProcesses
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync
from workers.llm.meanings.quotation import repeats

SPOKEN: Final = "my pin is four seven eleven and nobody may know it"
OK: Final = "HTTP/1.1 200 OK\r\n"
EVENTS: Final = f"{OK}Content-Type: text/event-stream\r\n"
SIZE: Final = f"Content-Length: {len(SPOKEN)}\r\n"


def event(**chunk: Any) -> str:
    return f"{EVENTS}\r\ndata: {json.dumps(chunk)}\n\n"


def choice(**values: Any) -> str:
    return event(id="x", object="chat.completion.chunk", choices=[{"index": 0, **values}])


ANSWERS: Final = (
    f"{SPOKEN}\r\n\r\n",
    f"HTTP/1.1 {SPOKEN}\r\n\r\n",
    f"{EVENTS}{SPOKEN}\r\n\r\n",
    f"{EVENTS}Content-Length: {SPOKEN}\r\n\r\n",
    f"{EVENTS}Transfer-Encoding: {SPOKEN}\r\n\r\n",
    f"{EVENTS}Transfer-Encoding: chunked\r\n\r\n{SPOKEN}\r\n",
    f"{EVENTS}Content-Encoding: gzip\r\n{SIZE}\r\n{SPOKEN}",
    f"{OK}Content-Type: {SPOKEN}\r\nContent-Length: 2\r\n\r\n{{}}",
    f"{OK}Content-Type: text/html\r\n\r\n<title>{SPOKEN}",
    f"HTTP/1.1 307 Elsewhere\r\nLocation: {SPOKEN.replace(' ', '_')}\r\nContent-Length: 0\r\n\r\n",
    f"HTTP/1.1 302 X\r\nLocation: http://{SPOKEN.replace(' ', '.')}\r\nContent-Length: 0\r\n\r\n",
    f"HTTP/1.1 500 {SPOKEN}\r\nContent-Length: 0\r\n\r\n",
    f"HTTP/1.1 400 Bad\r\n{SIZE}\r\n{SPOKEN}",
    f"HTTP/1.1 403 Bad\r\n{SIZE}\r\n{SPOKEN}",
    f"HTTP/1.1 502 Bad\r\nRetry-After: {SPOKEN}\r\n{SIZE}\r\n{SPOKEN}",
    f"{EVENTS}\r\ndata: {SPOKEN}\n\n",
    f"{EVENTS}\r\nevent: error\ndata: {json.dumps({'message': SPOKEN})}\n\n",
    f"{EVENTS}\r\n{SPOKEN}: {SPOKEN}\n\n",
    event(error={"message": SPOKEN, "type": SPOKEN, "code": SPOKEN, "param": SPOKEN}),
    event(error=SPOKEN),
    event(**{SPOKEN: SPOKEN}),
    choice(delta={}, finish_reason=SPOKEN),
    choice(delta={"tool_calls": [{"index": 0, "function": {"name": SPOKEN}}]}, finish_reason="x"),
    choice(delta=SPOKEN, finish_reason="stop"),
)


class Echo(StreamRequestHandler):
    """Refuses each request in the way whose number it holds, and answers all others."""

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.rfile.readline() or b"\r\n\r\n"
        length = re.search(rb"(?i)content-length: (\d+)", head)
        asked = self.rfile.read(int(length[1]) if length else 0).decode()
        number = re.search(rf"{SPOKEN} (\d+)", asked)
        if number is not None:
            answer = ANSWERS[int(number[1])]
        elif "/models" in head.decode():
            answer = _json({"object": "list", "data": [{"id": "m", "object": "model"}]})
        elif '"stream": true' in asked or '"stream":true' in asked:
            answer = choice(delta={"content": "fine"}, finish_reason="stop") + "data: [DONE]\n\n"
        else:
            said = {"index": 0, "message": {"role": "assistant", "content": "fine"}}
            answer = _json({"id": "x", "object": "chat.completion", "choices": [said]})
        self.wfile.write(answer.encode())


def _json(body: Any) -> str:
    text = json.dumps(body)
    return f"{OK}Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}"


def test_no_answer_of_any_form_brings_speech_into_a_log(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async def say() -> None:
        async with redis_server.client() as client:
            store = Store(client, 1, LimitSettings())
            for number in range(len(ANSWERS)):
                text = f"{SPOKEN} {number}"
                said = Utterance(id=f"u{number}", session=f"s{number}", text=text)
                await publish(store, said)

    asyncio.run(say())
    ThreadingTCPServer.daemon_threads = True
    with ThreadingTCPServer(("127.0.0.1", 0), Echo) as echo, redis_server.sync_client() as client:
        thread = Thread(target=echo.serve_forever)
        thread.start()
        processes = CommandProcesses(
            tmp_path,
            EARSHOT_REDIS__URL=redis_server.url,
            EARSHOT_LLM__BASE_URL=f"http://127.0.0.1:{echo.server_address[1]}/v1",
            EARSHOT_LLM__MODEL="m",
            EARSHOT_WORKER__MAX_DELIVERIES="1",
            EARSHOT_WORKER__BACKOFF_MAX_S="0.1",
        )
        try:
            worker = processes.start("llm")

            def endings() -> dict[str, str]:
                rows: Any = client.xrange(Shard(0).results)
                return {
                    fields[b"session"].decode(): fields[b"data"].decode()
                    for _, fields in rows
                    if fields[b"type"] in (b"error", b"reply")
                }

            ended = until_sync(endings, lambda seen: len(seen) == len(ANSWERS))
            worker.terminate()
            _, logged = worker.communicate(timeout=60)
        finally:
            processes.close()
            echo.shutdown()
            thread.join()
    assert '"buried"' in logged
    said = [{"role": "user", "content": SPOKEN}]
    assert [line for line in logged.splitlines() if repeats(line, said)] == []
    errors = {name: data for name, data in ended.items() if '"error"' in data}
    assert len(errors) > len(ANSWERS) / 2
    assert {name: data for name, data in errors.items() if repeats(data, said)} == {}
