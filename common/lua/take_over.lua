-- include: deferral
-- take_over: gives a worker entries of others: handed back, abandoned, or deferred and due.
--
-- keys: stream
-- args: group consumer claim_idle_ms:number limit:number abandoned:flag grace_ms:number avoided...
--
-- An entry that was handed back goes first, alone; then up to `limit` that were abandoned: their
-- workers have sent no heartbeat for `claim_idle_ms`. With `abandoned` off those are left alone.
-- Then a deferred entry whose time has come, alone; those in `avoided` are taken `grace_ms` later:
-- they failed at this worker, and another one may do better.
-- Entries that are pending and no longer in the stream are acknowledged; `tend` looks after their
-- turns. Taking an entry counts a delivery.
-- Answers {kind, {entry, fields, deliveries, ...}, {vanished, ...}}; kind: handed_back, abandoned,
-- deferred, or '' if there is none.
local PAGE = 100
local avoid = {}
for i = avoided_at, #ARGV do
  avoid[ARGV[i]] = true
end
local taken = {}
local vanished = {}

local function take(entry, deliveries)
  local found = redis.call('XRANGE', stream, entry, entry, 'COUNT', 1)
  if not found[1] then
    redis.call('XACK', stream, group, entry)
    vanished[#vanished + 1] = entry
    return
  end
  redis.call('XCLAIM', stream, group, consumer, 0, entry, 'RETRYCOUNT', deliveries + 1, 'JUSTID')
  for _, value in ipairs({ entry, found[1][2], deliveries + 1 }) do
    taken[#taken + 1] = value
  end
end

-- Takes entries of `owner` that have been idle for `idle_ms` and suit, until `wanted` are taken.
-- Redis looks for them, so that thousands that have to wait cost little.
local function take_from(owner, idle_ms, wanted, suits)
  local from = '-'
  repeat
    local rows = redis.call('XPENDING', stream, group, 'IDLE', idle_ms, from, '+', PAGE, owner)
    for _, row in ipairs(rows) do
      if #taken >= 3 * wanted then
        return
      end
      if suits(row) then
        take(row[1], row[4])
      end
    end
    from = #rows > 0 and '(' .. rows[#rows][1]
  until #rows < PAGE or #taken >= 3 * wanted
end

local function any()
  return true
end

local function take_abandoned()
  -- {count, first, last, {{consumer, count}, ...}}: nil for the last three if nothing is pending
  for _, owner in ipairs(redis.call('XPENDING', stream, group)[4] or {}) do
    if owner[1] ~= 'handed-back' and owner[1] ~= 'deferred' and #taken < 3 * limit then
      take_from(owner[1], claim_idle_ms, limit, any)
    end
  end
end

-- The oldest deferred entry tells whether the server's clock was set back: then it waits no longer.
local function take_deferred()
  take_from('deferred', DEFERRED_IDLE, 1, function(row)
    return not has_to_wait(row[3], avoid[row[1]] and grace_ms or 0)
  end)
  local oldest = redis.call('XPENDING', stream, group, '-', '+', 1, 'deferred')[1]
  if #taken == 0 and oldest and not has_to_wait(oldest[3], grace_ms) and not avoid[oldest[1]] then
    take(oldest[1], oldest[4])
  end
end

local kind = 'handed_back'
take_from('handed-back', claim_idle_ms, 1, any)
if #taken == 0 and abandoned then
  kind = 'abandoned'
  take_abandoned()
end
if #taken == 0 then
  kind = 'deferred'
  take_deferred()
end
return { #taken > 0 and kind or '', taken, vanished }
