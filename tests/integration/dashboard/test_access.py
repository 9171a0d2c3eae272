"""Without the token nothing of a conversation leaves the dashboard; a page of another origin can
neither read nor change anything; and no page may run what is not its own."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.integration.dashboard.guarded_dashboard import BEARER, SECRET, TOKEN
from tests.support.dashboard_process import DashboardProcess
from tests.support.redis_server import RedisServer
from tests.support.repository import ROOT

GUEST = "http://wall.example:8000"
READS = ("/events?after=0r0-0_0d0-0", "/api/overview", "/api/sessions/s", "/api/search?q=read")


@pytest.fixture(scope="module")
def guarded(
    server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DashboardProcess]:
    variables = {
        "EARSHOT_DASHBOARD__TOKEN": TOKEN,
        "EARSHOT_DASHBOARD__HOST": "127.0.0.1",
        "EARSHOT_DASHBOARD__ORIGINS": f"https://other.example,{GUEST}",
    }
    folder = tmp_path_factory.mktemp("guarded")
    with DashboardProcess(folder, server.url, variables) as dashboard:
        yield dashboard


@pytest.fixture(scope="module")
def unguarded(
    server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DashboardProcess]:
    variables = {"EARSHOT_DASHBOARD__HOST": "0.0.0.0"}
    folder = tmp_path_factory.mktemp("unguarded")
    with DashboardProcess(folder, server.url, variables) as dashboard:
        yield dashboard


@pytest.fixture
def http(guarded: DashboardProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=guarded.url, trust_env=False, timeout=30) as http:
        yield http


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": f"earshot={TOKEN}"},
    ],
)
def test_without_the_token_it_is_401(
    path: str, headers: dict[str, str], http: httpx.Client
) -> None:
    answer = http.get(path, headers=headers)
    assert answer.status_code == 401
    assert SECRET not in answer.text


def test_a_forged_cookie_is_worth_nothing(http: httpx.Client) -> None:
    port = http.base_url.port
    for value in ("", "x", "99999999999.", "99999999999." + "0" * 64, "9" * 5_000, "é.ü"):
        cookie = f"earshot_{port}={value}".encode()
        answer = http.get("/api/overview", headers={b"Cookie": cookie})
        assert answer.status_code == 401


@pytest.mark.parametrize("headers", [{"Host": "["}, {"Origin": "http://["}])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_no_address_is_refused(
    headers: dict[str, str], method: str, http: httpx.Client
) -> None:
    answer = http.request(method, "/api/overview", headers=BEARER | headers)
    assert answer.status_code == 400
    assert "cannot be read" in answer.json()["error"]


def test_with_the_token_a_program_reads(http: httpx.Client) -> None:
    answer = http.get("/api/overview", headers=BEARER)
    assert answer.status_code == 200
    assert SECRET in answer.text
    with http.stream("GET", READS[0], headers=BEARER) as stream:
        data = (line[6:] for line in stream.iter_lines() if line.startswith("data: {"))
        types = [json.loads(line).get("type") for line in islice(data, 3)]
    assert types == [None, "heard", "transcript"]


def test_a_person_logs_in_and_stays(http: httpx.Client) -> None:
    first = http.get("/")
    assert first.status_code == 401
    assert 'name="token"' in first.text
    wrong = http.post(
        "/login", data={"token": "wrong"}, headers={"Origin": str(http.base_url)[:-1]}
    )
    assert wrong.status_code == 401
    assert "Wrong token" in wrong.text
    good = http.post("/login", data={"token": TOKEN})
    assert good.status_code == 303
    cookie = good.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert SECRET in http.get("/api/overview").text
    assert "Conversations" in http.get("/").text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_origin_changes_nothing(
    headers: dict[str, str], http: httpx.Client
) -> None:
    assert http.post("/api/recordings?name=a.wav", headers=BEARER | headers).status_code == 403
    assert http.post("/login", data={"token": TOKEN}, headers=headers).status_code == 403


def test_a_page_of_another_origin_reads_nothing(http: httpx.Client) -> None:
    for path in READS:
        answer = http.get(path, headers=BEARER | {"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
        assert SECRET not in answer.text
    assert "access-control-allow-origin" not in http.get("/api/overview", headers=BEARER).headers


def test_a_page_that_was_let_in_reads_with_the_token_and_changes_nothing(
    http: httpx.Client,
) -> None:
    guest = {"Origin": GUEST, "Sec-Fetch-Site": "cross-site"}
    asked = http.options("/api/overview", headers=guest)
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == GUEST
    assert "authorization" in asked.headers["access-control-allow-headers"]
    assert http.get("/api/overview", headers=guest).status_code == 401
    answer = http.get("/api/overview", headers=guest | BEARER)
    assert SECRET in answer.text
    assert answer.headers["access-control-allow-origin"] == GUEST
    assert "access-control-allow-credentials" not in answer.headers
    assert http.post("/api/recordings", headers=guest | BEARER).status_code == 403
    for origin in ("http://wall.example", "https://wall.example:8000", "null", ""):
        other = http.get("/api/overview", headers=guest | BEARER | {"Origin": origin})
        assert "access-control-allow-origin" not in other.headers
        assert SECRET not in other.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        (BEARER | {"Origin": "https://elsewhere.example"}, 403),
    ],
)
def test_the_websocket_is_guarded_as_well(
    headers: dict[str, str], status: int, guarded: DashboardProcess
) -> None:
    url = guarded.url.replace("http://", "ws://") + "api/speak?session=web-test"
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(url, additional_headers=headers, proxy=None, compression=None),
    ):
        pass
    assert refused.value.response.status_code == status


def test_no_page_may_load_or_run_what_is_not_its_own(http: httpx.Client) -> None:
    for path in ("/", "/api/overview", "/static/main.js"):
        policy = http.get(path, headers=BEARER).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http:" not in policy
        assert "frame-ancestors 'none'" in policy


def test_no_asset_comes_from_elsewhere(http: httpx.Client) -> None:
    folder = ROOT / "ops" / "dashboard" / "static"
    for file in folder.glob("*.*"):
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, file
        assert "innerHTML" not in text, file
        assert "style=" not in text, file
        assert http.get(f"/static/{file.name}").status_code == 200


def test_without_a_token_it_stays_on_this_machine_and_says_why(
    unguarded: DashboardProcess,
) -> None:
    assert unguarded.url.startswith("http://127.0.0.1:")
    assert "there is no EARSHOT_DASHBOARD__TOKEN" in unguarded.log
    with httpx.Client(base_url=unguarded.url, trust_env=False) as http:
        assert SECRET in http.get("/api/overview").text
        # whose name somebody else made point to this machine
        answer = http.get("/api/overview", headers={"Host": "elsewhere.example"})
        assert answer.status_code == 403
        assert SECRET not in answer.text


@pytest.mark.parametrize("word", ["", "x", "0r1-1_9d1-1", "0r1", "0r-1-1", "0r1-1_", "0r1-1\n"])
def test_a_strange_event_id_is_refused_with_a_sentence(word: str, http: httpx.Client) -> None:
    with http.stream("GET", "/events", params={"after": word}, headers=BEARER) as answer:
        assert answer.status_code == (200 if word == "" else 400)
        if word:
            assert "event id" in answer.read().decode()


def test_a_taken_port_and_a_wrong_redis_are_one_sentence(
    guarded: DashboardProcess, server: RedisServer, tmp_path: Path
) -> None:
    port = guarded.url.rstrip("/").rpartition(":")[2]
    taken = DashboardProcess(tmp_path, server.url, {"EARSHOT_DASHBOARD__PORT": port})
    with pytest.raises(AssertionError, match=r"the dashboard cannot listen on 127\.0\.0\.1"):
        taken.start()
    nameless = {"EARSHOT_DASHBOARD__HOST": "a..b", "EARSHOT_DASHBOARD__TOKEN": TOKEN}
    with pytest.raises(AssertionError, match=r"earshot: the dashboard cannot listen on a\.\.b"):
        DashboardProcess(tmp_path, server.url, nameless).start()
