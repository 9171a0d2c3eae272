"""A folder of outboxes: the settings' limits hold in each, and a sweep drops what is too old where
nobody else looks after it, and nothing else."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from common.errors import BadInput
from common.settings import ListenSettings
from common.utterance import Utterance
from producer.shipping.outbox_folder import (
    close_outbox,
    list_sessions,
    open_outbox,
    sweep_outboxes,
)
from tests.support.metric_samples import growth

PATIENT = ListenSettings(outbox_max_age_s=1e6)


def fill(folder: Path, session: str) -> None:
    with open_outbox(PATIENT, session, folder) as outbox:
        for age_s in (7200, 60):
            said = Utterance(id=f"u{age_s}", session=session, samples=1, audio=b"x")
            outbox.add(said, age_s=age_s)


def test_the_settings_say_where_the_outbox_is_and_what_it_may_hold(tmp_path: Path) -> None:
    settings = ListenSettings(outbox=str(tmp_path), outbox_max_mb=0.5, outbox_max_age_s=3600)
    fill(tmp_path, "s1")
    with open_outbox(settings, "s1") as outbox:
        assert outbox.depth().limit_bytes == 2**19
        dropped = outbox.drop_stale()
        assert dropped is not None
        assert dropped.count == 1


def test_old_utterances_go_from_outboxes_that_no_producer_uses(tmp_path: Path) -> None:
    settings = ListenSettings(outbox=str(tmp_path), outbox_max_age_s=3600)
    dashboard = tmp_path / "dashboard"
    swept = [(tmp_path, "left"), (dashboard, "web-0a1b2c3d")]
    for folder, session in [*swept, (tmp_path, "used")]:
        fill(folder, session)
    counted = growth("earshot_outbox_dropped_total")
    with open_outbox(PATIENT, "used", tmp_path) as used, capture_logs() as logs:
        assert sweep_outboxes(settings) == 2
        assert len(used) == 2, "its producer does it itself"
    assert counted() == 2
    assert [(line["event"], line["session"], line["count"]) for line in logs] == [
        ("outbox_dropped_oldest", session, 1) for _, session in swept
    ]
    for folder, session in swept:
        with open_outbox(PATIENT, session, folder) as left:
            waiting = left.first()
            assert waiting is not None
            assert waiting.utterance.id == "u60"


def test_a_host_without_outboxes_has_nothing_to_sweep(tmp_path: Path) -> None:
    assert sweep_outboxes(ListenSettings(outbox=str(tmp_path / "none"))) == 0


def test_an_empty_outbox_leaves_no_file_and_one_with_a_parked_utterance_stays(
    tmp_path: Path,
) -> None:
    empty = open_outbox(PATIENT, "empty", tmp_path)
    empty.note_draft("a")
    parked = open_outbox(PATIENT, "parked", tmp_path)
    parked.add(Utterance(id="u", session="parked", samples=1, audio=b"x"), age_s=0)
    parked.park(1, "Redis refused it")
    for outbox in (empty, parked):
        close_outbox(outbox)
    assert list_sessions(tmp_path) == ["parked"]
    assert not list(tmp_path.glob("empty*"))
    with pytest.raises(BadInput):
        empty.depth()
