-- include: session
-- delta: publishes a piece of an unfinished reply, and tells whether newer speech waits.
--
-- keys: deltas
-- args: token index:number text write:flag
--
-- `index` counts the pieces of the attempt. With `write` off nothing is published.
-- Answers {ok, 1 if newer committed speech with a text waits, else 0}; {lost}; {refused, sentence}.
-- When memory is short the delta is left out; the reply is not.
local foreign = foreign_type({ [SESSION] = 'hash', [INBOX] = 'hash' })
if foreign then
  return { 'refused', foreign }
end
if redis.call('HGET', SESSION, 'token') ~= token then
  return { 'lost' }
end
local taken = number('taken')
local newer = 0
-- no session has more unfinished turns, whatever `last` says
for turn = taken + 1, math.min(number('last'), taken + MOST_UNFINISHED) do
  local record = get_record(turn)
  if record and record.final and record.text then
    newer = 1
    break
  end
end
local record = get_record(taken)
if write and record then
  redis.pcall('XADD', deltas, '*', 'v', '1', 'type', 'reply.delta', 'session', ID,
    'epoch', string.format('%.0f', number('epoch')), 'turn', taken, 'id', record.id, 'at', NOW,
    'data', cjson.encode({ attempt = number('attempt'), index = index,
      text = text }))
end
return { 'ok', newer }
