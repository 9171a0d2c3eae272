-- include: session
-- include: acceptance
-- keep_open: puts off the expiry of a turn whose speaker goes on speaking.
--
-- keys: seen_key
-- args: utterance
--
-- Answers {ok}; {closed}: the turn has ended, is final, or never existed.
local foreign = foreign_key(session_keys({ [seen_key] = 'string' }))
if foreign then
  return { 'refused', foreign }
end
local seen = read_seen(seen_key)
local record = seen and not seen.final and record_of(seen, utterance)
if not record then
  return { 'closed' }
end
pass_when_full()
record.touched = NOW
put_record(seen.turn, record)
return { 'ok' }
