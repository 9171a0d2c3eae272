-- include: session
-- set_persona: who answers in this conversation from its next attempt on, whatever its producers ask for.
--
-- ARGV[4] persona; empty: whom its producers name, or the default, as before
--
-- A session that is not there yet begins, so that its first turn finds the persona. Answers {ok}.
local foreign = foreign_key(session_keys())
if foreign then
  return { 'refused', foreign }
end
if ARGV[4] == '' then
  redis.call('HDEL', SESSION, 'persona')
else
  redis.call('HSETNX', SESSION, 'epoch', NOW)
  redis.call('HSET', SESSION, 'persona', ARGV[4])
end
advance()
return { 'ok' }
