"""Mutants of how utterances enter and end: revisions, commits, once each, tend, dead letters."""

from typing import Final

from tests.model.mutants import Edit, Mutant, without
from tests.model.mutants_of_turns import CONCLUDE

RECORD_OF: Final = (
    Edit(
        "acceptance", "if seen.epoch ~= redis.call('HGET', SESSION, 'epoch') then", "if false then"
    ),
    Edit(
        "acceptance",
        "if record and record.id == utterance and not record.final then",
        "if record then",
    ),
)
SPARES_FINAL: Final = Edit("acceptance", " and not record.final then", " then")
REVEALED_ANYWAY: Final = "reveal(turn, record)\nput_record(turn, record)\nadvance()\n"

OF_UTTERANCES: Final[tuple[Mutant, ...]] = (
    # trap 5: an older revision
    without(
        "revising removes the waiting entry",
        "acceptance",
        "      remove_entry(stream, 'stt', record.entry)\n",
    ),
    without(
        "revising forgets what was transcribed",
        "acceptance",
        "record.text, record.skip, record.error, record.detail = nil, nil, nil, nil",
    ),
    without(
        "settle_utterance compares the record's entry",
        "settle_utterance",
        " or record.entry ~= entry then",
        " then",
    ),
    without(
        "bury_utterance compares the record's entry",
        "bury_utterance",
        " or record.entry ~= entry then",
        " then",
    ),
    Mutant(
        "a revision does not change what is final",
        (
            Edit("acceptance", "if seen.final or not record then", "if not record then"),
            SPARES_FINAL,
        ),
    ),
    # trap 6: commit by id and revision
    Mutant("commit goes by utterance id", RECORD_OF),
    without(
        "commit knows revisions that never arrived",
        "commit",
        "if not seen or seen.revision < revision then",
        "if not seen then",
    ),
    without(
        "commit knows newer revisions",
        "commit",
        "if not record or seen.revision > revision then",
        "if not record then",
    ),
    without("a commit may be repeated", "commit", "if seen.final then", "if false then"),
    without(
        "a commit is remembered",
        "commit",
        "write_seen(seen_key, seen.turn, revision, true, seen_ttl_ms)",
    ),
    # abandon: by id as well, and of drafts only
    Mutant(
        "abandon spares what is final",
        (
            Edit("abandon", "seen and not seen.final and record_of", "seen and record_of"),
            SPARES_FINAL,
        ),
    ),
    Mutant("what was abandoned stays so", (SPARES_FINAL,)),
    # publishing once
    without(
        "an utterance is accepted once",
        "acceptance",
        "  if not raw then\n    return nil\n  end\n",
        "  if true then\n    return nil\n  end\n",
    ),
    without(
        "what was accepted is remembered",
        "acceptance",
        "  write_seen(seen_key, turn, new.revision, new.final, new.seen_ttl)\n",
    ),
    without(
        "a final copy of an eager revision commits it",
        "acceptance",
        "if new.final and not seen.final then",
        "if false then",
    ),
    without("what was seen expires", "acceptance", ", 'PX', ttl)", ")"),
    without(
        "max_unanswered", "acceptance", "if last - done >= new.max_unanswered then", "if false then"
    ),
    without(
        "max_backlog",
        "acceptance",
        "if not new.text and redis.call('XLEN', stream) >= new.max_backlog then",
        "if false then",
    ),
    # nothing uncommitted is shown or answered
    without("only final turns are ready", "session", "return record.final and (", "return ("),
    without(
        "an uncommitted transcript is silent",
        "settle_utterance",
        CONCLUDE,
        REVEALED_ANYWAY,
    ),
    without("an uncommitted burial is silent", "bury_utterance", CONCLUDE, REVEALED_ANYWAY),
    without(
        "a session remembers its language",
        "settle_utterance",
        "    redis.call('HSET', SESSION, 'language', language)\n",
    ),
    without("answer=0 is not answered", "session", "if record.answer == 0 then", "if false then"),
    # each turn ends once
    without(
        "the turns taken with the last are merged",
        "settle_turn",
        "emit_skipped(turn, record, 'merged', taken)",
    ),
    without(
        "a tombstone among the merged has its ending",
        "settle_turn",
        "if turn < taken and not is_tombstone(record) then",
        "if turn < taken then",
    ),
    without(
        "a tombstone among the buried has its ending",
        "bury_turn",
        "elseif not is_tombstone(record) then",
        "else",
    ),
    without(
        "a reply takes its turns out of the inbox",
        "settle_turn",
        "  redis.call('HDEL', INBOX, turn)\n",
    ),
    without(
        "a reply takes its wake-up away",
        "settle_turn",
        "remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))",
    ),
    without(
        "too old to answer: noted in the record",
        "take_turn",
        "    emit_skipped(turn, record, record.skip)\n    put_record(turn, record)",
        "    emit_skipped(turn, record, record.skip)",
    ),
    without(
        "nothing to answer: the wake-up goes",
        "take_turn",
        "if not taken then\n  remove_entry(TURNS, 'llm', entry)",
        "if not taken then",
    ),
    without(
        "a stale wake-up goes",
        "take_turn",
        "  remove_entry(TURNS, 'llm', entry)\n  return { 'stale' }",
        "  return { 'stale' }",
    ),
    # tend
    without(
        "tend spares committed turns",
        "tend",
        "if not record.final and NOW - record.touched",
        "if NOW - record.touched",
    ),
    without(
        "tend ends eager turns",
        "tend",
        "if not record.final and NOW - record.touched > turn_timeout_ms then",
        "if false then",
    ),
    without(
        "tend spares entries that are there",
        "tend",
        "      and not exists(stream, record.entry) then",
        "      then",
    ),
    without(
        "tend spares entries that somebody has in hand",
        "tend",
        "record.entry and not in_hand(stream, record.entry)\n      and",
        "record.entry and",
    ),
    without(
        "tend notices vanished entries",
        "tend",
        "      and not exists(stream, record.entry) then",
        "      and false then",
    ),
    without(
        "tend reads the cursor again",
        "tend",
        "while number('done') < number('last') and #mended < MOST_LOST do\n"
        "  local turn = number('done') + 1\n",
        "for turn = number('done') + 1, number('last') do\n",
    ),
    # dead letters, and the right to be forgotten
    without(
        "bury_turn leaves a dead letter",
        "bury_turn",
        "    add_letter({ 'v'",
        "    bytes_of({ 'v'",
    ),
    without("a letter's bytes are noted", "letters", "    note_size(id, bytes_of(fields))\n"),
    without(
        "the bytes of a letter are added to the others'",
        "letters",
        "digits(total + bytes))",
        "digits(bytes))",
    ),
    without("a replayed letter's bytes are forgotten", "letters", "forget_sizes({ member })"),
    without(
        "the bytes of a letter that is gone are taken off",
        "letters",
        "    total = total - size_in(member)\n",
    ),
    without("a replayed letter is gone", "replay", "delete_letter(letter_id)"),
    without(
        "a letter that was not accepted stays",
        "replay",
        "if answer[1] == 'accepted' then",
        "if true then",
    ),
    without("what is forgotten ends", "forget", "emit_skipped(turn, record, 'forgotten')"),
    without("what is forgotten wakes nobody", "forget", "  remove_entry(TURNS, 'llm', wake)\n"),
    without("a forgotten session is not in `open`", "forget", "redis.call('ZREM', OPEN, ID)"),
)
