-- include: session
-- settle_utterance: puts a transcript, or the reason to skip it, in the entry's place.
--
-- keys: stream
-- args: entry consumer turn utterance kind value stt_ms:number detail_json language phrase
--
-- `stream` is the one that the entry is in. `kind` is text (`value` is the transcript) or skip
-- (`value` is the reason). `stt_ms` is the time since STT began. `detail_json` holds further fields
-- of the event. `language` and `phrase` are what the session remembers for its next utterances
-- (session.lua): an empty language leaves the present one, an empty phrase deletes it.
-- Answers {ok}; {lost}: another worker has the claim; {stale}: the record names another entry
-- (a newer revision, or the session is gone); {refused, sentence}.
local foreign = foreign_key(session_keys({ [stream] = 'stream' }))
if foreign then
  return { 'refused', foreign }
end
local detail = cjson.decode(detail_json)
if not owned(stream, 'stt', consumer, entry) then
  return { 'lost' }
end
remove_entry(stream, 'stt', entry)
local record = get_record(turn)
if not record or record.id ~= utterance or record.entry ~= entry then
  return { 'stale' }
end
record.entry, record.stream = nil, nil
record.failures, record.tries, record.shared, record.failing_since = nil, nil, nil, nil
record.stt_started = NOW - stt_ms
record.transcribed = NOW
record.detail = detail
if kind == 'text' then
  record.text = value
else
  record.skip = value
end
if redis.call('EXISTS', SESSION) == 1 then
  if language ~= '' then
    redis.call('HSET', SESSION, 'language', language)
  end
  if phrase ~= '' then
    redis.call('HSET', SESSION, 'phrase', turn .. ' ' .. phrase)
  else
    redis.call('HDEL', SESSION, 'phrase')
  end
end
note_change('transcribed', turn, record)
conclude(turn, record)
return with_changes({ 'ok' })
