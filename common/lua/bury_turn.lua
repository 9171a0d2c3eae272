-- include: session
-- include: letters
-- bury_turn: moves turns that no attempt can answer to the dead letters, one letter for each.
--
-- args: token reason error_text deliveries worker dead_max dead_max_bytes:number
--
-- Answers {ok, and how many older letters went because of dead_max and of dead_max_bytes}, {lost},
-- {stale}, {refused, sentence}.
local foreign = foreign_key(session_keys({ [dead] = 'stream' }))
if foreign then
  return { 'refused', foreign }
end
local void = voided(token)
if void then
  return void
end
local taken = number('taken')
local done, records = number('done'), unfinished_up_to(taken)
taken = done + #records
remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))
end_attempt()
if #records == 0 then
  advance() -- `tend` has ended them all, as lost
  return { 'stale' }
end
for offset, record in ipairs(records) do
  local turn = done + offset
  if not is_ready(record) then
    emit('error', turn, record, lost('the record of this turn vanished or is unreadable'))
  elseif not is_tombstone(record) then
    add_letter({ 'v', '1', 'id', record.id, 'session', ID, 'turn', digits(turn),
      'text', record.text, 'source', record.source or '', 'persona', record.persona or '',
      'language', record.language or '', 'speech_ms', digits(record.speech_ms or 0),
      'interrupt', digits(record.interrupt or 0), 'traceparent', record.traceparent or '',
      'stage', 'llm', 'reason', reason, 'error', error_text, 'deliveries', deliveries,
      'worker', worker, 'at', digits(NOW) })
    emit('error', turn, record, { stage = 'llm', reason = reason, error = error_text,
      deliveries = tonumber(deliveries) })
  end
  redis.call('HDEL', INBOX, turn)
end
redis.call('HSET', SESSION, 'done', taken)
advance()
return with_changes({ 'ok', delete_oldest(dead_max, dead_max_bytes) })
