-- include: session
-- settle_turn: ends the turns of an attempt with its whole reply.
--
-- args: token text detail_json first_token_ms:number last_token_ms:number keep:number messages...
--
-- `detail_json` holds further fields of the event. `first_token_ms` and `last_token_ms` are the
-- times since those tokens (-1: there was none). The history grows by `messages` (JSON) and keeps
-- the newest `keep`.
-- Answers {ok, turn}; {lost}: a later attempt has begun; {stale}: no attempt is going on.
local foreign = foreign_key(session_keys())
if foreign then
  return { 'refused', foreign }
end
local data = cjson.decode(detail_json)
local void = voided(token)
if void then
  return void
end
local taken = number('taken')
local done, records = number('done'), unfinished_up_to(taken)
taken = done + #records
local attempt, started = number('attempt'), number('started')
remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))
end_attempt()
if #records == 0 then
  advance() -- `tend` has ended them all, as lost
  return { 'stale' }
end
for offset, record in ipairs(records) do
  local turn = done + offset
  if turn < taken and not is_tombstone(record) then
    emit_skipped(turn, record, 'merged', taken)
  elseif turn == taken then
    record.llm_started = started
    if first_token_ms >= 0 then
      record.first_token = NOW - first_token_ms
    end
    record.last_token = math.max(NOW - last_token_ms, record.first_token or started)
    local since = timings(record)
    since.done = NOW - record.spoken
    data.text, data.attempt, data.timings = text, attempt, since
    emit('reply', turn, record, data)
  end
  redis.call('HDEL', INBOX, turn)
end
redis.call('HSET', SESSION, 'done', taken)
for i = messages_at, #ARGV do
  redis.call('RPUSH', HISTORY, ARGV[i])
end
if #ARGV >= messages_at then
  redis.call('LTRIM', HISTORY, -keep, -1)
end
advance()
return with_changes({ 'ok', taken })
