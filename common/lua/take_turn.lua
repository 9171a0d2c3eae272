-- include: session
-- take_turn: begins an attempt: takes all turns that are ready, to be answered as one.
--
-- args: entry consumer token max_merge:number history_wanted:number max_age_ms:number
--
-- `entry` is the wake-up, `token` a fresh one: an earlier attempt can no longer settle. At most
-- `max_merge` turns are taken, and the newest `history_wanted` messages returned; a turn that has
-- failed is taken alone. Speech that comes later, before the first word of the reply, is merged by
-- `workers/llm/publisher.py` (NewerSpeech). Turns older than `max_age_ms` are skipped (0: no limit).
-- Answers {ok, epoch, attempt, {turn, JSON, ...}, {message, ...}, now, persona}; {nothing}: no turn
-- is ready; {stale}: the session names another wake-up; {lost}: another worker has the claim. The
-- JSON holds what the worker needs of a record: an unknown field may be one that only Redis can
-- parse.
local foreign = foreign_key(session_keys())
if foreign then
  return { 'refused', foreign }
end
if not owned(TURNS, 'llm', consumer, entry) then
  return { 'lost' }
end
if redis.call('HGET', SESSION, 'wake') ~= entry then
  remove_entry(TURNS, 'llm', entry)
  return { 'stale' }
end
redis.call('HDEL', SESSION, 'token', 'taken')

local first = number('done') + 1
local last = number('last')
local taken
local answered = {}
for turn = first, last do
  local record = get_record(turn)
  if not record or not is_ready(record) then
    break
  end
  if not is_tombstone(record) and max_age_ms > 0 and NOW - record.spoken > max_age_ms then
    record.skip, record.text = 'expired', nil
    emit_skipped(turn, record, record.skip)
    put_record(turn, record)
  end
  if not is_tombstone(record) then
    if record.failures and taken then
      break
    end
    taken = turn
    answered[#answered + 1] = turn
    answered[#answered + 1] = cjson.encode({ id = record.id, text = record.text,
      persona = record.persona, interrupt = record.interrupt, traceparent = record.traceparent,
      failures = record.failures })
    if record.failures or #answered / 2 >= max_merge then
      break
    end
  end
end
if not taken then
  remove_entry(TURNS, 'llm', entry)
  end_attempt()
  advance()
  return with_changes({ 'nothing' })
end
local reached = number('reached')
if first > reached then
  redis.call('HDEL', SESSION, 'attempt')
end
redis.call('HSET', SESSION, 'taken', taken, 'token', token, 'started', NOW,
  'reached', math.max(reached, taken))
local attempt = redis.call('HINCRBY', SESSION, 'attempt', 1)
local history = {}
if history_wanted > 0 then
  history = redis.call('LRANGE', HISTORY, -history_wanted, -1)
end
advance()
return with_changes({ 'ok', number('epoch'), attempt, answered, history, NOW,
  redis.call('HGET', SESSION, 'persona') or '' })
