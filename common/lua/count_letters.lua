-- include: letters
-- count_letters: counts the bytes of letters that something else wrote or deleted.
--
-- args: after count:number
--
-- Looks at `count` letters behind the id `after` (empty: from the first). The caller must be allowed
-- to read dead letters. Answers the id to go on behind; empty: there are no more.
local letters = redis.call('XRANGE', dead, after == '' and '-' or '(' .. after, '+', 'COUNT', count)

local function is_behind(id, other)
  local ms, number = string.match(id, '^(%d+)-(%d+)$')
  local other_ms, other_number = string.match(other, '^(%d+)-(%d+)$')
  ms, other_ms = tonumber(ms), tonumber(other_ms)
  return ms > other_ms or (ms == other_ms and tonumber(number) > tonumber(other_number))
end

local last = #letters == count and letters[count][1] or nil
local known, gone = {}, {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', dead_sizes,
  after == '' and '-inf' or time_of(after), last and time_of(last) or '+inf')) do
  local id = string.match(member, '^(%d+-%d+) %d+$')
  if not id then
    gone[#gone + 1] = member
  elseif (after == '' or is_behind(id, after)) and not (last and is_behind(id, last)) then
    known[id] = member
  end
end
for _, letter in ipairs(letters) do
  local id, bytes = letter[1], bytes_of(letter[2])
  if known[id] and size_in(known[id]) == bytes then
    known[id] = nil
  else
    note_size(id, bytes)
  end
end
for _, member in pairs(known) do
  gone[#gone + 1] = member
end
if #gone > 0 then
  forget_sizes(gone)
end
return last or ''
