-- include: session
-- settle_turn: the reply is whole; the turns that were taken with it end.
--
-- ARGV[4] token  ARGV[5] the reply's text  ARGV[6] details for the event (JSON)
-- ARGV[7] ms since the first token (-1: there was none)
-- ARGV[8] messages of history to keep  ARGV[9...] messages (JSON) that the history grows by
--
-- Answers {ok, turn}; {lost}: a later attempt has begun; {stale}: no attempt is going on.
local foreign = foreign_key(session_keys())
if foreign then
  return { 'refused', foreign }
end
local data = cjson.decode(ARGV[6])
local token = redis.call('HGET', SESSION, 'token')
if not token then
  return { 'stale' }
end
if token ~= ARGV[4] then
  return { 'lost' }
end
local taken = number('taken')
local attempt, started = number('attempt'), number('started')
remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))
end_attempt()
for turn = number('done') + 1, taken do
  local record = get_record(turn)
  if record and turn < taken and not is_tombstone(record) then
    emit_skipped(turn, record, 'merged', taken)
  elseif record and turn == taken then
    local since = timings(record)
    since.llm_started = started - record.spoken
    if tonumber(ARGV[7]) >= 0 then
      since.first_token = NOW - tonumber(ARGV[7]) - record.spoken
    end
    since.done = NOW - record.spoken
    data.text, data.attempt, data.timings = ARGV[5], attempt, since
    emit('reply', turn, record.id, data)
  end
  redis.call('HDEL', INBOX, turn)
end
redis.call('HSET', SESSION, 'done', taken)
if #ARGV > 8 then
  redis.call('RPUSH', HISTORY, unpack(ARGV, 9))
  redis.call('LTRIM', HISTORY, -tonumber(ARGV[8]), -1)
end
advance()
return { 'ok', taken }
