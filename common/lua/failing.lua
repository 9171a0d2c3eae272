-- Shared by `fail_utterance` and `fail_turn`, which end a try that failed.
--
-- args: limit:number first_pause_ms:number longest_pause_ms:number wish_ms:number
-- args: patience_ms:number
--
-- The record counts its failures; the deliveries of the entry go on counting the workers that
-- died. `limit`: with so many failures the entry is not deferred, since the caller has to decide.
-- The pause doubles with each failure, from `first_pause_ms` to `longest_pause_ms`, and is not
-- shorter than `wish_ms`, the one that the server asked for (-1: none). Failures are not counted while the record has
-- been failing for less than `patience_ms`: the server is busy, and no request is to blame.

-- Counts a failure, and defers the entry. Answers {deferred, failures, pause_ms} or
-- {limit, failures}: the entry stays with its worker.
local function fail(stream, group, entry, deliveries, turn, record)
  record.failing_since = record.failing_since or NOW
  local is_counted = NOW - record.failing_since >= patience_ms
  record.failures = (record.failures or 0) + (is_counted and 1 or 0)
  pass_when_full()
  put_record(turn, record)
  if record.failures >= limit then
    return { 'limit', record.failures }
  end
  local pause_ms = math.min(first_pause_ms * 2 ^ math.max(record.failures - 1, 0),
    longest_pause_ms)
  return { 'deferred', record.failures,
    defer(stream, group, entry, deliveries, math.max(pause_ms, wish_ms)) }
end
