-- Included by the scripts that write or delete dead letters, so that their bytes are counted.
--
-- keys: dead dead_sizes dead_bytes
--
-- dead        stream  the letters
-- dead_sizes  zset    `ID BYTES` of each letter, by the time in its id (ms)
-- dead_bytes  string  the sum of these bytes
--
-- A letter's bytes are those of its fields and values. Letters that something else wrote or deleted
-- (an older version, a person) are counted by count_letters.

local function digits(number)
  return string.format('%.0f', number)
end

-- Whether the caller may count. With an ACL file from before bytes were counted it may not, and
-- then letters are limited by their number alone.
local function may_count()
  for key, kind in pairs({ [dead_sizes] = 'zset', [dead_bytes] = 'string' }) do
    local found = redis.pcall('TYPE', key)
    if found.err or (found.ok ~= 'none' and found.ok ~= kind) then
      return false
    end
  end
  return true
end

local function bytes_of(fields)
  local bytes = 0
  for _, value in ipairs(fields) do
    bytes = bytes + #value
  end
  return bytes
end

local function time_of(id)
  return string.match(id, '^%d+')
end

local function size_in(member)
  return tonumber(string.match(member, ' (%d+)$')) or 0
end

local function total_bytes()
  local raw = redis.call('GET', dead_bytes)
  if raw and #raw < 16 and string.match(raw, '^%d+$') then
    return tonumber(raw)
  end
  local bytes = 0
  for _, member in ipairs(redis.call('ZRANGE', dead_sizes, 0, -1)) do
    bytes = bytes + size_in(member)
  end
  return bytes
end

local function note_size(id, bytes)
  local total = total_bytes()
  redis.call('ZADD', dead_sizes, time_of(id), id .. ' ' .. digits(bytes))
  redis.call('SET', dead_bytes, digits(total + bytes))
end

-- Forgets the sizes of letters that are gone.
local function forget_sizes(members)
  local total = total_bytes()
  for _, member in ipairs(members) do
    redis.call('ZREM', dead_sizes, member)
    total = total - size_in(member)
  end
  redis.call('SET', dead_bytes, digits(math.max(total, 0)))
end

-- Adds a letter. `fields` are names and values, all of them strings.
local function add_letter(fields)
  local id = redis.call('XADD', dead, '*', unpack(fields))
  if may_count() then
    note_size(id, bytes_of(fields))
  end
end

-- Deletes a letter. Answers 1, or 0: there is no such letter.
local function delete_letter(id)
  local deleted = redis.call('XDEL', dead, id)
  if deleted == 1 and may_count() then
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', dead_sizes, time_of(id), time_of(id))) do
      if string.match(member, '^%S+') == id then
        forget_sizes({ member })
      end
    end
  end
  return deleted
end

-- Deletes the oldest letters beyond the limits; the newest one stays. Answers how many went because
-- of `most` letters, and how many because of `most_bytes`.
local function delete_oldest(most, most_bytes)
  local by_count, by_bytes = redis.call('XTRIM', dead, 'MAXLEN', most), 0
  if not may_count() then
    return by_count, by_bytes
  end
  local surplus = redis.call('ZCARD', dead_sizes) - redis.call('XLEN', dead)
  if surplus > 0 then
    forget_sizes(redis.call('ZRANGE', dead_sizes, 0, surplus - 1))
  end
  local total, gone = total_bytes(), {}
  while total > most_bytes do
    local oldest = redis.call('ZRANGE', dead_sizes, #gone, #gone + 1)
    if #oldest < 2 then
      break
    end
    gone[#gone + 1] = oldest[1]
    total = total - size_in(oldest[1])
    by_bytes = by_bytes + redis.call('XDEL', dead, string.match(oldest[1], '^%S+'))
  end
  if #gone > 0 then
    forget_sizes(gone)
  end
  return by_count, by_bytes
end

-- Deletes the letters from before a time (ms).
local function delete_older(time)
  redis.call('XTRIM', dead, 'MINID', digits(time))
  if may_count() then
    local old = redis.call('ZRANGEBYSCORE', dead_sizes, '-inf', '(' .. digits(time))
    if #old > 0 then
      forget_sizes(old)
    end
  end
end
