-- include: session
-- bury_turn: turns that no attempt can answer go to the dead letters, one letter for each.
--
-- KEYS[7] dead
-- ARGV[4] token  ARGV[5] reason  ARGV[6] the error's sentence  ARGV[7] deliveries  ARGV[8] worker
--
-- Answers {ok}, {lost}, {stale}, {refused, sentence}.
local foreign = foreign_key(session_keys({ [KEYS[7]] = 'stream' }))
if foreign then
  return { 'refused', foreign }
end
local void = voided(ARGV[4])
if void then
  return void
end
local taken = number('taken')
remove_entry(TURNS, 'llm', redis.call('HGET', SESSION, 'wake'))
end_attempt()
for turn = number('done') + 1, taken do
  local record = get_record(turn)
  if record and not is_tombstone(record) then
    redis.call('XADD', KEYS[7], '*', 'v', '1', 'id', record.id, 'session', ID, 'turn', turn,
      'text', record.text, 'source', record.source or '', 'persona', record.persona or '',
      'language', record.language or '', 'speech_ms', record.speech_ms or 0,
      'interrupt', record.interrupt or 0, 'traceparent', record.traceparent or '',
      'stage', 'llm', 'reason', ARGV[5], 'error', ARGV[6], 'deliveries', ARGV[7],
      'worker', ARGV[8], 'at', NOW)
    emit('error', turn, record, { stage = 'llm', reason = ARGV[5], error = ARGV[6],
      deliveries = tonumber(ARGV[7]) })
  end
  redis.call('HDEL', INBOX, turn)
end
redis.call('HSET', SESSION, 'done', taken)
advance()
return marked({ 'ok' })
