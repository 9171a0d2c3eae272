"""A visitor who begins to send a recording and sends nothing more is refused by a real dashboard
after half a minute, and takes nobody's place any longer."""

from pathlib import Path

import pytest

from tests.integration.dashboard.test_uploads import Upload, files, stated
from tests.support.dashboard_process import DashboardProcess
from tests.support.redis_server import RedisServer


@pytest.mark.full
def test_a_recording_that_stops_coming_is_refused_and_deleted(tmp_path: Path) -> None:
    with RedisServer(tcp=True) as server, DashboardProcess(tmp_path, server.url, {}) as board:
        upload = Upload(board, stated(100_000))
        upload.send(b"x")
        status, _, body = upload.answer()
        upload.close()
        assert (status, "send the recording again" in body["error"]) == (408, True)
        assert files(tmp_path) == []
