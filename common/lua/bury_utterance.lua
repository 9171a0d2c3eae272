-- include: session
-- bury_utterance: an entry that can never be transcribed goes to the dead letters, whole.
--
-- KEYS[7] stream the entry is in    KEYS[8] dead
-- ARGV[1] the session id, or empty: the entry names none that is usable, and no session is touched
-- ARGV[4] entry id     ARGV[5] consumer    ARGV[6] turn (or empty)   ARGV[7] utterance id
-- ARGV[8] reason       ARGV[9] the error's sentence   ARGV[10] deliveries  ARGV[11] worker
--
-- Answers {ok}, {lost}, {stale} (buried, but no turn waited for it), {refused, sentence}.
local stream, dead, entry = KEYS[7], KEYS[8], ARGV[4]
local expected = { [stream] = 'stream', [dead] = 'stream' }
local foreign = foreign_key(ID == '' and expected or session_keys(expected))
if foreign then
  return { 'refused', foreign }
end
if not owned(stream, 'stt', ARGV[5], entry) then
  return { 'lost' }
end
local found = redis.call('XRANGE', stream, entry, entry, 'COUNT', 1)
remove_entry(stream, 'stt', entry)
if found[1] then
  local letter = found[1][2]
  for _, value in ipairs({ 'stage', 'stt', 'reason', ARGV[8], 'error', ARGV[9],
    'deliveries', ARGV[10], 'worker', ARGV[11], 'at', NOW, 'entry', entry }) do
    letter[#letter + 1] = value
  end
  redis.call('XADD', dead, '*', unpack(letter))
end
if ID == '' then
  return { 'stale' }
end
local turn = ARGV[6]
local record = turn ~= '' and get_record(turn)
if not record or record.id ~= ARGV[7] or record.entry ~= entry then
  return { 'stale' }
end
record.entry, record.stream = nil, nil
record.error = { stage = 'stt', reason = ARGV[8], error = ARGV[9],
  deliveries = tonumber(ARGV[10]) }
conclude(turn, record)
return marked({ 'ok' })
