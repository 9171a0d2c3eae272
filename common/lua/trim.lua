-- include: letters
-- trim: keeps what is stored for readers within its limits.
--
-- keys: results deltas
-- args: results_age_ms:number results_max deltas_age_ms:number deltas_max
-- args: dead_age_ms:number dead_max dead_max_bytes:number
--
-- A `dead_age_ms` of 0 keeps dead letters of every age.
-- Answers how many results, deltas and dead letters went because of a *count*, and how many dead
-- letters because of their bytes. The age limits are documented; the other limits drop what readers
-- expected to find, so that is logged. Then come 1 if there are dead letters that nobody has
-- counted, else 0, and a sentence about a key of a wrong type, or an empty text: the others are
-- trimmed all the same.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local foreign = ''
local function is_usable(key, kind)
  local found = redis.call('TYPE', key)['ok']
  if found == 'none' or found == kind then
    return true
  end
  foreign = 'the key ' .. key .. ' holds a ' .. found .. ', not a ' .. kind
    .. ': something else than earshot wrote it; rename or delete it'
  return false
end
local function trim(key, age, most)
  if not is_usable(key, 'stream') then
    return 0
  end
  redis.call('XTRIM', key, 'MINID', '~', digits(now - age))
  return redis.call('XTRIM', key, 'MAXLEN', '~', most)
end
local old_results = trim(results, results_age_ms, results_max)
local old_deltas = trim(deltas, deltas_age_ms, deltas_max)
local by_count, by_bytes, uncounted = 0, 0, 0
if is_usable(dead, 'stream') then
  if dead_age_ms > 0 then
    delete_older(now - dead_age_ms)
  end
  by_count, by_bytes = delete_oldest(dead_max, dead_max_bytes)
  if may_count() then
    uncounted = redis.call('XLEN', dead) == redis.call('ZCARD', dead_sizes) and 0 or 1
  elseif redis.pcall('TYPE', dead_sizes).ok then
    local _ = is_usable(dead_sizes, 'zset') and is_usable(dead_bytes, 'string')
  end
end
return { old_results, old_deltas, by_count, by_bytes, uncounted, foreign }
