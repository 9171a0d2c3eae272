-- include: session
-- include: publishing
-- keep_open: the speaker of a turn that is not final goes on speaking; it must not expire yet.
--
-- KEYS[7] seen    ARGV[4] utterance id
--
-- Answers {ok}; {closed}: the turn has ended, is final, or never was.
local foreign = foreign_key(session_keys({ [KEYS[7]] = 'string' }))
if foreign then
  return { 'refused', foreign }
end
local seen = read_seen(KEYS[7])
local record = seen and not seen.final and record_of(seen, ARGV[4])
if not record then
  return { 'closed' }
end
pass_when_full()
record.touched = NOW
put_record(seen.turn, record)
return { 'ok' }
