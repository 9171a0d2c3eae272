"""Three hours of recording go through the pool while live utterances go first: with one of two STT
workers kept for them, they wait for less than one decode takes; and memory stays bounded."""

import pytest

from ops.bench.recording import Options, measure

# The interpreter, NumPy and the detector take 70 MB; three hours as one array would be 330 MB more.
MEMORY_MB = 200


@pytest.mark.full
@pytest.mark.timeout(1800)
async def test_live_speech_does_not_wait_for_three_hours_of_recording() -> None:
    measured = await measure(Options(hours=3, live_every_s=2))
    print(measured.as_dict())
    assert measured.status == 0
    assert measured.lines == measured.sentences == 180
    assert measured.backlog_max <= 100
    assert measured.rss_mb < MEMORY_MB
    assert len(measured.waits_ms) > 10
    assert measured.passed, measured.as_dict()
