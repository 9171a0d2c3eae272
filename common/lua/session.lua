-- include: records
-- Shared by every script that touches a session; common/redis/script.py puts it in front of them.
--
-- keys: SESSION INBOX HISTORY OPEN TURNS RESULTS
-- args: ID SESSION_TTL:number TEND_AFTER:number
--
-- SESSION  hash    epoch last done taken wake token attempt started reached persona language phrase
--                  hotwords
-- INBOX    hash    turn -> record (JSON, below)
-- HISTORY  list    chat messages (JSON)
-- OPEN     zset    sessions with unfinished turns, by when to look after them (ms)
-- TURNS    stream  wake-ups, group llm
-- RESULTS  stream  events
-- ID: the session's id. SESSION_TTL, TEND_AFTER: ms.
--
-- A turn is one utterance's number in its session.
--   last   the last one allotted
--   done   the last one that has ended (the cursor)
--   taken  the last one that the present attempt answers
--   wake   the entry in TURNS that stands for this session; at most one
--   token  of the present attempt: whoever holds it may settle
--   attempt, started   how often this head was taken, and when last (ms)
--   reached  the last turn that any attempt has answered so far: while the head is not beyond it,
--            `attempt` goes on counting, so that no turn's deltas ever repeat a number
--   persona  who answers in this conversation, if somebody chose (set_persona)
--   hotwords  words of its own, separated by commas, if somebody chose them (set_hotwords)
--   language  in which the last utterance was spoken whose language STT was sure of
--   phrase  a turn, and the stock phrase that its transcript consisted of, whether or not it was
--            dropped: `12 thank you`; only that of the last transcript
--
-- records.lua describes the records.
--
-- Another program, a bug or a worn disk may have written anything into any key. A record that no
-- script can have written counts as missing: its turn ends as lost, and the session goes on. A
-- session whose counters cannot be right is refused with a sentence, and the caretaker sets it
-- aside. No content stops a script half way, or makes it run for long.
--
-- Order inside a script: first read and check everything, since a foreign key of the wrong type
-- must not stop it half way; then XACK / XDEL / HDEL; then what needs memory. Under `maxmemory`
-- Redis refuses commands that need memory only until the script has made its first write. So work
-- in hand can always be settled, and a full server drains.

local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- Unfinished turns that no session has: EARSHOT_LIMITS__MAX_UNANSWERED is at most this.
local MOST_UNFINISHED = 100000

-- Unfinished turns without a record that end as lost. More cannot have vanished: `last` must be
-- wrong, and nobody spoke them.
local MOST_LOST = 1000

-- A sentence about the first key that holds something of a wrong type, or nil.
local function foreign_type(expected)
  for key, kind in pairs(expected) do
    local found = redis.call('TYPE', key)['ok']
    if found ~= 'none' and found ~= kind then
      return 'the key ' .. key .. ' holds a ' .. found .. ', not a ' .. kind
        .. ': something else than earshot wrote it; rename or delete it'
    end
  end
  return nil
end

local function is_counter(raw)
  return #raw < 16 and string.match(raw, '^%d+$') ~= nil
end

-- A counter of the session; 0 for one that no script can have written.
local function number(field)
  local raw = redis.call('HGET', SESSION, field)
  return raw and is_counter(raw) and tonumber(raw) or 0
end

-- A sentence about counters of the session that no script can have written, or nil.
local function wrong_counters()
  local wrong
  for _, field in ipairs({ 'epoch', 'last', 'done', 'taken', 'attempt', 'started', 'reached' }) do
    local raw = redis.call('HGET', SESSION, field)
    if raw and not is_counter(raw) then
      wrong = field .. ' is no number'
    end
  end
  if not wrong and number('done') > number('last') then
    wrong = 'more turns have ended than begun'
  end
  local unfinished = number('last') - number('done')
  if not wrong and unfinished > MOST_UNFINISHED then
    wrong = 'more turns are unfinished than a session can have'
  end
  if not wrong and unfinished > MOST_LOST then
    -- by pcall: an ACL file of an older version does not allow it
    local records = redis.pcall('HLEN', INBOX)
    if type(records) == 'number' and unfinished - records > MOST_LOST then
      wrong = 'more than ' .. MOST_LOST .. ' turns have no record'
    end
  end
  return wrong and 'the key ' .. SESSION .. ' cannot be right (' .. wrong
    .. '): something else than earshot wrote it; forget the session'
end

-- A sentence about the first thing in these keys that no script can have written, or nil.
local function foreign_key(expected)
  return foreign_type(expected) or (expected[SESSION] and wrong_counters() or nil)
end

-- The keys of the shard that every session uses, and `more`, each with its type.
local function shard_keys(more)
  local expected = { [OPEN] = 'zset', [TURNS] = 'stream', [RESULTS] = 'stream' }
  for key, kind in pairs(more or {}) do
    expected[key] = kind
  end
  return expected
end

local function session_keys(more)
  local expected = shard_keys(more)
  expected[SESSION], expected[INBOX], expected[HISTORY] = 'hash', 'hash', 'list'
  return expected
end

-- The record of a turn; nil if there is none that can be read and written again.
local function get_record(turn)
  local raw = redis.call('HGET', INBOX, turn)
  if not raw or not is_utf8(raw) then
    return nil
  end
  local ok, record = pcall(cjson.decode, raw)
  if ok and is_record(record) and pcall(cjson.encode, record) then
    return record
  end
  return nil
end

-- Stands for the record of a turn that has none, so that the turn can end.
local function lost_record()
  return { id = '', rev = 0, spoken = NOW, published = NOW, touched = NOW }
end

local function put_record(turn, record)
  redis.call('HSET', INBOX, turn, cjson.encode(record))
end

-- The first write of scripts that end work and have nothing to delete first. It needs no memory,
-- and Redis refuses no write after it.
local function pass_when_full()
  redis.call('HDEL', SESSION, '')
end

-- What this script did to turns. Its answer ends with these changes, and the caller makes metrics
-- and spans from them (common/telemetry/turn_changes.py). So each is counted once.
local CHANGES = { 'changes' }

local function note_change(what, turn, record, data)
  data = data or {}
  CHANGES[#CHANGES + 1] = cjson.encode({ what = what, turn = tonumber(turn), utterance = record.id,
    at = NOW, spoken = record.spoken, published = record.published, committed = record.committed,
    stt_started = record.stt_started, transcribed = record.transcribed,
    llm_started = record.llm_started, first_token = record.first_token,
    last_token = record.last_token, length_ms = record.length_ms, silence_ms = record.silence_ms,
    traceparent = record.traceparent, reason = data.reason, into = data.into, usage = data.usage,
    attempt = data.attempt })
end

local function with_changes(answer)
  if #CHANGES > 1 then
    answer[#answer + 1] = CHANGES
  end
  return answer
end

local function emit(kind, turn, record, data)
  redis.call('XADD', RESULTS, '*', 'v', '1', 'type', kind, 'session', ID,
    'epoch', string.format('%.0f', number('epoch')), 'turn', turn, 'id', record.id,
    'at', NOW, 'data', cjson.encode(data))
  note_change(kind, turn, record, data)
end

local function is_tombstone(record)
  return record.skip ~= nil or record.error ~= nil
end

local function is_ready(record)
  return record.final and (record.text ~= nil or is_tombstone(record))
end

-- The times of the stages that a turn has reached, in ms since the end of speech.
local function timings(record)
  local since = {}
  for _, stage in ipairs({ 'published', 'stt_started', 'transcribed', 'committed', 'llm_started',
    'first_token', 'last_token' }) do
    if record[stage] then
      since[stage] = record[stage] - record.spoken
    end
  end
  return since
end

-- What the event of a turn says whose record or audio is gone.
local function lost(why)
  return { stage = 'tend', reason = 'lost', error = why, deliveries = 0 }
end

local function emit_skipped(turn, record, reason, into)
  emit('skipped', turn, record, { reason = reason, into = into, detail = record.detail })
end

-- Emits the event of a record that has become final: its transcript, skip or error.
local function reveal(turn, record)
  if record.error then
    emit('error', turn, record, record.error)
  elseif record.skip then
    emit_skipped(turn, record, record.skip)
  elseif record.text then
    local data = record.detail or {}
    data.text = record.text
    data.timings = timings(record)
    data.speech_ms = record.speech_ms
    emit('transcript', turn, record, data)
    record.detail = nil
    if record.answer == 0 then
      record.skip = 'transcript_only'
      record.text = nil
      emit_skipped(turn, record, record.skip)
    end
  end
end

local function owned(stream, group, consumer, entry)
  local ok, rows = pcall(redis.call, 'XPENDING', stream, group, entry, entry, 1, consumer)
  if not ok or #rows == 0 then
    return nil
  end
  return tonumber(rows[1][4])
end

local function remove_entry(stream, group, entry)
  if not is_entry_id(entry) then
    return
  end
  pcall(redis.call, 'XACK', stream, group, entry) -- the group may have been lost
  redis.call('XDEL', stream, entry)
end

local function exists(stream, entry)
  return is_entry_id(entry) and #redis.call('XRANGE', stream, entry, entry, 'COUNT', 1) > 0
end

-- Ends the present attempt: its token becomes void, and the session forgets its wake-up.
local function end_attempt()
  redis.call('HDEL', SESSION, 'token', 'taken', 'wake', 'started')
end

-- Nil if the holder of this token may end its attempt. Otherwise the answer of the script: {lost}
-- if a later attempt has begun, {stale} if there is none.
local function voided(token)
  local present = redis.call('HGET', SESSION, 'token')
  if not present then
    return { 'stale' }
  end
  if present ~= token then
    return { 'lost' }
  end
  return nil
end

-- The records of the turns up to `taken` that have not ended, in order. A turn whose record is gone
-- since it was taken ends as well; one that is not ready was never taken, whatever `taken` says.
local function unfinished_up_to(taken)
  local records = {}
  local done = number('done')
  for turn = done + 1, math.min(taken, number('last')) do
    local record = get_record(turn)
    if record and not is_ready(record) then
      break
    end
    records[turn - done] = record or lost_record()
  end
  return records
end

-- Goes on to the next turn: moves the cursor over tombstones, wakes an LLM worker if the next turn
-- is ready, updates TTLs and OPEN. Every script that may change which turn is next ends with it.
local function advance()
  if redis.call('EXISTS', SESSION) == 0 then
    redis.call('ZREM', OPEN, ID)
    return
  end
  local done, last = number('done'), number('last')
  local head
  local moved = false
  while done < last do
    head = get_record(done + 1)
    if not head or not (head.final and is_tombstone(head)) then
      break
    end
    done = done + 1
    redis.call('HDEL', INBOX, done)
    moved = true
    head = nil
  end
  if moved then
    redis.call('HSET', SESSION, 'done', done)
  end
  if done >= last then
    redis.call('ZREM', OPEN, ID)
    redis.call('PEXPIRE', SESSION, SESSION_TTL)
    redis.call('PEXPIRE', INBOX, SESSION_TTL)
    redis.call('PEXPIRE', HISTORY, SESSION_TTL)
    return
  end
  redis.call('PERSIST', SESSION)
  redis.call('PERSIST', INBOX)
  redis.call('PERSIST', HISTORY)
  if head and is_ready(head) then
    local wake = redis.call('HGET', SESSION, 'wake')
    if not wake or not exists(TURNS, wake) then
      wake = redis.call('XADD', TURNS, '*', 'v', '1', 'session', ID, 'turn', done + 1)
      redis.call('HDEL', SESSION, 'token', 'taken')
      redis.call('HSET', SESSION, 'wake', wake)
    end
  end
  redis.call('ZADD', OPEN, NOW + TEND_AFTER, ID)
end

-- Sets what somebody chose for this conversation; an empty value takes the choice back. A session
-- that does not exist yet begins, so that its first turn finds the choice.
local function choose(field, value)
  local foreign = foreign_key(session_keys())
  if foreign then
    return { 'refused', foreign }
  end
  if value == '' then
    redis.call('HDEL', SESSION, field)
  else
    redis.call('HSETNX', SESSION, 'epoch', NOW)
    redis.call('HSET', SESSION, field, value)
  end
  advance()
  return { 'ok' }
end

-- Stores a record that got a text or a tombstone, emits its event if it is final, and goes on.
local function conclude(turn, record)
  if record.final then
    reveal(turn, record)
  end
  put_record(turn, record)
  advance()
end

-- Ends a turn in any state, by the skip or error that was put into its record.
local function end_turn(turn, record)
  pass_when_full()
  record.final = true
  record.entry, record.stream, record.text = nil, nil, nil
  conclude(turn, record)
end

-- Ends a turn that is not final because its producer is silent or gone. `stream` holds its entry.
local function expire(turn, record, stream)
  if record.entry then
    remove_entry(stream, 'stt', record.entry)
  end
  record.error, record.skip, record.detail = nil, 'expired', nil
  end_turn(turn, record)
end
