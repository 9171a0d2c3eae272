-- include: session
-- delta: a piece of a reply in the making.
--
-- KEYS[7] deltas
-- ARGV[4] token  ARGV[5] index of this piece in the attempt  ARGV[6] text
-- ARGV[7] 0: do not write it (the deltas are switched off), only ask
--
-- Answers {ok, 1 if newer committed speech with a text waits, else 0}; {lost}.
-- A delta is a convenience: when memory is short it is left out, not the reply.
if redis.call('HGET', SESSION, 'token') ~= ARGV[4] then
  return { 'lost' }
end
local taken = number('taken')
local newer = 0
for turn = taken + 1, number('last') do
  local record = get_record(turn)
  if record and record.final and record.text then
    newer = 1
    break
  end
end
local record = get_record(taken)
if ARGV[7] ~= '0' and record then
  redis.pcall('XADD', KEYS[7], '*', 'v', '1', 'type', 'reply.delta', 'session', ID,
    'epoch', redis.call('HGET', SESSION, 'epoch'), 'turn', taken, 'id', record.id, 'at', NOW,
    'data', cjson.encode({ attempt = number('attempt'), index = tonumber(ARGV[5]),
      text = ARGV[6] }))
end
return { 'ok', newer }
