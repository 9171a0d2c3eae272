"""What holds between any two commands, looked at after each step of a run."""

import hashlib
from typing import Final

from redis.exceptions import NoScriptError

from tests.model.actors import Violation
from tests.model.simulation import SESSIONS, SHARD, Simulation

# KEYS: open, turns, then session, inbox and history of each session, utterances, recordings.
# ARGV: max_backlog, max_unanswered, the sessions. Answers sentences.
LOOK: Final = """
local broken = {}
local function require_(holds, sentence)
  if not holds then broken[#broken + 1] = sentence end
end
local known = {}
for i = 3, #ARGV do known[ARGV[i]] = true end
local function count_by(stream, field)
  local counts, total = {}, 0
  for _, entry in ipairs(redis.call('XRANGE', stream, '-', '+')) do
    local fields = {}
    for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
    if known[fields.session] and not fields.foreign then
      counts[fields[field]] = (counts[fields[field]] or 0) + 1
      -- a later revision takes the place of an earlier one, whatever the limit
      total = total + (fields.revision == '1' and 1 or 0)
    end
  end
  return counts, total
end
for i = #KEYS - 1, #KEYS do
  local counts, total = count_by(KEYS[i], 'id')
  require_(total <= tonumber(ARGV[1]), KEYS[i] .. ' is past its limit')
  for id, count in pairs(counts) do require_(count == 1, id .. ' waits twice') end
end
local wakes = count_by(KEYS[2], 'session')
for i = 1, #ARGV - 2 do
  local id = ARGV[i + 2]
  local session, inbox, history = KEYS[3 * i], KEYS[3 * i + 1], KEYS[3 * i + 2]
  local state = {}
  local flat = redis.call('HGETALL', session)
  for j = 1, #flat, 2 do state[flat[j]] = flat[j + 1] end
  local done, last = tonumber(state.done or 0), tonumber(state.last or 0)
  require_(last - done <= tonumber(ARGV[2]), id .. ' has too many unanswered turns')
  local open = redis.call('ZSCORE', KEYS[1], id)
  require_((wakes[id] or 0) <= 1, id .. ' has two wake-ups')
  if done < last then
    require_(open, id .. ' is unfinished and not in open')
    for _, key in ipairs({ session, inbox, history }) do
      require_(redis.call('PTTL', key) < 0, key .. ' is unfinished and may expire')
    end
    local raw = redis.call('HGET', inbox, done + 1)
    require_(raw, id .. ' has no record of its next turn')
    local head = raw and cjson.decode(raw) or {}
    if head.final and (head.text or head.skip or head.error) then
      require_(head.text, id .. ' waits at a tombstone')
      require_(state.wake, id .. ' is ready and has no wake-up')
    end
    if state.token then
      local taken = tonumber(state.taken)
      require_(taken and taken > done and taken <= last, id .. ' has taken ' .. (taken or '-'))
    end
  else
    require_(not open, id .. ' is finished and open')
    require_(not state.wake and not state.token, id .. ' is finished and not at rest')
    require_(not wakes[id], id .. ' is finished and has a wake-up')
    for _, key in ipairs({ session, inbox, history }) do
      require_(redis.call('PTTL', key) ~= -1, key .. ' is finished and never expires')
    end
  end
end
return broken
"""


class StepInvariants:
    """Raises Violation when a run's Redis is in a state that must not be."""

    def __init__(self, simulation: Simulation) -> None:
        self._world = simulation
        self._seen = 0
        self._digest = hashlib.sha1(LOOK.encode(), usedforsecurity=False).hexdigest()
        self._keys = [SHARD.open, SHARD.turns]
        for session in SESSIONS:
            self._keys += [SHARD.session(session), SHARD.inbox(session), SHARD.history(session)]
        self._keys += [SHARD.utterances, SHARD.recordings]
        limits = simulation.store.limits
        self._arguments: list[str | int] = [limits.max_backlog, limits.max_unanswered, *SESSIONS]

    def look(self) -> None:
        if self._world.redis.changes == self._seen:
            return
        command = (len(self._keys), *self._keys, *self._arguments)
        try:
            broken = self._world.do("EVALSHA", self._digest, *command)
        except NoScriptError:
            broken = self._world.do("EVAL", LOOK, *command)
        self._seen = self._world.redis.changes
        if broken:
            raise Violation("; ".join(sentence.decode() for sentence in broken))
