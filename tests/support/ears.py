"""What an ear hands on: utterances in the outbox, and drafts."""

from collections.abc import Callable

from common.utterance import Utterance
from producer.ear import Ear
from producer.shipping.drafts import Draft
from producer.shipping.outbox import Outbox

MakeEar = Callable[..., Ear]


class Post:
    """Notes what it is told; `outbox` is looked into each time."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.told: list[str] = []
        self.drafts: list[Draft] = []
        self.signs: list[str] = []

    def offer(self, draft: Draft) -> None:
        self.told.append(f"offer {draft.utterance.revision}, {len(self._outbox)} waiting")
        self.drafts.append(draft)

    def withdraw(self) -> None:
        self.told.append(f"withdraw, {len(self._outbox)} waiting")

    def report_ongoing_speech(self, session: str, utterance: str) -> None:
        assert session == "s1"
        self.signs.append(utterance)


def kept(outbox: Outbox) -> list[Utterance]:
    kept = []
    while (waiting := outbox.first()) is not None:
        kept.append(waiting.utterance)
        outbox.forget(waiting.place)
    return kept
