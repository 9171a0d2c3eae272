-- include: session
-- include: deferral
-- include: failing
-- fail_turn: ends an attempt that failed, so that its turns are tried again later.
--
-- args: entry consumer
--
-- `entry` is the wake-up. The failure is counted for the first of the turns: from now on it is
-- taken alone (take_turn).
-- Answers {deferred, failures, pause_ms} or {limit, failures} (failing.lua); {stale}: the session
-- names another wake-up, or no turn is ready; {lost}: another worker has the claim.
local foreign = foreign_key(session_keys())
if foreign then
  return { 'refused', foreign }
end
local deliveries = owned(TURNS, 'llm', consumer, entry)
if not deliveries then
  return { 'lost' }
end
local is_ours = redis.call('HGET', SESSION, 'wake') == entry
local head = number('done') + 1
local record = get_record(head)
if not is_ours or not record or not is_ready(record) then
  remove_entry(TURNS, 'llm', entry)
  if is_ours then
    end_attempt()
    advance()
  end
  return { 'stale' }
end
redis.call('HDEL', SESSION, 'token', 'taken', 'started')
return fail(TURNS, 'llm', entry, deliveries, head, record)
