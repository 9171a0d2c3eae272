"""Mutants of how failed tries end, and of how entries of others are taken over."""

from typing import Final

from tests.model.mutants import Edit, Mutant, without

OWNED_TURN: Final = "local deliveries = owned(TURNS, 'llm', consumer, entry)"
OWNED_UTTERANCE: Final = "local deliveries = owned(stream, 'stt', consumer, entry)"

OF_FAILURES: Final[tuple[Mutant, ...]] = (
    without("fail_turn asks for the claim", "fail_turn", OWNED_TURN, f"{OWNED_TURN} or 1"),
    without(
        "fail_utterance asks for the claim",
        "fail_utterance",
        OWNED_UTTERANCE,
        f"{OWNED_UTTERANCE} or 1",
    ),
    without(
        "fail_turn asks for the session's wake-up",
        "fail_turn",
        "local is_ours = redis.call('HGET', SESSION, 'wake') == entry",
        "local is_ours = true",
    ),
    without(
        "a failed attempt is over",
        "fail_turn",
        "redis.call('HDEL', SESSION, 'token', 'taken', 'started')\n",
    ),
    without(
        "fail_utterance compares the record's entry",
        "fail_utterance",
        " or record.entry ~= entry",
    ),
    without(
        "a wake-up without a turn goes",
        "fail_turn",
        "  remove_entry(TURNS, 'llm', entry)\n",
    ),
    Mutant(
        "a turn that failed is taken alone",
        (
            Edit("take_turn", "if record.failures and taken then", "if false then"),
            Edit("take_turn", "if record.failures or #answered", "if #answered"),
        ),
    ),
    without("failing passes when memory is full", "failing", "  pass_when_full()\n"),
    without(
        "what vanished is acknowledged when it is taken over",
        "take_over",
        "    redis.call('XACK', stream, group, entry)\n",
    ),
    without(
        "a deferred entry is found when its time has come",
        "take_over",
        "if #taken == 0 then\n  kind = 'deferred'\n  take_deferred()\nend\n",
    ),
    without(
        "an entry that was handed back is found",
        "take_over",
        "take_from('handed-back', claim_idle_ms, 1, any)\n",
    ),
)
