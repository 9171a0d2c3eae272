-- include: session
-- settle_turn: the reply is whole; the turns that were taken with it end.
--
-- ARGV[4] token  ARGV[5] the reply's text  ARGV[6] details for the event (JSON)
-- ARGV[7] ms since the first token (-1: there was none)
-- ARGV[8] ms since the last token
-- ARGV[9] messages of history to keep  ARGV[10...] messages (JSON) that the history grows by
--
-- Answers {ok, turn}; {lost}: a later attempt has begun; {stale}: no attempt is going on.
local foreign = foreign_key(session_keys())
if foreign then
  return { 'refused', foreign }
end
local data = cjson.decode(ARGV[6])
local void = voided(ARGV[4])
if void then
  return void
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
    record.llm_started = started
    if tonumber(ARGV[7]) >= 0 then
      record.first_token = NOW - tonumber(ARGV[7])
    end
    record.last_token = math.max(NOW - tonumber(ARGV[8]), record.first_token or started)
    local since = timings(record)
    since.done = NOW - record.spoken
    data.text, data.attempt, data.timings = ARGV[5], attempt, since
    emit('reply', turn, record, data)
  end
  redis.call('HDEL', INBOX, turn)
end
redis.call('HSET', SESSION, 'done', taken)
if #ARGV > 9 then
  redis.call('RPUSH', HISTORY, unpack(ARGV, 10))
  redis.call('LTRIM', HISTORY, -tonumber(ARGV[9]), -1)
end
advance()
return marked({ 'ok', taken })
