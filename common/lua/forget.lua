-- include: session
-- forget: deletes a conversation's history, inbox and unfinished turns, for privacy.
--
-- keys: utterances recordings
--
-- Every turn without an ending ends as skipped: forgotten. Answers how many. It is also the way out
-- for a session whose counters cannot be right: then the turns are those that have a record.
local foreign = foreign_type(session_keys({ [utterances] = 'stream', [recordings] = 'stream' }))
if foreign then
  return { 'refused', foreign }
end
local turns = {}
if wrong_counters() then
  for _, field in ipairs(redis.call('HKEYS', INBOX)) do
    turns[#turns + 1] = string.match(field, '^[1-9]%d*$') and #field < 16 and tonumber(field) or nil
  end
  table.sort(turns)
else
  for turn = number('done') + 1, number('last') do
    turns[#turns + 1] = turn
  end
end
pass_when_full()
local wake = redis.call('HGET', SESSION, 'wake')
if wake then
  remove_entry(TURNS, 'llm', wake)
end
local forgotten = 0
for _, turn in ipairs(turns) do
  local record = get_record(turn) or lost_record()
  if record.entry then
    remove_entry(record.stream == 'recordings' and recordings or utterances, 'stt', record.entry)
  end
  if not (record.final and is_tombstone(record)) then
    record.detail = nil
    emit_skipped(turn, record, 'forgotten')
    forgotten = forgotten + 1
  end
end
redis.call('ZREM', OPEN, ID)
redis.call('DEL', SESSION, INBOX, HISTORY)
return with_changes({ forgotten })
