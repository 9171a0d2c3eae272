-- include: session
-- include: publishing
-- commit: the waiting revision of an utterance becomes final, without sending audio again.
--
-- KEYS[7] seen    ARGV[4] utterance id    ARGV[5] revision    ARGV[6] seen_ttl (ms)
--
-- Answers {ok, turn}; {closed}: the turn has ended without it, publish whole under a new id;
-- {unknown}: this revision never arrived, publish whole and final.
local foreign = foreign_key(session_keys({ [KEYS[7]] = 'string' }))
if foreign then
  return { 'refused', foreign }
end
local seen = read_seen(KEYS[7])
local revision = tonumber(ARGV[5])
if not seen or seen.revision < revision then
  return { 'unknown' }
end
if seen.final then
  -- the answer to an earlier commit was lost; what has become of the turn since is its own affair
  return { 'ok', seen.turn }
end
local record = record_of(seen, ARGV[4])
if not record or seen.revision > revision then
  return { 'closed' }
end
pass_when_full()
write_seen(KEYS[7], seen.turn, revision, true, tonumber(ARGV[6]))
record.committed = NOW
make_final(seen.turn, record)
return marked({ 'ok', seen.turn })
