-- set_aside: takes a session that cannot be tended out of those that are due.
--
-- keys: open quarantine
-- args: session reason keep:flag later_ms:number
--
-- The hash `quarantine` keeps the reason, from which `tend` takes it when the session is in order
-- again. Where that hash cannot be written, the session is due again after `later_ms`. Without `keep`
-- nothing is kept: it is no session.
-- Answers 1 if this reason is new, else 0.
redis.call('ZREM', open, session)
if not keep then
  return 1
end
local known = redis.pcall('HGET', quarantine, session)
local noted = redis.pcall('HSET', quarantine, session, reason)
if type(noted) == 'table' then
  local now = redis.call('TIME')[1] * 1000
  redis.call('ZADD', open, string.format('%.0f', now + later_ms), session)
end
return known == reason and 0 or 1
