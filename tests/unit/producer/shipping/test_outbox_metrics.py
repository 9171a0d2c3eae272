"""The outbox shows what is in it at each scrape, and nothing once it is closed."""

from pathlib import Path

from common.utterance import Utterance
from producer.shipping.outbox import Outbox
from producer.shipping.outbox_metrics import OutboxCollector, families
from tests.support.outboxes import FIXED_CLOCK


def test_the_outbox_is_looked_into_at_each_scrape(tmp_path: Path) -> None:
    with Outbox(tmp_path, "s1", max_bytes=1_000, max_age_s=60, clock=FIXED_CLOCK) as outbox:
        collector = OutboxCollector(outbox)

        def shown() -> dict[str, float]:
            found = [sample for family in collector.collect() for sample in family.samples]
            return {sample.name: sample.value for sample in found}

        assert shown()["earshot_outbox_utterances"] == 0
        outbox.add(Utterance(id="u1", session="s1", audio=b"abcd"), age_s=3)
        assert shown() == {
            "earshot_outbox_utterances": 1,
            "earshot_outbox_parked_utterances": 0,
            "earshot_outbox_bytes": 4,
            "earshot_outbox_limit_bytes": 1_000,
            "earshot_outbox_oldest_seconds": 3,
            "earshot_outbox_memory_utterances": 0,
            "earshot_outbox_disk_up": 1,
        }
    assert shown() == {}
    assert [family.name for family in collector.describe()] == [
        family.name for family in families()
    ]
