-- include: session
-- include: publishing
-- abandon: the producer of a turn that is not final has died; its speaker will say no more of it.
--
-- KEYS[7] seen    KEYS[8] utterances    KEYS[9] recordings    ARGV[4] utterance id
--
-- By utterance id, for the session may have producers on other hosts, with open turns of their own.
-- The turn need not be the next one: those before it are somebody's, and go on.
-- Answers {ok}; {closed}: the turn has ended, is final, or never was.
local foreign = foreign_key(session_keys({ [KEYS[7]] = 'string', [KEYS[8]] = 'stream',
  [KEYS[9]] = 'stream' }))
if foreign then
  return { 'refused', foreign }
end
local seen = read_seen(KEYS[7])
local record = seen and not seen.final and record_of(seen, ARGV[4])
if not record then
  return { 'closed' }
end
expire(seen.turn, record, record.stream == 'recordings' and KEYS[9] or KEYS[8])
return marked({ 'ok' })
