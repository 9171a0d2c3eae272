-- trim: bounds what is kept for readers.
--
-- KEYS[1] results  KEYS[2] deltas  KEYS[3] dead
-- ARGV[1] results_age (ms)  ARGV[2] results_max (entries)  ARGV[3] deltas_age (ms)
-- ARGV[4] deltas_max (entries)  ARGV[5] dead_max (entries)
-- ARGV[6] dead_age (ms; 0: none goes because of its age)
--
-- Answers how many results, deltas and dead letters went because of a *count*: the age limits are
-- what was promised, these are not, and are said aloud.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%.0f', now - tonumber(ARGV[1])))
redis.call('XTRIM', KEYS[2], 'MINID', '~', string.format('%.0f', now - tonumber(ARGV[3])))
if tonumber(ARGV[6]) > 0 then
  redis.call('XTRIM', KEYS[3], 'MINID', string.format('%.0f', now - tonumber(ARGV[6])))
end
return {
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[2]),
  redis.call('XTRIM', KEYS[2], 'MAXLEN', '~', ARGV[4]),
  redis.call('XTRIM', KEYS[3], 'MAXLEN', ARGV[5]),
}
