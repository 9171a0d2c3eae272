-- include: session
-- bury_turn: moves turns that no attempt can answer to the dead letters, one letter for each.
--
-- keys: dead
-- args: token reason error_text deliveries:number worker
--
-- Answers {ok}, {lost}, {stale}, {refused, sentence}.
local foreign = foreign_key(session_keys({ [dead] = 'stream' }))
if foreign then
  return { 'refused', foreign }
end
local void = voided(token)
if void then
  return void
end
local taken = number('taken')
remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))
end_attempt()
for turn = number('done') + 1, taken do
  local record = get_record(turn)
  if record and not is_tombstone(record) then
    redis.call('XADD', dead, '*', 'v', '1', 'id', record.id, 'session', ID, 'turn', turn,
      'text', record.text, 'source', record.source or '', 'persona', record.persona or '',
      'language', record.language or '', 'speech_ms', record.speech_ms or 0,
      'interrupt', record.interrupt or 0, 'traceparent', record.traceparent or '',
      'stage', 'llm', 'reason', reason, 'error', error_text, 'deliveries', deliveries,
      'worker', worker, 'at', NOW)
    emit('error', turn, record, { stage = 'llm', reason = reason, error = error_text,
      deliveries = deliveries })
  end
  redis.call('HDEL', INBOX, turn)
end
redis.call('HSET', SESSION, 'done', taken)
advance()
return with_changes({ 'ok' })
