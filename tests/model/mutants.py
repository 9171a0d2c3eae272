"""The scripts with a guard removed, each: what the model test must notice.

A guard that another one backs up is removed together with it, because either alone suffices.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from types import ModuleType
from typing import Final

from common.script import INCLUDE, Script
from common.transitions import (
    answering,
    claims,
    dead_letters,
    publishing,
    tending,
    transcribing,
)

MODULES: Final[tuple[ModuleType, ...]] = (
    answering,
    claims,
    dead_letters,
    publishing,
    tending,
    transcribing,
)


@dataclass(frozen=True, slots=True)
class Edit:
    """`old`, which stands in `lua/FILE.lua` exactly once, becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """`seed` is one that caught it when it was written; it is tried first."""

    guard: str
    seed: int
    edits: tuple[Edit, ...]


def scripts() -> list[Script]:
    """Every transition's script."""
    return [
        value for module in MODULES for value in vars(module).values() if isinstance(value, Script)
    ]


def file_text(name: str) -> str:
    return (resources.files("common") / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def assemble(name: str, edits: Sequence[Edit]) -> str:
    """As `common.script.source`, with some texts replaced in the files they are meant for."""
    parts = []
    for file in [*INCLUDE.findall(file_text(name)), name]:
        text = file_text(file)
        for edit in edits:
            if edit.file == file:
                text = text.replace(edit.old, edit.new)
        parts.append(text)
    return "\n".join(parts)


def check_found(mutant: Mutant) -> None:
    """Raises AssertionError if an edit's text is no longer in its file, or more than once."""
    for edit in mutant.edits:
        found = file_text(edit.file).count(edit.old)
        assert found == 1, f"{mutant.guard}: {edit.old!r} stands {found} times in {edit.file}.lua"


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """The transitions run the mutant's scripts meanwhile."""
    check_found(mutant)
    sound = [(script, script.text, script.digest) for script in scripts()]
    try:
        for script in scripts():
            script.text = assemble(script.name, mutant.edits)
            script.digest = hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest()
        yield
    finally:
        for script, text, digest in sound:
            script.text, script.digest = text, digest


def one(guard: str, file: str, old: str, new: str = "", seed: int = 0) -> Mutant:
    return Mutant(guard, seed, (Edit(file, old, new),))


TOMBSTONE_LOOP: Final = "    if not head or not (head.final and is_tombstone(head)) then"
RECORD_OF: Final = (
    Edit("publishing", "if seen.epoch ~= redis.call('HGET', SESSION, 'epoch') then", "if false then"),
    Edit("publishing", "if record and record.id == utterance then", "if record then"),
)
READY_AGAIN: Final = """local taken = number('taken')
while (function()
  local record = get_record(taken + 1)
  return record and is_ready(record)
end)() do
  taken = taken + 1
end
"""

MUTANTS: Final[tuple[Mutant, ...]] = (
    # trap 2: every script that ends or readies a turn goes on to the next
    one("tombstones at the cursor are skipped", "session", TOMBSTONE_LOOP, "    if true then"),
    one("a provisional tombstone holds its turn", "session", TOMBSTONE_LOOP,
        "    if not head or not is_tombstone(head) then"),
    one("settle_utterance advances", "settle_utterance", "advance()\n"),
    one("bury_utterance advances", "bury_utterance", "advance()\n"),
    one("settle_turn advances", "settle_turn", "advance()\n"),
    one("bury_turn advances", "bury_turn", "advance()\n"),
    one("publish and commit advance", "publishing",
        "  put_record(turn, record)\n  advance()\nend", "  put_record(turn, record)\nend"),
    one("take_turn advances when nothing is left", "take_turn", "  end_attempt()\n  advance()\n",
        "  end_attempt()\n"),
    one("tend repairs wake-ups", "tend",
        "local wake = redis.call('HGET', SESSION, 'wake')\nadvance()",
        "local wake = redis.call('HGET', SESSION, 'wake')"),
    one("a vanished wake-up is made again", "session", "if not wake or not exists(TURNS, wake) then",
        "if not wake then"),
    one("at most one wake-up", "session", "if not wake or not exists(TURNS, wake) then",
        "if true then"),
    one("an unfinished session is in `open`", "session",
        "redis.call('ZADD', OPEN, NOW + TEND_AFTER, ID)"),
    one("a finished session is not in `open`", "session",
        "    redis.call('ZREM', OPEN, ID)\n    redis.call('PEXPIRE', SESSION, SESSION_TTL)",
        "    redis.call('PEXPIRE', SESSION, SESSION_TTL)"),
    # trap 3: unfinished sessions do not expire, finished ones do
    one("unfinished: the session is kept", "session", "redis.call('PERSIST', SESSION)"),
    one("unfinished: the history is kept", "session", "redis.call('PERSIST', HISTORY)"),
    one("finished: the session expires", "session", "redis.call('PEXPIRE', SESSION, SESSION_TTL)"),
    one("finished: the history expires", "session", "redis.call('PEXPIRE', HISTORY, SESSION_TTL)"),
    # trap 4: tokens, and `taken` frozen
    one("settle_turn asks for the token", "settle_turn", "if token ~= ARGV[4] then",
        "if false then"),
    one("settle_turn asks whether an attempt goes on", "settle_turn",
        "if not token then\n  return { 'stale' }\nend\nif token ~= ARGV[4] then", "if false then"),
    one("bury_turn asks for the token", "bury_turn", "if token ~= ARGV[4] then", "if false then"),
    one("delta asks for the token", "delta", "if redis.call('HGET', SESSION, 'token') ~= ARGV[4]",
        "if false"),
    one("take_turn stores a fresh token", "take_turn", "'token', ARGV[6],", "'token', 'same',"),
    one("settle_turn keeps to what was taken", "settle_turn", "local taken = number('taken')\n",
        READY_AGAIN),
    one("bury_turn keeps to what was taken", "bury_turn", "local taken = number('taken')\n",
        READY_AGAIN),
    one("the end of an attempt voids its token", "session", "'token', 'taken', 'wake', 'started')",
        "'taken', 'wake', 'started')"),
    one("the end of an attempt forgets its wake-up", "session",
        "'token', 'taken', 'wake', 'started')", "'token', 'taken', 'started')"),
    one("attempts at a turn never repeat a number", "take_turn", "if first > reached then",
        "if true then"),
    # claims
    one("settle_utterance asks for the claim", "settle_utterance",
        "if not owned(stream, 'stt', ARGV[5], entry) then", "if false then"),
    one("bury_utterance asks for the claim", "bury_utterance",
        "if not owned(stream, 'stt', ARGV[5], entry) then", "if false then"),
    one("take_turn asks for the claim", "take_turn",
        "if not owned(TURNS, 'llm', ARGV[5], entry) then", "if false then"),
    one("take_turn asks for the session's wake-up", "take_turn",
        "if redis.call('HGET', SESSION, 'wake') ~= entry then", "if false then"),
    one("a heartbeat keeps what is ours only", "heartbeat", "if ok and #rows > 0 then",
        "if true then"),
    one("hand_back gives what is ours only", "hand_back",
        "if ok and #rows > 0 then\n    local deliveries = math.max(tonumber(rows[1][4]) - 1, 0)",
        "if true then\n    local deliveries = 0"),
    one("leave keeps a consumer with entries", "leave", "if #rows > 0 then", "if false then"),
    one("a settled entry is acknowledged", "session",
        "pcall(redis.call, 'XACK', stream, group, entry)"),
    one("a settled entry is deleted", "session", "redis.call('XDEL', stream, entry)"),
    # trap 5: an older revision
    one("revising removes the waiting entry", "publishing",
        "      remove_entry(stream, 'stt', record.entry)\n"),
    one("revising forgets what was transcribed", "publishing",
        "record.text, record.skip, record.error, record.detail = nil, nil, nil, nil"),
    one("settle_utterance compares the record's entry", "settle_utterance",
        " or record.entry ~= entry then", " then"),
    one("bury_utterance compares the record's entry", "bury_utterance",
        " or record.entry ~= entry then", " then"),
    one("a revision does not change what is final", "publishing",
        "if seen.final or not record then", "if not record then"),
    # trap 6: commit by id and revision
    Mutant("commit goes by utterance id", 0, RECORD_OF),
    one("commit knows revisions that never arrived", "commit",
        "if not seen or seen.revision < revision then", "if not seen then"),
    one("commit knows newer revisions", "commit", "if not record or seen.revision > revision then",
        "if not record then"),
    one("a commit may be repeated", "commit", "if seen.final then", "if false then"),
    one("a commit is remembered", "commit",
        "write_seen(KEYS[7], seen.turn, revision, true, tonumber(ARGV[6]))"),
    # publishing once
    one("an utterance is accepted once", "publishing", "  if not raw then\n    return nil\n  end\n",
        "  if true then\n    return nil\n  end\n"),
    one("what was accepted is remembered", "publishing",
        "  write_seen(seen_key, turn, new.revision, new.final, new.seen_ttl)\n  put_record(turn, record)\n"
        "  emit('heard'", "  put_record(turn, record)\n  emit('heard'"),
    one("a final copy of an eager revision commits it", "publishing",
        "if new.revision == seen.revision then", "if false then"),
    one("what was seen expires", "publishing", ", 'PX', ttl)", ")"),
    one("max_unanswered", "publishing", "if last - done >= new.max_unanswered then",
        "if false then"),
    one("max_backlog", "publishing",
        "if not new.text and redis.call('XLEN', stream) >= new.max_backlog then", "if false then"),
    # nothing uncommitted is shown or answered
    one("only final turns are ready", "session", "return record.final and (", "return ("),
    one("an uncommitted transcript is silent", "settle_utterance", "if record.final then",
        "if true then"),
    one("an uncommitted burial is silent", "bury_utterance", "if record.final then",
        "if true then"),
    one("answer=0 is not answered", "session", "if record.answer == 0 then", "if false then"),
    # each turn ends once
    one("the turns taken with the last are merged", "settle_turn",
        "emit_skipped(turn, record, 'merged', taken)"),
    one("a tombstone among the merged has its ending", "settle_turn",
        "if record and turn < taken and not is_tombstone(record) then",
        "if record and turn < taken then"),
    one("a tombstone among the buried has its ending", "bury_turn",
        "if record and not is_tombstone(record) then", "if record then"),
    one("a reply takes its turns out of the inbox", "settle_turn", "  redis.call('HDEL', INBOX, turn)\n"),
    one("a reply takes its wake-up away", "settle_turn",
        "remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))"),
    one("too old to answer: noted in the record", "take_turn",
        "    emit_skipped(turn, record, record.skip)\n    put_record(turn, record)",
        "    emit_skipped(turn, record, record.skip)"),
    one("nothing to answer: the wake-up goes", "take_turn",
        "if not taken then\n  remove_entry(TURNS, 'llm', entry)", "if not taken then"),
    one("a stale wake-up goes", "take_turn",
        "  remove_entry(TURNS, 'llm', entry)\n  return { 'stale' }", "  return { 'stale' }"),
    # tend
    one("tend spares committed turns", "tend", "if not record.final and NOW - record.touched",
        "if NOW - record.touched"),
    one("tend ends eager turns", "tend",
        "if not record.final and NOW - record.touched > tonumber(ARGV[4]) then", "if false then"),
    one("tend spares entries that are there", "tend",
        "      and not exists(stream, record.entry) then", "      then"),
    one("tend notices vanished entries", "tend",
        "      and not exists(stream, record.entry) then", "      and false then"),
    one("tend reads the cursor again", "tend",
        "while number('done') < number('last') do\n  local turn = number('done') + 1\n",
        "for turn = number('done') + 1, number('last') do\n"),
    # dead letters, and the right to be forgotten
    one("bury_turn leaves a dead letter", "bury_turn", "    redis.call('XADD', KEYS[7], '*',",
        "    redis.call('HMGET', INBOX,"),
    one("a replayed letter is gone", "replay", "redis.call('XDEL', dead, ARGV[4])"),
    one("a letter that was not accepted stays", "replay", "if answer[1] == 'accepted' then",
        "if true then"),
    one("what is forgotten ends", "forget", "emit_skipped(turn, record, 'forgotten')"),
    one("what is forgotten wakes nobody", "forget", "  remove_entry(TURNS, 'llm', wake)\n"),
    one("a forgotten session is not in `open`", "forget", "redis.call('ZREM', OPEN, ID)"),
    # trap 7: with the memory full, what ends work goes through
    Mutant("settle_utterance deletes first", 0, (
        Edit("settle_utterance", "remove_entry(stream, 'stt', entry)\n", ""),
        Edit("settle_utterance", "advance()\n", "remove_entry(stream, 'stt', entry)\nadvance()\n"),
    )),
    Mutant("bury_utterance deletes first", 0, (
        Edit("bury_utterance", "remove_entry(stream, 'stt', entry)\n", ""),
        Edit("bury_utterance", "if ID == '' then\n", "remove_entry(stream, 'stt', entry)\nif ID == '' then\n"),
    )),
    Mutant("settle_turn deletes first", 0, (
        Edit("settle_turn", "remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))\nend_attempt()\n", ""),
        Edit("settle_turn", "redis.call('HSET', SESSION, 'done', taken)\n",
             "remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))\nend_attempt()\n"
             "redis.call('HSET', SESSION, 'done', taken)\n"),
    )),
    Mutant("bury_turn deletes first", 0, (
        Edit("bury_turn", "remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))\nend_attempt()\n", ""),
        Edit("bury_turn", "redis.call('HSET', SESSION, 'done', taken)\n",
             "remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))\nend_attempt()\n"
             "redis.call('HSET', SESSION, 'done', taken)\n"),
    )),
    one("take_turn deletes first", "take_turn", "redis.call('HDEL', SESSION, 'token', 'taken')\n"),
    one("commit passes when memory is full", "commit", "pass_when_full()\n"),
    one("tend passes when memory is full", "tend", "  pass_when_full()\n"),
    one("forget passes when memory is full", "forget", "pass_when_full()\n"),
)
