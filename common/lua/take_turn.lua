-- include: session
-- take_turn: an attempt at an answer begins; whoever tried before can no longer settle.
--
-- ARGV[4] wake-up entry  ARGV[5] consumer  ARGV[6] fresh token  ARGV[7] max_merge (turns)
-- ARGV[8] history wanted (messages, newest)  ARGV[9] max_answer_age (ms; 0: no limit)
--
-- Answers {ok, epoch, attempt, {turn, record, ...}, {message, ...}, now, persona}; {nothing}: nothing
-- is ready; {stale}: the session names another wake-up; {lost}: the claim is another worker's.
local entry = ARGV[4]
local foreign = foreign_key(session_keys())
if foreign then
  return { 'refused', foreign }
end
if not owned(TURNS, 'llm', ARGV[5], entry) then
  return { 'lost' }
end
if redis.call('HGET', SESSION, 'wake') ~= entry then
  remove_entry(TURNS, 'llm', entry)
  return { 'stale' }
end
redis.call('HDEL', SESSION, 'token', 'taken')

local max_age = tonumber(ARGV[9])
local first = number('done') + 1
local last = number('last')
local taken
local answered = {}
for turn = first, last do
  local record = get_record(turn)
  if not record or not is_ready(record) then
    break
  end
  if not is_tombstone(record) and max_age > 0 and NOW - record.spoken > max_age then
    record.skip, record.text = 'expired', nil
    emit_skipped(turn, record, record.skip)
    put_record(turn, record)
  end
  if not is_tombstone(record) then
    taken = turn
    answered[#answered + 1] = turn
    answered[#answered + 1] = cjson.encode(record)
    if #answered / 2 >= tonumber(ARGV[7]) then
      break
    end
  end
end
if not taken then
  remove_entry(TURNS, 'llm', entry)
  end_attempt()
  advance()
  return marked({ 'nothing' })
end
local reached = number('reached')
if first > reached then
  redis.call('HDEL', SESSION, 'attempt')
end
redis.call('HSET', SESSION, 'taken', taken, 'token', ARGV[6], 'started', NOW,
  'reached', math.max(reached, taken))
local attempt = redis.call('HINCRBY', SESSION, 'attempt', 1)
local history = {}
if tonumber(ARGV[8]) > 0 then
  history = redis.call('LRANGE', HISTORY, -tonumber(ARGV[8]), -1)
end
advance()
return marked({ 'ok', redis.call('HGET', SESSION, 'epoch'), attempt, answered, history, NOW,
  redis.call('HGET', SESSION, 'persona') or '' })
