"""Mutants of how turns go on: cursor and wake-ups, expiry, attempts, claims, a full memory."""

from typing import Final

from tests.model.mutants import Edit, Mutant, without

TOMBSTONE_LOOP: Final = "    if not head or not (head.final and is_tombstone(head)) then"
ONLY_WITHOUT_ATTEMPT: Final = "if void and void[1] == 'stale' then"
CONCLUDE: Final = "conclude(turn, record)\n"
WITHOUT_ADVANCE: Final = """if record.final then
  reveal(turn, record)
end
put_record(turn, record)
"""
REMOVE: Final = "remove_entry(stream, 'stt', entry)\n"
READY_AGAIN: Final = """local taken = number('taken')
while (function()
  local record = get_record(taken + 1)
  return record and is_ready(record)
end)() do
  taken = taken + 1
end
"""

OF_TURNS: Final[tuple[Mutant, ...]] = (
    # trap 2: every script that ends or readies a turn goes on to the next
    without("tombstones at the cursor are skipped", "session", TOMBSTONE_LOOP, "    if true then"),
    without(
        "a provisional tombstone holds its turn",
        "session",
        TOMBSTONE_LOOP,
        "    if not head or not is_tombstone(head) then",
    ),
    without("settle_utterance advances", "settle_utterance", CONCLUDE, WITHOUT_ADVANCE),
    without("bury_utterance advances", "bury_utterance", CONCLUDE, WITHOUT_ADVANCE),
    without("settle_turn advances", "settle_turn", "advance()\n"),
    without("bury_turn advances", "bury_turn", "advance()\n"),
    without(
        "publish and commit advance",
        "acceptance",
        "  put_record(turn, record)\n  advance()\nend",
        "  put_record(turn, record)\nend",
    ),
    without(
        "take_turn advances when nothing is left",
        "take_turn",
        "  end_attempt()\n  advance()\n",
        "  end_attempt()\n",
    ),
    without(
        "tend repairs wake-ups",
        "tend",
        "local wake = redis.call('HGET', SESSION, 'wake')\nadvance()",
        "local wake = redis.call('HGET', SESSION, 'wake')",
    ),
    without(
        "a vanished wake-up is made again",
        "session",
        "if not wake or not exists(TURNS, wake) then",
        "if not wake then",
    ),
    without(
        "at most one wake-up",
        "session",
        "if not wake or not exists(TURNS, wake) then",
        "if true then",
    ),
    without(
        "an unfinished session is in `open`",
        "session",
        "redis.call('ZADD', OPEN, NOW + TEND_AFTER, ID)",
    ),
    without(
        "a finished session is not in `open`",
        "session",
        "    redis.call('ZREM', OPEN, ID)\n    redis.call('PEXPIRE', SESSION, SESSION_TTL)",
        "    redis.call('PEXPIRE', SESSION, SESSION_TTL)",
    ),
    # trap 3: unfinished sessions do not expire, finished ones do
    without("unfinished: the session is kept", "session", "redis.call('PERSIST', SESSION)"),
    without("unfinished: the history is kept", "session", "redis.call('PERSIST', HISTORY)"),
    without(
        "finished: the session expires", "session", "redis.call('PEXPIRE', SESSION, SESSION_TTL)"
    ),
    without(
        "finished: the history expires", "session", "redis.call('PEXPIRE', HISTORY, SESSION_TTL)"
    ),
    # trap 4: tokens, and `taken` frozen
    without("settle_turn asks for the token", "settle_turn", "if void then", ONLY_WITHOUT_ATTEMPT),
    without(
        "settle_turn asks whether an attempt goes on",
        "settle_turn",
        "if void then",
        "if false then",
    ),
    without("bury_turn asks for the token", "bury_turn", "if void then", ONLY_WITHOUT_ATTEMPT),
    without(
        "delta asks for the token",
        "delta",
        "if redis.call('HGET', SESSION, 'token') ~= token",
        "if false",
    ),
    without("take_turn stores a fresh token", "take_turn", "'token', token,", "'token', 'same',"),
    without(
        "settle_turn keeps to what was taken",
        "settle_turn",
        "local taken = number('taken')\n",
        READY_AGAIN,
    ),
    without(
        "bury_turn keeps to what was taken",
        "bury_turn",
        "local taken = number('taken')\n",
        READY_AGAIN,
    ),
    without(
        "the end of an attempt voids its token",
        "session",
        "'token', 'taken', 'wake', 'started')",
        "'taken', 'wake', 'started')",
    ),
    without(
        "the end of an attempt forgets its wake-up",
        "session",
        "'token', 'taken', 'wake', 'started')",
        "'token', 'taken', 'started')",
    ),
    without(
        "attempts at a turn never repeat a number",
        "take_turn",
        "if first > reached then",
        "if true then",
    ),
    # claims
    without(
        "settle_utterance asks for the claim",
        "settle_utterance",
        "if not owned(stream, 'stt', consumer, entry) then",
        "if false then",
    ),
    without(
        "bury_utterance asks for the claim",
        "bury_utterance",
        "if not owned(stream, 'stt', consumer, entry) then",
        "if false then",
    ),
    without(
        "take_turn asks for the claim",
        "take_turn",
        "if not owned(TURNS, 'llm', consumer, entry) then",
        "if false then",
    ),
    without(
        "take_turn asks for the session's wake-up",
        "take_turn",
        "if redis.call('HGET', SESSION, 'wake') ~= entry then",
        "if false then",
    ),
    without(
        "a heartbeat keeps what is ours only",
        "heartbeat",
        "if ok and #rows > 0 then",
        "if true then",
    ),
    without(
        "hand_back gives what is ours only",
        "hand_back",
        "if ok and #rows > 0 then\n    local deliveries = tonumber(rows[1][4])",
        "if true then\n    local deliveries = 1",
    ),
    without("leave keeps a consumer with entries", "leave", "if #rows > 0 then", "if false then"),
    without(
        "a settled entry is acknowledged",
        "session",
        "pcall(redis.call, 'XACK', stream, group, entry)",
    ),
    without("a settled entry is deleted", "session", "redis.call('XDEL', stream, entry)"),
    # trap 7: with the memory full, what ends work goes through
    Mutant(
        "settle_utterance deletes first",
        (
            Edit("settle_utterance", "remove_entry(stream, 'stt', entry)\n", ""),
            Edit("settle_utterance", CONCLUDE, f"{WITHOUT_ADVANCE}{REMOVE}advance()\n"),
        ),
    ),
    Mutant(
        "bury_utterance deletes first",
        (
            Edit("bury_utterance", "remove_entry(stream, 'stt', entry)\n", ""),
            Edit(
                "bury_utterance",
                "if ID == '' or foreign_key",
                "remove_entry(stream, 'stt', entry)\nif ID == '' or foreign_key",
            ),
        ),
    ),
    Mutant(
        "settle_turn deletes first",
        (
            Edit(
                "settle_turn",
                "remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))\nend_attempt()\n",
                "",
            ),
            Edit(
                "settle_turn",
                "redis.call('HSET', SESSION, 'done', taken)\n",
                "remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))\nend_attempt()\n"
                "redis.call('HSET', SESSION, 'done', taken)\n",
            ),
        ),
    ),
    Mutant(
        "bury_turn deletes first",
        (
            Edit(
                "bury_turn",
                "remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))\nend_attempt()\n",
                "",
            ),
            Edit(
                "bury_turn",
                "redis.call('HSET', SESSION, 'done', taken)\n",
                "remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))\nend_attempt()\n"
                "redis.call('HSET', SESSION, 'done', taken)\n",
            ),
        ),
    ),
    without(
        "take_turn deletes first", "take_turn", "redis.call('HDEL', SESSION, 'token', 'taken')\n"
    ),
    without("commit passes when memory is full", "commit", "pass_when_full()\n"),
    without(
        "expiring passes when memory is full",
        "session",
        "  pass_when_full()\n  record.final = true\n",
        "  record.final = true\n",
    ),
    without("forget passes when memory is full", "forget", "pass_when_full()\n"),
)
