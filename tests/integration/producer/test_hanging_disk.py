"""While the disk of a mic host hangs without an error, `earshot listen` goes on hearing. What it
heard is kept and sent, in order, when the disk answers again.
"""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.integration.producer.speaking_listener import SPEECH, SpeakingListener
from tests.integration.producer.waiting_utterances import heard_ids
from tests.support import preloaded
from tests.support.redis_server import RedisServer
from tests.support.waiting import until_sync

SOURCE: Final = Path(preloaded.__file__).with_name("hanging_disk.c")
UTTERANCES: Final = 8
"""Far more sound than a pipe holds (64 KiB): it takes them only if somebody reads."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD")


class HangingDisk:
    def __init__(self, folder: Path) -> None:
        self._sign = folder / "hangs"
        library = preloaded.compile_preloaded(SOURCE, folder)
        self.variables = {"LD_PRELOAD": str(library), "HANGING_DISK_FILE": str(self._sign)}

    def hang(self) -> None:
        self._sign.touch()

    def answer(self) -> None:
        self._sign.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[HangingDisk]:
    disk = HangingDisk(tmp_path)
    yield disk
    disk.answer()


@pytest.mark.parametrize("eager", ["on", "off"])
def test_the_ear_hears_on_while_the_disk_hangs(
    redis_server: RedisServer, tmp_path: Path, disk: HangingDisk, eager: str
) -> None:
    options = ("--eager", eager)
    with SpeakingListener(
        tmp_path, redis_server.url, *options, variables=disk.variables
    ) as listener:
        listener.speak()
        listener.until("utterance_sent")
        disk.hang()
        speaking = threading.Thread(target=listener.play, args=(SPEECH * UTTERANCES,), daemon=True)
        speaking.start()
        until_sync(lambda: not speaking.is_alive())
        assert len(listener.logged("utterance_heard")) == 1, "the disk hangs indeed"
        disk.answer()
        listener.until("utterance_sent", 1 + UTTERANCES)
        listener.speak()
        assert listener.end() == 0
        assert len(listener.logged("outbox_disk_hangs")) == 1
        assert len(listener.logged("outbox_disk_answers_again")) == 1
        heard = [line["utterance"] for line in listener.logged("utterance_heard")]
        assert heard_ids(redis_server) == heard
        assert len(heard) == 2 + UTTERANCES
