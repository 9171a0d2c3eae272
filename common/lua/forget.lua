-- include: session
-- forget: deletes a conversation's history, inbox and unfinished turns, for privacy.
--
-- keys: utterances recordings
--
-- Every turn without an ending ends as skipped: forgotten. Answers how many.
local foreign = foreign_key(session_keys({ [utterances] = 'stream', [recordings] = 'stream' }))
if foreign then
  return { 'refused', foreign }
end
pass_when_full()
local wake = redis.call('HGET', SESSION, 'wake')
if wake then
  remove_entry(TURNS, 'llm', wake)
end
local forgotten = 0
for turn = number('done') + 1, number('last') do
  local record = get_record(turn)
  if record then
    if record.entry then
      remove_entry(record.stream == 'recordings' and recordings or utterances, 'stt', record.entry)
    end
    if not (record.final and is_tombstone(record)) then
      record.detail = nil
      emit_skipped(turn, record, 'forgotten')
      forgotten = forgotten + 1
    end
  end
end
redis.call('ZREM', OPEN, ID)
redis.call('DEL', SESSION, INBOX, HISTORY)
return with_changes({ forgotten })
