"""What a visitor sends waits on the dashboard's disk until Redis has it, also over a restart; and
what is too large, or no audio, is refused with a sentence."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import httpx
import soundfile
from starlette.websockets import WebSocketDisconnect
from websockets.sync.client import connect

from common.utterance import Utterance
from ops.dashboard.routes.sending import Sending
from ops.dashboard.visitors.admission import Admission
from ops.dashboard.visitors.uploads import Uploads
from producer.shipping.outbox import Outbox
from tests.support.dashboard_process import DashboardProcess
from tests.support.listening import SPEECH
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync

WEBRTC = {"EARSHOT_LISTEN__VAD": "webrtc"}  # it hears speech in what is made by rule


def _wav(folder: Path) -> bytes:
    path = folder / "speech.wav"
    soundfile.write(path, SPEECH, 16_000)
    return path.read_bytes()


def _heard(server: RedisServer) -> list[dict[bytes, bytes]]:
    with server.sync_client() as client:
        return [fields for _, fields in client.xrange("earshot:{0}:utterances")]


def test_what_redis_could_not_take_is_sent_after_a_restart(tmp_path: Path) -> None:
    with RedisServer(tcp=True) as server, DashboardProcess(tmp_path, server.url, WEBRTC) as board:
        server.stop()
        with httpx.Client(base_url=board.url, trust_env=False) as http:
            session = http.post("/api/recordings?name=a.wav", content=_wav(tmp_path)).json()[
                "session"
            ]
        outboxes = tmp_path / "outbox" / "dashboard"
        until_sync(lambda: '"utterance_heard"' in board.log, bool)
        assert board.stop() == 0, board.log
        assert [path.stem for path in outboxes.glob("*.sqlite3")] == [session]
        with Outbox(outboxes, "web-00000000", max_bytes=2**20, max_age_s=1e9) as parked:
            said = Utterance(
                id="u", session="web-00000000", samples=1, audio=b"ab", codec="pcm_s16le"
            )
            parked.add(said, age_s=1e8)
            parked.park(1, "Redis refused it")
        server.start()
        board.start()
        (utterance,) = until_sync(lambda: _heard(server), bool)
        assert utterance[b"session"].decode() == session
        assert utterance[b"source"] == b"a.wav"
        until_sync(lambda: list(outboxes.iterdir()), lambda left: not left)


def test_what_was_said_before_the_page_left_is_sent(tmp_path: Path) -> None:
    with RedisServer(tcp=True) as server, DashboardProcess(tmp_path, server.url, WEBRTC) as board:
        url = board.url.replace("http", "ws") + "api/speak?session=web-0a1b2c3d"
        with connect(url, proxy=None, compression=None) as socket:
            assert json.loads(socket.recv()) == {"session": "web-0a1b2c3d"}
            # in odd blocks, and gone in the middle of the silence
            audio = SPEECH[:30_000].tobytes()
            for start in range(0, len(audio), 3_000):
                socket.send(audio[start : start + 3_000])
        (utterance,) = until_sync(lambda: _heard(server), bool)
        assert utterance[b"session"] == b"web-0a1b2c3d"
        assert 1_200 < int(utterance[b"speech_ms"]) < 1_900
        with connect(url.replace("web-0a1b2c3d", "kitchen"), proxy=None) as socket:
            assert json.loads(socket.recv())["session"].startswith("web-")


def test_too_much_is_refused(tmp_path: Path) -> None:
    small = {"EARSHOT_DASHBOARD__UPLOAD_MAX_MB": "0.01"}
    with (
        RedisServer(tcp=True) as server,
        DashboardProcess(tmp_path, server.url, small) as board,
        httpx.Client(base_url=board.url, trust_env=False) as http,
    ):
        answer = http.post("/api/recordings?name=a.wav", content=_wav(tmp_path))
        assert answer.status_code == 413
        assert "larger than 0.01 MB" in answer.json()["error"]
        assert http.post("/api/recordings?name=../../../a", content=b"").status_code == 400
        long = "\u8a9e" * 100  # 300 bytes
        assert http.post(f"/api/recordings?name={long}.wav", content=b"").status_code == 400
        assert http.get("/api/recordings/web-00000000").status_code == 400


class Gone:
    """A page that has left before the first word."""

    query_params: Final[dict[str, str]] = {}

    async def accept(self) -> None:
        pass

    async def send_text(self, text: str) -> None:
        raise WebSocketDisconnect(1006)


async def test_a_page_that_left_at_once_is_not_listened_to_for_ever(tmp_path: Path) -> None:
    begun: list[Any] = []
    producing: Any = SimpleNamespace(
        frame_ms=30,
        find=lambda session: None,
        begin=lambda source, session, on_end: begun.append(source),
    )
    page: Any = Gone()
    admission = Admission(max_bytes=1, limit="", free=lambda: 0)
    with Uploads(tmp_path) as uploads:
        await Sending(producing, admission, uploads).speak(page)
    assert list(begun[0]) == [], "it has ended"
