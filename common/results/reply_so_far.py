"""The text of an unfinished reply so far, put together from its deltas."""

from common.events import ReplyDelta


def extend_reply(so_far: ReplyDelta | None, piece: ReplyDelta) -> ReplyDelta:
    """Return the reply so far with one more piece, as one `reply.delta` that holds all of the text.

    A piece of a later attempt starts the text again. A piece that came before, or that belongs to
    an earlier attempt, changes nothing.
    """
    if so_far is None or piece.data.attempt > so_far.data.attempt:
        return piece
    if piece.data.attempt < so_far.data.attempt or piece.data.index <= so_far.data.index:
        return so_far
    data = piece.data.model_copy(update={"text": so_far.data.text + piece.data.text})
    return piece.model_copy(update={"data": data})
