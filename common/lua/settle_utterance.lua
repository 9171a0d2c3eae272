-- include: session
-- settle_utterance: a transcript, or the reason why there is none, takes the entry's place.
--
-- KEYS[7] stream the entry is in
-- ARGV[4] entry id    ARGV[5] consumer     ARGV[6] turn      ARGV[7] utterance id
-- ARGV[8] text | skip ARGV[9] the text, or the reason        ARGV[10] ms since STT began
-- ARGV[11] details for the event (JSON)
--
-- Answers {ok}; {lost}: the claim is another worker's; {stale}: the record names another entry
-- (a newer revision, or the session is gone); {refused, sentence}.
local stream, entry, turn = KEYS[7], ARGV[4], ARGV[6]
local foreign = foreign_key(session_keys({ [stream] = 'stream' }))
if foreign then
  return { 'refused', foreign }
end
local detail = cjson.decode(ARGV[11])
if not owned(stream, 'stt', ARGV[5], entry) then
  return { 'lost' }
end
remove_entry(stream, 'stt', entry)
local record = get_record(turn)
if not record or record.id ~= ARGV[7] or record.entry ~= entry then
  return { 'stale' }
end
record.entry, record.stream = nil, nil
record.stt_started = NOW - tonumber(ARGV[10])
record.transcribed = NOW
record.detail = detail
if ARGV[8] == 'text' then
  record.text = ARGV[9]
else
  record.skip = ARGV[9]
end
mark('transcribed', turn, record)
conclude(turn, record)
return marked({ 'ok' })
