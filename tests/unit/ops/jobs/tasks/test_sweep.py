"""A sweep drops what is too old where nobody else looks after it, and nothing else."""

from pathlib import Path

from common.settings import ListenSettings
from common.utterance import Utterance
from ops.jobs.tasks.sweep import sweep_outboxes
from producer.shipping.outbox import Outbox


def outbox(folder: Path, session: str) -> Outbox:
    return Outbox(folder, session, max_bytes=2**20, max_age_s=1e6)


def test_old_utterances_go_from_outboxes_that_no_producer_uses(tmp_path: Path) -> None:
    settings = ListenSettings(outbox=str(tmp_path), outbox_max_age_s=3600)
    dashboard = tmp_path / "dashboard"
    for folder, session in ((tmp_path, "left"), (tmp_path, "used"), (dashboard, "web-0a1b2c3d")):
        with outbox(folder, session) as box:
            for age_s in (7200, 60):
                said = Utterance(id=f"u{age_s}", session=session, samples=1, audio=b"x")
                box.add(said, age_s=age_s)
    with outbox(tmp_path, "used") as used:
        assert sweep_outboxes(settings) == 2
        assert len(used) == 2, "its producer does it itself"
    for folder, session in ((tmp_path, "left"), (dashboard, "web-0a1b2c3d")):
        with outbox(folder, session) as left:
            waiting = left.first()
            assert waiting is not None
            assert waiting.utterance.id == "u60"


def test_a_host_without_outboxes_has_nothing_to_sweep(tmp_path: Path) -> None:
    assert sweep_outboxes(ListenSettings(outbox=str(tmp_path / "none"))) == 0
