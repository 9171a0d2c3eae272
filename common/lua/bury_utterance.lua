-- include: session
-- include: letters
-- bury_utterance: moves an entry that can never be transcribed to the dead letters.
--
-- keys: stream
-- args: entry consumer turn utterance reason error_text deliveries worker
-- args: dead_max dead_max_bytes:number letter_max_bytes:number
--
-- The letter holds the entry whole, unless that has more than 100 fields or `letter_max_bytes`: then
-- it keeps those fields that fit, in their order, and says how many it left out.
-- `stream` is the one that the entry is in. With an empty session id (ID) the entry names no usable
-- session, and no session is touched; nor is one that cannot be read: the entry must go all the
-- same, or it would come back to the workers for ever. `turn` may be empty.
-- Answers {ok} and {stale} (buried, but no turn waited for it), each with how many older letters
-- went because of dead_max and of dead_max_bytes; {lost}, {refused, sentence}.
local expected = { [stream] = 'stream', [dead] = 'stream' }
local foreign = foreign_type(ID == '' and expected or shard_keys(expected))
if foreign then
  return { 'refused', foreign }
end
if not owned(stream, 'stt', consumer, entry) then
  return { 'lost' }
end

-- unpack, by which they get into XADD, takes some 8,000 values
local MOST_FIELDS = 100
local function as_letter(fields)
  local letter, left_out, left_bytes, room = {}, 0, 0, letter_max_bytes
  for i = 1, #fields, 2 do
    local bytes = #fields[i] + #fields[i + 1]
    if #letter < 2 * MOST_FIELDS and bytes <= room then
      letter[#letter + 1] = fields[i]
      letter[#letter + 1] = fields[i + 1]
      room = room - bytes
    else
      left_out, left_bytes = left_out + 1, left_bytes + bytes
    end
  end
  local added = { 'stage', 'stt', 'reason', reason, 'error', error_text, 'deliveries', deliveries,
    'worker', worker, 'at', digits(NOW), 'entry', entry }
  if left_out > 0 then
    added[#added + 1] = 'left_out'
    added[#added + 1] = left_out .. ' fields of ' .. digits(left_bytes) .. ' bytes'
  end
  for _, value in ipairs(added) do
    letter[#letter + 1] = value
  end
  return letter
end

local found = redis.call('XRANGE', stream, entry, entry, 'COUNT', 1)
remove_entry(stream, 'stt', entry)
local by_count, by_bytes = 0, 0
if found[1] then
  add_letter(as_letter(found[1][2]))
  by_count, by_bytes = delete_oldest(dead_max, dead_max_bytes)
end
if ID == '' or foreign_key(session_keys()) then
  return { 'stale', by_count, by_bytes }
end
local record = turn ~= '' and get_record(turn)
if not record or record.id ~= utterance or record.entry ~= entry then
  return { 'stale', by_count, by_bytes }
end
record.entry, record.stream = nil, nil
record.error = { stage = 'stt', reason = reason, error = error_text,
  deliveries = tonumber(deliveries) }
conclude(turn, record)
return with_changes({ 'ok', by_count, by_bytes })
