-- Shared by scripts that give an entry back so that it is tried again later.
--
-- Redis knows no time before which an entry must not be taken, but it keeps how long each one was
-- idle, and a script may set that. A deferred entry belongs to the consumer `deferred`. Its idle time
-- is below DEFERRED_IDLE by as much as it has to wait, at most LONGEST_PAUSE. If it is further below,
-- the server's clock was set back by more than that, and the entry waits no longer. (A clock that was
-- set back by less makes it wait for as much longer.)

local DEFERRED_IDLE = 86400000
local LONGEST_PAUSE = 300000

-- Gives an entry to the consumer `deferred` for `pause_ms`. `deliveries` is how often it was
-- delivered, this time included: that is not counted, since taking it again counts one. Returns the
-- pause, which may be cut.
local function defer(stream, group, entry, deliveries, pause_ms)
  local wait = math.min(math.max(math.floor(pause_ms), 0), LONGEST_PAUSE)
  redis.call('XCLAIM', stream, group, 'deferred', 0, entry, 'IDLE', DEFERRED_IDLE - wait,
    'RETRYCOUNT', math.max(deliveries - 1, 0), 'JUSTID')
  return wait
end

-- Whether a deferred entry that is idle for so long has to wait, and for `grace_ms` more.
local function has_to_wait(idle, grace_ms)
  return idle >= DEFERRED_IDLE - LONGEST_PAUSE and idle < DEFERRED_IDLE + grace_ms
end
