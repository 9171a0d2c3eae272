-- include: deferral
-- mend_idle: lets claims age again after the clock of the server was set back.
--
-- keys: stream
-- args: group
--
-- Redis counts how long an entry was idle from the time of its delivery. While that time is in the
-- future it says 0, and nobody could take over the work of a dead worker until the clock has caught
-- up. So an entry that has been idle for 0 ms counts from now on, which changes nothing for one
-- that was delivered just now. What was handed back gets the idle time again by which it may be
-- taken. Deferred entries need nothing: `has_to_wait` notices a clock that was set back.
-- Answers how many idle times were set.
local PAGE = 100
local mended = 0

local function mend(owner)
  local from = '-'
  repeat
    local rows = redis.call('XPENDING', stream, group, from, '+', PAGE, owner)
    for _, row in ipairs(rows) do
      local right = owner == 'handed-back' and DEFERRED_IDLE or 0
      if row[3] == 0 or row[3] < right then
        redis.call('XCLAIM', stream, group, owner, 0, row[1], 'IDLE', right, 'JUSTID')
        mended = mended + 1
      end
    end
    from = #rows > 0 and '(' .. rows[#rows][1]
  until #rows < PAGE
end

local ok, pending = pcall(redis.call, 'XPENDING', stream, group)
if not ok then
  return 0 -- no such stream or group yet
end
-- {count, first, last, {{consumer, count}, ...}}: nil for the last three if nothing is pending
for _, owner in ipairs(pending[4] or {}) do
  if owner[1] ~= 'deferred' then
    mend(owner[1])
  end
end
return mended
