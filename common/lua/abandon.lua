-- include: session
-- include: acceptance
-- abandon: ends a turn that is not final because its producer died.
--
-- keys: seen_key utterances recordings
-- args: utterance
--
-- The turn is found by utterance id, since producers on other hosts may have open turns in the
-- same session. It need not be the next turn: those before it go on.
-- Answers {ok}; {closed}: the turn has ended, is final, or never existed.
local foreign = foreign_key(session_keys({ [seen_key] = 'string', [utterances] = 'stream',
  [recordings] = 'stream' }))
if foreign then
  return { 'refused', foreign }
end
local seen = read_seen(seen_key)
local record = seen and not seen.final and record_of(seen, utterance)
if not record then
  return { 'closed' }
end
expire(seen.turn, record, record.stream == 'recordings' and recordings or utterances)
return with_changes({ 'ok' })
