"""Mutants of what keeps damaged keys of one session from harming others, or itself silently.

Which values a field of a record may hold is tested one by one in `tests/transitions`.
"""

from typing import Final

from tests.model.mutants import Edit, Mutant, without

RECORD_CAN_BE_READ: Final = "if ok and is_record(record) and pcall(cjson.encode, record) then"
# Each script that looks at the keys of a session first, and the text before the look's outcome.
REFUSING: Final = (
    *("bury_turn", "commit", "delta", "fail_turn", "fail_utterance", "forget"),
    *("keep_open", "settle_turn", "settle_utterance", "take_turn", "tend"),
)
REFUSE: Final = "if foreign then\n"

OF_DAMAGE: Final[tuple[Mutant, ...]] = (
    # what is refused
    *(
        without(f"{script} refuses keys that it cannot read", script, REFUSE, "if false then\n")
        for script in REFUSING
    ),
    without(
        "publish refuses keys that it cannot read",
        "acceptance",
        "local wrong = foreign_key(session_keys({ [stream] = 'stream', [seen_key] = 'string' }))\n"
        "    or wrong_utterance(new)\n",
        "local wrong = wrong_utterance(new)\n",
    ),
    without(
        "a letter of which no record can be made is refused",
        "acceptance",
        "\n    or wrong_utterance(new)\n",
        "\n",
    ),
    without(
        "a letter without a usable session is refused",
        "replay",
        "if letter.session ~= ID then",
        "if false then",
    ),
    without(
        "a letter with neither audio nor text is refused",
        "replay",
        "if not letter.text and not letter.audio then",
        "if false then",
    ),
    without(
        "a key of a wrong type is noticed",
        "session",
        "if found ~= 'none' and found ~= kind then",
        "if false then",
    ),
    without(
        "a counter that is no number is noticed",
        "session",
        "if raw and not is_counter(raw) then",
        "if false then",
    ),
    without(
        "more turns ended than begun are noticed",
        "session",
        "if not wrong and number('done') > number('last') then",
        "if false then",
    ),
    without(
        "turns without a record are counted",
        "session",
        "if type(records) == 'number' and unfinished - records > MOST_LOST then",
        "if false then",
    ),
    # records
    without(
        "a record that is no UTF-8 is missing", "session", " or not is_utf8(raw) then", " then"
    ),
    without(
        "a record that is no JSON is missing",
        "session",
        "local ok, record = pcall(cjson.decode, raw)",
        "local ok, record = true, cjson.decode(raw)",
    ),
    without(
        "a record of wrong fields is missing",
        "session",
        RECORD_CAN_BE_READ,
        "if ok and type(record) == 'table' and pcall(cjson.encode, record) then",
    ),
    without(
        "a record that cannot be written again is missing",
        "session",
        RECORD_CAN_BE_READ,
        "if ok and is_record(record) then",
    ),
    without("a record is a table", "records", "if type(record) ~= 'table' or type", "if type"),
    without("a record has an id", "records", "type(record.id) ~= 'string' or ", ""),
    without(
        "texts are strings", "records", "if not is_missing_or('string', record[field])", "if false"
    ),
    without(
        "a record holds what its turn waits for, or how it ends",
        "records",
        "return record.entry ~= nil or record.text ~= nil or record.skip ~= nil or failure ~= nil",
        "return true",
    ),
    # what is done without what cannot be read
    without(
        "a wake-up that is no entry is not looked for",
        "session",
        "return is_entry_id(entry) and #redis",
        "return entry and #redis",
    ),
    without(
        "a wake-up that is no entry is not removed",
        "session",
        "if not is_entry_id(entry) then",
        "if not entry then",
    ),
    without(
        "what is remembered of an utterance may be unreadable",
        "acceptance",
        "  if not epoch then\n    return nil\n  end\n",
        "",
    ),
    without(
        "take_turn takes only what has a record",
        "take_turn",
        "if not record or not is_ready(record) then",
        "if not is_ready(record) then",
    ),
    without(
        "a delta about a turn without a record is left out",
        "delta",
        "if write and record then",
        "if write then",
    ),
    without(
        "the audio of a session that cannot be read goes",
        "bury_utterance",
        "if ID == '' or foreign_key(session_keys()) then",
        "if ID == '' then",
    ),
    without(
        "a turn without a record ends as lost",
        "tend",
        "  if not record then\n    event = 'lost'\n",
        "  if not record then\n    break\n  elseif false then\n    event = 'lost'\n",
    ),
    without(
        "a session is forgotten whatever its counters say",
        "forget",
        "if wrong_counters() then",
        "if false then",
    ),
    # the quarantine
    without(
        "a session that was set aside leaves `open`",
        "set_aside",
        "redis.call('ZREM', open, session)\n",
    ),
    without(
        "the reason is kept",
        "set_aside",
        "redis.pcall('HSET', quarantine, session, reason)",
        "1",
    ),
    without(
        "a foreign quarantine is not read",
        "set_aside",
        "redis.pcall('HGET', quarantine, session)",
        "redis.call('HGET', quarantine, session)",
    ),
    Mutant(
        "a foreign quarantine is not written",
        (
            Edit("set_aside", "redis.pcall('HGET', quarantine, session)", "nil"),
            Edit(
                "set_aside",
                "redis.pcall('HSET', quarantine, session, reason)",
                "redis.call('HSET', quarantine, session, reason)",
            ),
        ),
    ),
    without(
        "without a quarantine the session stays due",
        "set_aside",
        "if type(noted) == 'table' then",
        "if false then",
    ),
    without(
        "a session that is in order again leaves the quarantine",
        "tend",
        "if redis.pcall('HDEL', quarantine, ID) == 1 then",
        "if false then",
    ),
    without(
        "a foreign quarantine stops no tending",
        "tend",
        "redis.pcall('HDEL', quarantine, ID)",
        "redis.call('HDEL', quarantine, ID)",
    ),
    without(
        "an entry that names no session goes",
        "drop_wake_up",
        "redis.call('XACK', turns, 'llm', entry)\nredis.call('XDEL', turns, entry)\n",
    ),
    without(
        "drop_wake_up asks for the claim",
        "drop_wake_up",
        "if not ok or #rows == 0 then",
        "if false then",
    ),
)
