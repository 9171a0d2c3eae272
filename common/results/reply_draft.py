"""The text of a reply in the making, put together from its pieces."""

from common.events import ReplyDelta


def extend_draft(draft: ReplyDelta | None, piece: ReplyDelta) -> ReplyDelta:
    """Return the draft with one more piece, as one `reply.delta` that holds all of the text.

    A piece of a later attempt starts the text again. A piece that came before, or that belongs to
    an earlier attempt, changes nothing.
    """
    if draft is None or piece.data.attempt > draft.data.attempt:
        return piece
    if piece.data.attempt < draft.data.attempt or piece.data.index <= draft.data.index:
        return draft
    data = piece.data.model_copy(update={"text": draft.data.text + piece.data.text})
    return piece.model_copy(update={"data": data})
