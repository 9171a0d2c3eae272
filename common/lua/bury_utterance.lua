-- include: session
-- bury_utterance: moves an entry that can never be transcribed to the dead letters, whole.
--
-- keys: stream dead
-- args: entry consumer turn utterance reason error_text deliveries:number worker
--
-- `stream` is the one that the entry is in. With an empty session id (ID) the entry names no usable
-- session, and no session is touched; nor is one that cannot be read: the entry must go all the
-- same, or it would come back to the workers for ever. `turn` may be empty.
-- Answers {ok}, {lost}, {stale} (buried, but no turn waited for it), {refused, sentence}.
local expected = { [stream] = 'stream', [dead] = 'stream' }
local foreign = foreign_type(ID == '' and expected or shard_keys(expected))
if foreign then
  return { 'refused', foreign }
end
if not owned(stream, 'stt', consumer, entry) then
  return { 'lost' }
end
local found = redis.call('XRANGE', stream, entry, entry, 'COUNT', 1)
remove_entry(stream, 'stt', entry)
if found[1] then
  local letter = found[1][2]
  for _, value in ipairs({ 'stage', 'stt', 'reason', reason, 'error', error_text,
    'deliveries', deliveries, 'worker', worker, 'at', NOW, 'entry', entry }) do
    letter[#letter + 1] = value
  end
  redis.call('XADD', dead, '*', unpack(letter))
end
if ID == '' or foreign_key(session_keys()) then
  return { 'stale' }
end
local record = turn ~= '' and get_record(turn)
if not record or record.id ~= utterance or record.entry ~= entry then
  return { 'stale' }
end
record.entry, record.stream = nil, nil
record.error = { stage = 'stt', reason = reason, error = error_text,
  deliveries = deliveries }
conclude(turn, record)
return with_changes({ 'ok' })
