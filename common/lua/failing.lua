-- Shared by `fail_utterance` and `fail_turn`, which end a try that failed.
--
-- args: limit:number first_pause_ms:number longest_pause_ms:number wish_ms:number
-- args: patience_ms:number shared:flag
--
-- The record counts its failures; the deliveries of the entry go on counting the workers that
-- died. `limit`: with so many failures the entry is not deferred, since the caller has to decide.
-- The pause doubles with each try, from `first_pause_ms` to `longest_pause_ms`, and is not shorter
-- than `wish_ms`, the one that the server asked for (-1: none).
-- Not every failed try is a failure of the request. While the record has been failing for less
-- than `patience_ms`, none is: the server is busy. With `shared`, requests of other sessions broke
-- off at the same moment, and only every SHARED_PER_FAILURE-th such try counts: one of them may have
-- brought the server down.

local SHARED_PER_FAILURE = 3

-- Counts a failed try, and defers the entry. Answers {deferred, failures, pause_ms} or
-- {limit, failures}: the entry stays with its worker.
local function fail(stream, group, entry, deliveries, turn, record)
  record.failing_since = math.min(record.failing_since or NOW, NOW) -- the clock may step back
  record.tries = (record.tries or 0) + 1
  local is_failure = NOW - record.failing_since >= patience_ms
  if is_failure and shared then
    record.shared = (record.shared or 0) + 1
    is_failure = record.shared % SHARED_PER_FAILURE == 0
  end
  record.failures = (record.failures or 0) + (is_failure and 1 or 0)
  pass_when_full()
  put_record(turn, record)
  if is_failure and record.failures >= limit then
    return { 'limit', record.failures }
  end
  local pause_ms = math.min(first_pause_ms * 2 ^ (record.tries - 1), longest_pause_ms)
  return { 'deferred', record.failures,
    defer(stream, group, entry, deliveries, math.max(pause_ms, wish_ms)) }
end
