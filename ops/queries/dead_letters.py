"""Replaying and dropping dead letters, with a sentence about what was done."""

from common.errors import BadInput, Refused
from common.redis.store import Store
from common.status.dead_letters import DeadLetter
from common.transitions import dead_letters
from common.transitions.publishing import Published, Verdict
from producer.shipping.identity import new_utterance_id


async def send_again(store: Store, letter: DeadLetter) -> Published | None:
    """Send a letter again, as a new turn at the end of its session; return None if it is gone.

    Raises Refused if it can never be replayed, or its audio never be decoded.
    """
    if not letter.session:
        raise Refused("it names no usable session; it can only be saved or dropped")
    if letter.fields.get("audio") and not letter.text("text"):
        letter.check_audio(store.limits)
    return await dead_letters.replay(
        store, letter.shard, letter.entry, session=letter.session, utterance=new_utterance_id()
    )


async def replay_letter(store: Store, letter: DeadLetter) -> str:
    """Send a letter again, and say as which turn. Raises BadInput or Refused if it was not sent."""
    answer = await send_again(store, letter)
    if answer is None:
        raise BadInput("it is gone: somebody else replayed or dropped it")
    if answer.verdict is not Verdict.ACCEPTED:
        raise BadInput(f"it cannot be replayed now: {answer.why}")
    return f"replayed as turn {answer.turn} of session {letter.session}"


async def drop_letter(store: Store, letter: DeadLetter) -> str:
    """Delete a letter for good, and say so. Raises BadInput if it is gone."""
    if not await dead_letters.drop_letter(store, letter.shard, letter.entry):
        raise BadInput("it is gone: somebody else replayed or dropped it")
    return "dropped"
