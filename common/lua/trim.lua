-- trim: keeps what is stored for readers within its limits.
--
-- keys: results deltas dead
-- args: results_age_ms:number results_max deltas_age_ms:number deltas_max dead_max
-- args: dead_age_ms:number
--
-- A `dead_age_ms` of 0 keeps dead letters of every age.
-- Answers how many results, deltas and dead letters went because of a *count*. The age limits are
-- documented; a count limit drops what readers expected to find, so it is logged.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
redis.call('XTRIM', results, 'MINID', '~', string.format('%.0f', now - results_age_ms))
redis.call('XTRIM', deltas, 'MINID', '~', string.format('%.0f', now - deltas_age_ms))
if dead_age_ms > 0 then
  redis.call('XTRIM', dead, 'MINID', string.format('%.0f', now - dead_age_ms))
end
return {
  redis.call('XTRIM', results, 'MAXLEN', '~', results_max),
  redis.call('XTRIM', deltas, 'MAXLEN', '~', deltas_max),
  redis.call('XTRIM', dead, 'MAXLEN', dead_max),
}
