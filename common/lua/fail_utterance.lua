-- include: session
-- include: deferral
-- include: failing
-- fail_utterance: ends a try to transcribe an entry that failed, so that it is tried again later.
--
-- keys: stream
-- args: entry consumer turn utterance
--
-- `stream` is the one that the entry is in. `turn` may be empty.
-- Answers {deferred, failures, pause_ms} or {limit, failures} (failing.lua); {stale}: the record
-- names another entry, and this one is gone; {lost}: another worker has the claim.
local foreign = foreign_key(session_keys({ [stream] = 'stream' }))
if foreign then
  return { 'refused', foreign }
end
local deliveries = owned(stream, 'stt', consumer, entry)
if not deliveries then
  return { 'lost' }
end
local record = turn ~= '' and get_record(turn)
if not record or record.id ~= utterance or record.entry ~= entry then
  remove_entry(stream, 'stt', entry)
  return { 'stale' }
end
return fail(stream, 'stt', entry, deliveries, turn, record)
