-- list_letters: dead letters without their audio. A letter may hold 4 MiB of it, and whoever looks
-- through the letters needs none.
--
-- keys: dead
-- args: first last most:number is_newest_first:flag most_bytes:number longest:number names...
--
-- `first` and `last` are the ids of the oldest and the newest letter, as XRANGE takes them. Answers
-- at most `most` letters, each as { id, bytes of audio, values... }: of the fields in `names` the
-- first `longest` bytes, or an empty text. The letters are read one by one, so that no more than one
-- is in the memory of the script; and none after `most_bytes` of all fields, because nobody else
-- is served meanwhile. So it may answer fewer than there are, but none only at the end.
local letters, bytes = {}, 0
while #letters < most and bytes < most_bytes do
  local found = is_newest_first
    and redis.call('XREVRANGE', dead, last, first, 'COUNT', 1)
    or redis.call('XRANGE', dead, first, last, 'COUNT', 1)
  if #found == 0 then
    break
  end
  local id, fields = found[1][1], found[1][2]
  local values = {}
  for place = 1, #fields, 2 do
    values[fields[place]] = fields[place + 1]
    bytes = bytes + #fields[place + 1]
  end
  local letter = { id, #(values.audio or '') }
  for i = names_at, #ARGV do
    letter[#letter + 1] = string.sub(values[ARGV[i]] or '', 1, longest)
  end
  letters[#letters + 1] = letter
  if is_newest_first then
    last = '(' .. id
  elseif id == last then
    break -- Redis refuses to look behind the last id there can be
  else
    first = '(' .. id
  end
end
return letters
