-- include: deferral
-- take_over: gives a worker entries of others: handed back, deferred and due, or abandoned.
--
-- keys: stream
-- args: group consumer claim_idle_ms:number limit:number abandoned:flag grace_ms:number avoided...
--
-- An entry that was handed back goes first, then a deferred one whose time has come, each alone; then
-- up to `limit` that were abandoned: their workers have sent no heartbeat for `claim_idle_ms`. With
-- `abandoned` off those are left alone. The deferred entries in `avoided` are taken `grace_ms` later:
-- they failed at this worker, and another one may do better.
-- Entries that are pending and no longer in the stream are acknowledged; `tend` looks after their
-- turns. Taking an entry counts a delivery.
-- Answers {kind, {entry, fields, deliveries, ...}, {vanished, ...}}; kind: handed_back, again,
-- abandoned, or '' if there is none.
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

-- Takes up to `wanted` entries that have been idle for `idle_ms` and suit: of `owner` only, or of
-- any consumer if it is nil. Returns whether there were any.
local function take_some(idle_ms, owner, wanted, suits)
  local from = '-'
  repeat
    local command = { 'XPENDING', stream, group, 'IDLE', idle_ms, from, '+', PAGE, owner }
    local rows = redis.call(unpack(command))
    for _, row in ipairs(rows) do
      if suits(row) then
        take(row[1], row[4])
      end
      if #taken >= 3 * wanted then
        return true
      end
    end
    from = #rows > 0 and '(' .. rows[#rows][1]
  until #rows < PAGE
  return #taken > 0
end

local function any()
  return true
end

local function is_due(row)
  return not has_to_wait(row[3], avoid[row[1]] and grace_ms or 0)
end

local function is_workers(row)
  return row[2] ~= 'handed-back' and row[2] ~= 'deferred'
end

local kind = ''
if take_some(claim_idle_ms, 'handed-back', 1, any) then
  kind = 'handed_back'
elseif take_some(0, 'deferred', 1, is_due) then
  kind = 'again'
elseif abandoned and take_some(claim_idle_ms, nil, limit, is_workers) then
  kind = 'abandoned'
end
return { kind, taken, vanished }
