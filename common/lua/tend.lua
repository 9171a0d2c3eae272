-- include: session
-- tend: repairs a session that has been unfinished for a while.
--
-- keys: utterances recordings quarantine
-- args: turn_timeout_ms:number
--
-- Only the head, the first turn that has not ended, can hold a session back, so only the head is
-- checked. Answers the names of what was done (expired, lost, woken, and released if the session
-- had been set aside), none if all is well.
local foreign = foreign_key(session_keys({ [utterances] = 'stream', [recordings] = 'stream' }))
if foreign then
  return { 'refused', foreign }
end
local mended = {}

-- Whether a worker holds a pending entry: it was claimed or kept alive lately, so it is not lost.
local function in_hand(stream, entry)
  local ok, rows = pcall(redis.call, 'XPENDING', stream, 'stt', entry, entry, 1)
  return ok and #rows > 0 and tonumber(rows[1][3]) < TEND_AFTER
end

-- With each turn that ends, tombstones behind it may end as well: the head is read anew each time.
while number('done') < number('last') and #mended < MOST_LOST do
  local turn = number('done') + 1
  local record = get_record(turn)
  local event
  if not record then
    event = 'lost'
    record = lost_record()
    record.error = lost('the record of this turn vanished or is unreadable')
    end_turn(turn, record)
  elseif not is_ready(record) then
    local stream = record.stream == 'recordings' and recordings or utterances
    if not record.final and NOW - record.touched > turn_timeout_ms then
      event = 'expired'
      expire(turn, record, stream)
    elseif not record.final and record.touched > NOW then
      -- the clock stepped back: the timeout counts from now
      pass_when_full()
      record.touched = NOW
      put_record(turn, record)
    elseif record.entry and not in_hand(stream, record.entry)
      and not exists(stream, record.entry) then
      event = 'lost'
      remove_entry(stream, 'stt', record.entry)
      record.error = lost('the audio vanished from Redis before it was transcribed')
      end_turn(turn, record)
    end
  end
  if not event then
    break
  end
  mended[#mended + 1] = event
end
local wake = redis.call('HGET', SESSION, 'wake')
advance()
if redis.call('HGET', SESSION, 'wake') ~= wake then
  mended[#mended + 1] = 'woken'
end
-- by pcall: whatever is in that key, the session is in order
if redis.pcall('HDEL', quarantine, ID) == 1 then
  mended[#mended + 1] = 'released'
end
return with_changes(mended)
