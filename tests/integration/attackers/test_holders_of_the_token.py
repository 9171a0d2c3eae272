"""What somebody gets who has the dashboard's token and nothing else, tried on a real dashboard with
a secured Redis: no secret, no file, no session of a microphone, and no action that it does not
offer; and no action at all where the dashboard runs as `viewer`."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest
import soundfile
from websockets.sync.client import connect

from common.keys import SHARDS, Shard
from tests.integration.dashboard.guarded_dashboard import BEARER, TOKEN
from tests.support.dashboard_process import DashboardProcess
from tests.support.listening import SPEECH
from tests.support.secured_redis import SecuredRedis

SHARD: Final = Shard(0)
PROMPT: Final = "you are a very private prompt"
LLM_KEY: Final = "sk-key-of-the-llm-server"
JOBS_PASSWORD: Final = "password-of-the-jobs"
ROLES: Final = ("admin", "viewer")

READS: Final = (
    "/",
    "/api/overview",
    "/api/pipeline?rates=1",
    "/api/dead",
    "/api/search?q=private",
    "/api/sessions/kitchen",
    "/api/recordings/web-00000000",
    "/api/settings",
    "/api/personas",
    "/api/jobs",
    "/metrics",
    "/openapi.json",
    "/docs",
)
NAMES: Final = (
    "../../thief.wav",
    "/etc/cron.d/thief.wav",
    "..%2f..%2fthief.wav",
    "..",
    ".",
    "",
    "~/thief.wav",
    "a/b/thief.wav",
    "a\\..\\thief.wav",
    "thief.wav\x00.sqlite3",
    ".bashrc",
    "x" * 5_000,
    "\u202ethief.wav",
)


def environment(secured: SecuredRedis, role: str) -> dict[str, str]:
    return {
        "EARSHOT_REDIS__URL": secured.url,
        "EARSHOT_REDIS__USERNAME": role,
        "EARSHOT_REDIS__PASSWORD": secured.password(role),
        "EARSHOT_REDIS__CA_FILE": str(secured.secrets / "ca.crt"),
        "EARSHOT_DASHBOARD__TOKEN": TOKEN,
        "EARSHOT_DASHBOARD__HOST": "127.0.0.1",
        "EARSHOT_LLM__API_KEY": LLM_KEY,
        "EARSHOT_LLM__SYSTEM_PROMPT": PROMPT,
        "EARSHOT_JOBS__REDIS_URL": f"redis://jobs:{JOBS_PASSWORD}@127.0.0.1:1/0",
        "EARSHOT_LISTEN__VAD": "webrtc",
    }


@pytest.fixture
def letter(secured: SecuredRedis) -> str:
    with secured.sync_client() as tests:
        added: Any = tests.xadd(SHARD.dead, {"session": "kitchen", "id": "u", "text": "a letter"})
    return str(added.decode())


@pytest.fixture
def board(
    request: pytest.FixtureRequest, secured: SecuredRedis, letter: str, tmp_path: Path
) -> Iterator[DashboardProcess]:
    role = getattr(request, "param", "admin")
    with DashboardProcess(tmp_path, secured.url, environment(secured, role)) as board:
        yield board


@pytest.fixture
def http(board: DashboardProcess) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=board.url, trust_env=False, headers=BEARER, timeout=60, follow_redirects=True
    ) as http:
        yield http


def everything(server: SecuredRedis) -> dict[bytes, Any]:
    """All that is in Redis but the number of shards, which a dashboard notes when it starts."""
    with server.sync_client() as tests:
        keys = {key for key in tests.scan_iter() if key != SHARDS.encode()}
        return {key: tests.dump(key) for key in keys}


@pytest.mark.parametrize("board", ROLES, indirect=True)
def test_no_answer_holds_a_secret_or_a_prompt(
    board: DashboardProcess, http: httpx.Client, secured: SecuredRedis
) -> None:
    told = ""
    for path in READS:
        answer = http.get(path)
        told += answer.text + str(answer.headers)
    cookie = http.post("/login", data={"token": TOKEN}).history[0].headers["set-cookie"]
    assert "earshot" in cookie
    told += cookie
    secrets = [secured.password(role) for role in ("admin", "viewer", "producer")]
    for word in (*secrets, TOKEN, PROMPT, LLM_KEY, JOBS_PASSWORD):
        assert word not in told
        assert word not in board.log


def test_nobody_speaks_in_the_session_of_a_microphone(
    board: DashboardProcess, http: httpx.Client
) -> None:
    url = board.url.replace("http://", "ws://") + "api/speak?session="
    for wanted in ("kitchen", "", "web-", "web-0000000g", "web-00000000%0a", "..%2fkitchen"):
        with connect(
            url + wanted, additional_headers=BEARER, proxy=None, compression=None
        ) as socket:
            given = json.loads(socket.recv())["session"]
        assert re.fullmatch(r"web-[0-9a-f]{8}", given)
        assert given != wanted
    busy = "web-00000000"
    with (
        connect(url + busy, additional_headers=BEARER, proxy=None, compression=None) as speaking,
        connect(url + busy, additional_headers=BEARER, proxy=None, compression=None) as other,
    ):
        assert json.loads(speaking.recv())["session"] == busy
        assert json.loads(other.recv())["session"] != busy


def test_a_recording_is_written_nowhere_but_in_its_folder(
    board: DashboardProcess, http: httpx.Client, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "speech.wav", SPEECH, 16_000)
    audio = (tmp_path / "speech.wav").read_bytes()
    before = {path for path in tmp_path.parent.rglob("*") if "outbox" not in path.parts}
    for name in NAMES:
        answer = http.post(f"/api/recordings?name={quote(name)}", content=audio)
        assert answer.status_code == 202, answer.text
        assert answer.json()["session"].startswith("web-")
    after = {path for path in tmp_path.parent.rglob("*") if "outbox" not in path.parts}
    assert after == before
    assert not [path for path in (tmp_path / "outbox").rglob("*") if path.suffix == ".py"]
    assert not Path("/etc/cron.d/thief.wav").exists()


@pytest.mark.parametrize("board", ROLES, indirect=True)
def test_there_are_no_actions_but_those_of_the_page(
    board: DashboardProcess, http: httpx.Client, secured: SecuredRedis, letter: str
) -> None:
    before = everything(secured)
    paths = [*READS, f"/api/dead/0/{letter}", f"/api/dead/0/{letter}/drop/x", "/events", "/"]
    for path in paths:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = http.request(method, path, json={"persona": "x", "output": "x.jsonl"})
            assert answer.status_code in (404, 405), (method, path)
    for action in (f"0/{letter}/drop", f"0/{letter}/replay"):
        assert http.get(f"/api/dead/{action}").status_code == 405, "a link changes nothing"
    assert everything(secured) == before


@pytest.mark.parametrize("board", ["viewer"], indirect=True)
def test_a_dashboard_that_runs_as_viewer_changes_nothing(
    board: DashboardProcess, http: httpx.Client, secured: SecuredRedis, letter: str
) -> None:
    before = everything(secured)
    for path in ("/api/dead", f"/api/dead/0/{letter}/audio"):
        assert "does not permit" in http.get(path).json()["error"]
    for action in ("drop", "replay"):
        answer = http.post(f"/api/dead/0/{letter}/{action}")
        assert (answer.status_code, "does not permit" in answer.json()["error"]) == (503, True)
    assert everything(secured) == before


@pytest.mark.parametrize("board", ["admin"], indirect=True)
def test_a_dashboard_that_runs_as_admin_replays_and_drops(
    board: DashboardProcess, http: httpx.Client, secured: SecuredRedis, letter: str
) -> None:
    (listed,) = http.get("/api/dead").json()["letters"]
    assert listed["text"] == "a letter"
    assert http.post(f"/api/dead/0/{letter}/drop").status_code == 200
    with secured.sync_client() as tests:
        assert tests.xlen(SHARD.dead) == 0
