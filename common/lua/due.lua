-- due: names the sessions with unfinished turns that nobody has touched for `tend_after_s`.
--
-- keys: open
-- args: most:number far_off_ms:number
--
-- At most `most`. Those whose time is further off than any script writes come last: the server's
-- clock stepped back, or something else wrote it. By the clock of the server that holds the keys.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local due = redis.call('ZRANGEBYSCORE', open, '-inf', string.format('%.0f', now), 'LIMIT', 0, most)
local too_late = redis.call('ZRANGEBYSCORE', open, string.format('%.0f', now + far_off_ms), '+inf',
  'LIMIT', 0, most - #due)
for _, session in ipairs(too_late) do
  due[#due + 1] = session
end
return due
