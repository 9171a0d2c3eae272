-- include: session
-- tend: looks after a session that has been unfinished for a while.
--
-- KEYS[7] utterances  KEYS[8] recordings  ARGV[4] turn_timeout (ms)
--
-- Only the head can hold a session back, so only the head is looked at. Answers {what was done}:
-- the names of the events made, nothing if all is well.
local foreign = foreign_key(session_keys({ [KEYS[7]] = 'stream', [KEYS[8]] = 'stream' }))
if foreign then
  return { 'refused', foreign }
end
local mended = {}

local function end_turn(turn, record)
  record.final = true
  record.entry, record.stream, record.text = nil, nil, nil
  reveal(turn, record)
  put_record(turn, record)
  advance()
end

-- A pending entry that was claimed or kept alive lately is somebody's; its audio stays in Redis.
local function in_hand(stream, entry)
  local ok, rows = pcall(redis.call, 'XPENDING', stream, 'stt', entry, entry, 1)
  return ok and #rows > 0 and tonumber(rows[1][3]) < TEND_AFTER
end

for turn = number('done') + 1, number('last') do
  local record = get_record(turn)
  if not record then
    record = { id = '', rev = 0, spoken = NOW, published = NOW }
    record.error = { stage = 'tend', reason = 'lost', error = 'the record of this turn vanished' }
    end_turn(turn, record)
    mended[#mended + 1] = 'lost'
  elseif is_ready(record) then
    if not is_tombstone(record) then
      break
    end
  else
    local stream = record.stream == 'recordings' and KEYS[8] or KEYS[7]
    if not record.final and NOW - record.touched > tonumber(ARGV[4]) then
      if record.entry then
        remove_entry(stream, 'stt', record.entry)
      end
      record.error, record.skip = nil, 'expired'
      end_turn(turn, record)
      mended[#mended + 1] = 'expired'
    elseif record.entry and not in_hand(stream, record.entry)
      and not exists(stream, record.entry) then
      remove_entry(stream, 'stt', record.entry)
      record.error = { stage = 'tend', reason = 'lost',
        error = 'the audio vanished from Redis before it was transcribed' }
      end_turn(turn, record)
      mended[#mended + 1] = 'lost'
    else
      break
    end
  end
end
local wake = redis.call('HGET', SESSION, 'wake')
advance()
if redis.call('HGET', SESSION, 'wake') ~= wake then
  mended[#mended + 1] = 'woken'
end
return mended
