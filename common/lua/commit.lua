-- include: session
-- include: acceptance
-- commit: makes the waiting revision of an utterance final, without sending its audio again.
--
-- keys: seen_key
-- args: utterance revision:number seen_ttl_ms:number
--
-- Answers {ok, turn}; {closed}: the turn has ended without it, publish it whole under a new id;
-- {unknown}: this revision never arrived, publish it whole and final.
local foreign = foreign_key(session_keys({ [seen_key] = 'string' }))
if foreign then
  return { 'refused', foreign }
end
local seen = read_seen(seen_key)
if not seen or seen.revision < revision then
  return { 'unknown' }
end
if seen.final then
  -- the answer to an earlier commit was lost; the turn may have gone on since
  return { 'ok', seen.turn }
end
local record = record_of(seen, utterance)
if not record or seen.revision > revision then
  return { 'closed' }
end
pass_when_full()
write_seen(seen_key, seen.turn, revision, true, seen_ttl_ms)
record.committed = NOW
make_final(seen.turn, record)
return with_changes({ 'ok', seen.turn })
