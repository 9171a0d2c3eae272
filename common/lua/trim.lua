-- trim: keeps what is stored for readers within its limits.
--
-- keys: results deltas dead
-- args: results_age_ms:number results_max deltas_age_ms:number deltas_max dead_max
-- args: dead_age_ms:number
--
-- A `dead_age_ms` of 0 keeps dead letters of every age.
-- Answers how many results, deltas and dead letters went because of a *count*. The age limits are
-- documented; a count limit drops what readers expected to find, so it is logged. Last comes a
-- sentence about a key that holds no stream, or an empty text: the others are trimmed all the same.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local foreign = ''
local function trim(key, ...)
  local kind = redis.call('TYPE', key)['ok']
  if kind == 'stream' then
    return redis.call('XTRIM', key, ...)
  end
  if kind ~= 'none' then
    foreign = 'the key ' .. key .. ' holds a ' .. kind .. ', not a stream: something else than'
      .. ' earshot wrote it; rename or delete it'
  end
  return 0
end
trim(results, 'MINID', '~', string.format('%.0f', now - results_age_ms))
trim(deltas, 'MINID', '~', string.format('%.0f', now - deltas_age_ms))
if dead_age_ms > 0 then
  trim(dead, 'MINID', string.format('%.0f', now - dead_age_ms))
end
return {
  trim(results, 'MAXLEN', '~', results_max),
  trim(deltas, 'MAXLEN', '~', deltas_max),
  trim(dead, 'MAXLEN', dead_max),
  foreign,
}
