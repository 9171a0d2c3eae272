-- include: session
-- set_persona: sets who answers in this conversation from its next attempt on.
--
-- args: persona
--
-- It overrides what the producers ask for; an empty one gives the choice back to them.
-- A session that does not exist yet begins, so that its first turn finds the persona. Answers {ok}.
local foreign = foreign_key(session_keys())
if foreign then
  return { 'refused', foreign }
end
if persona == '' then
  redis.call('HDEL', SESSION, 'persona')
else
  redis.call('HSETNX', SESSION, 'epoch', NOW)
  redis.call('HSET', SESSION, 'persona', persona)
end
advance()
return { 'ok' }
