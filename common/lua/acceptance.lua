-- The rules by which an utterance is accepted: once, however often it is sent (duplicate), in the
-- order of its revisions (revised, closed), and within the limits (full). Shared by `publish` and
-- `replay`, which accept utterances, and by `commit`, `keep_open` and `abandon`, which find the turn
-- of an utterance again.

local function read_seen(key)
  local raw = redis.call('GET', key)
  if not raw then
    return nil
  end
  local epoch, turn, revision, final = string.match(raw, '^(%d+) (%d+) (%d+) ([01])$')
  if not epoch then
    return nil
  end
  return { epoch = epoch, turn = tonumber(turn), revision = tonumber(revision),
    final = final == '1' }
end

local function write_seen(key, turn, revision, final, ttl)
  redis.call('SET', key, string.format('%s %d %d %d', redis.call('HGET', SESSION, 'epoch'), turn,
    revision, final and 1 or 0), 'PX', ttl)
end

-- The record of an utterance that was seen and is not final, or nil if its turn has ended since. A
-- record that is final although `seen` is not was abandoned, and waits for the turns before it.
local function record_of(seen, utterance)
  if seen.epoch ~= redis.call('HGET', SESSION, 'epoch') then
    return nil
  end
  local record = get_record(seen.turn)
  if record and record.id == utterance and not record.final then
    return record
  end
  return nil
end

local function make_final(turn, record)
  record.final = true
  record.touched = NOW
  if record.committed then
    note_change('committed', turn, record)
  end
  reveal(turn, record)
  put_record(turn, record)
  advance()
end

local function note_if_final(turn, record)
  if record.final then
    note_change('published', turn, record)
  end
end

local function add_entry(stream, turn, new)
  local fields = new.fields
  fields[#fields + 1] = 'turn'
  fields[#fields + 1] = turn
  return redis.call('XADD', stream, '*', unpack(fields))
end

local function fill(record, stream, turn, new)
  record.rev, record.final, record.touched = new.revision, new.final, NOW
  record.spoken = NOW - new.hold
  record.text, record.skip, record.error, record.detail = nil, nil, nil, nil
  record.stt_started, record.transcribed = nil, nil
  record.failures, record.tries, record.shared, record.failing_since = nil, nil, nil, nil
  if new.text then
    record.entry = nil
    record.text = new.text
  else
    record.entry = add_entry(stream, turn, new)
    record.stream = new.stream_name
  end
  return record
end

-- Fields of one entry. The schema has 22; the rest is for later versions. Lua's unpack, by which
-- they get into XADD, takes some 8,000 values.
local MOST_FIELDS = 128

-- A sentence about an utterance of which no entry and no record can be made, or nil.
local function wrong_utterance(new)
  if #new.fields % 2 > 0 or #new.fields > 2 * MOST_FIELDS then
    return 'an utterance has at most ' .. MOST_FIELDS .. ' fields, each with a value'
  end
  if not (is_whole(new.revision) and is_whole(new.hold) and is_whole(new.seen_ttl)
    and new.seen_ttl > 0) then
    return 'the revision, the age or the time to remember it is no whole number'
  end
  local record = {}
  for name, value in pairs(new.meta) do
    record[name] = value
  end
  record.id, record.spoken, record.published, record.touched = new.id, NOW, NOW, NOW
  record.entry, record.text = nil, new.text or ''
  local ok, raw = pcall(cjson.encode, record)
  if not ok or not is_utf8(raw) or not is_record(record) then
    return 'what later stages need of the utterance has a value of a wrong type, or no UTF-8'
  end
  return nil
end

local function accept(stream, seen_key, new)
  local wrong = foreign_key(session_keys({ [stream] = 'stream', [seen_key] = 'string' }))
    or wrong_utterance(new)
  if wrong then
    return { 'refused', wrong }
  end
  local seen = read_seen(seen_key)
  if seen then
    local record = record_of(seen, new.id)
    if new.revision <= seen.revision then
      if new.final and not seen.final then
        if not record or new.revision < seen.revision then
          return { 'closed' }
        end
        pass_when_full()
        write_seen(seen_key, seen.turn, seen.revision, true, new.seen_ttl)
        record.committed = NOW
        make_final(seen.turn, record)
      end
      return with_changes({ 'duplicate', seen.turn })
    end
    if seen.final or not record then
      return { 'closed' }
    end
    -- The older revision's entry must not be transcribed as well. In the other stream it cannot be
    -- deleted from here, and the worker that transcribes it finds it stale.
    if record.entry and record.stream == new.stream_name then
      remove_entry(stream, 'stt', record.entry)
    end
    for name, value in pairs(new.meta) do
      record[name] = value
    end
    record.published = NOW
    record.speech_ms = new.meta.speech_ms
    fill(record, stream, seen.turn, new)
    write_seen(seen_key, seen.turn, new.revision, new.final, new.seen_ttl)
    put_record(seen.turn, record)
    note_if_final(seen.turn, record)
    if record.final and record.text then
      make_final(seen.turn, record)
    else
      advance()
    end
    return with_changes({ 'revised', seen.turn })
  end

  local last, done = number('last'), number('done')
  if last - done >= new.max_unanswered then
    return { 'full', 'the session has ' .. (last - done) .. ' unanswered turns' }
  end
  if not new.text and redis.call('XLEN', stream) >= new.max_backlog then
    return { 'full', 'the backlog holds ' .. redis.call('XLEN', stream) .. ' utterances' }
  end
  redis.call('HSETNX', SESSION, 'epoch', NOW)
  local turn = redis.call('HINCRBY', SESSION, 'last', 1)
  local record = new.meta
  record.id = new.id
  record.published = NOW
  fill(record, stream, turn, new)
  write_seen(seen_key, turn, new.revision, new.final, new.seen_ttl)
  put_record(turn, record)
  emit('heard', turn, record, { speech_ms = record.speech_ms, source = record.source,
    replay_of = record.replay_of, spoken_at = record.spoken })
  note_if_final(turn, record)
  if record.final and record.text then
    make_final(turn, record)
  else
    advance()
  end
  return with_changes({ 'accepted', turn })
end
