-- Included by session.lua: what a record is, and which values make one.
--
-- A record: id, rev, final, entry + stream (while it waits for STT), text or a tombstone
-- (skip = reason, or error), spoken / published / touched / stt_started / transcribed / committed
-- (ms of this server's clock; `committed` only if it was a draft), and what later stages need:
-- speech_ms, length_ms, silence_ms, source, persona, language, answer, interrupt, replay_of,
-- traceparent. `tries` counts the failed tries of its present stage, `failures` those that count against
-- it, `shared` those that others shared, and `failing_since` (ms) is the first of them. llm_started, first_token and last_token are there for turn changes only.
-- It is *ready* when it is final and has a text or a tombstone.

local function is_whole(value)
  return type(value) == 'number' and value % 1 == 0 and math.abs(value) <= 9007199254740992
end

-- Whether a value is the id of a stream entry. More than 19 digits need not fit Redis's 64 bits.
local function is_entry_id(value)
  local ms, count = string.match(type(value) == 'string' and value or '', '^(%d+)%-(%d+)$')
  return ms ~= nil and #ms < 20 and #count < 20
end

-- Whether a string is UTF-8 (RFC 3629, section 4): without its characters no such byte is left.
local function is_utf8(value)
  if not string.find(value, '[\128-\255]') then
    return true
  end
  for _, form in ipairs({ '[\194-\223][\128-\191]', '\224[\160-\191][\128-\191]',
    '\237[\128-\159][\128-\191]', '[\225-\236\238\239][\128-\191][\128-\191]',
    '\240[\144-\191][\128-\191][\128-\191]', '\244[\128-\143][\128-\191][\128-\191]',
    '[\241-\243][\128-\191][\128-\191][\128-\191]' }) do
    value = string.gsub(value, form, ' ')
  end
  return not string.find(value, '[\128-\255]')
end

-- events.SkipReason
local SKIP_REASONS = { noise = 1, invented = 1, too_short = 1, merged = 1, transcript_only = 1,
  expired = 1, forgotten = 1 }
local TEXTS = { 'stream', 'text', 'skip', 'source', 'persona', 'language', 'replay_of',
  'traceparent' }
local NUMBERS = { 'rev', 'committed', 'stt_started', 'transcribed', 'speech_ms', 'length_ms',
  'silence_ms', 'answer', 'interrupt', 'failures', 'tries', 'shared', 'failing_since' }

local function is_missing_or(kind, value)
  return value == nil or type(value) == kind
end

-- Whether a record is one that a script can have written, and every script can work with.
local function is_record(record)
  if type(record) ~= 'table' or type(record.id) ~= 'string' or not is_whole(record.spoken)
    or not is_whole(record.published) or not is_whole(record.touched)
    or not is_missing_or('boolean', record.final) or not is_missing_or('table', record.detail)
    or not (record.entry == nil or is_entry_id(record.entry))
    or not (record.skip == nil or SKIP_REASONS[record.skip]) then
    return false
  end
  for _, field in ipairs(TEXTS) do
    if not is_missing_or('string', record[field]) then
      return false
    end
  end
  for _, field in ipairs(NUMBERS) do
    if not (record[field] == nil or is_whole(record[field])) then
      return false
    end
  end
  local failure = record.error
  if failure ~= nil and not (type(failure) == 'table' and type(failure.stage) == 'string'
    and type(failure.reason) == 'string' and type(failure.error) == 'string'
    and (failure.deliveries == nil or is_whole(failure.deliveries))) then
    return false
  end
  return record.entry ~= nil or record.text ~= nil or record.skip ~= nil or failure ~= nil
end
