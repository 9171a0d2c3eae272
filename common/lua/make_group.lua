-- make_group: a consumer group from the start of its stream, so that nothing in it is skipped.
--
-- KEYS[1] stream  ARGV[1] group
--
-- Answers 1 if it was made, 0 if it was there. Redis refuses XGROUP under `maxmemory`, unless the
-- script has written before: without the group a full server could never drain.
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind ~= 'none' and kind ~= 'stream' then
  return redis.error_reply('ERR the key ' .. KEYS[1] .. ' holds a ' .. kind .. ', not a stream:'
    .. ' something else than earshot wrote it; rename or delete it')
end
redis.call('XACK', KEYS[1], ARGV[1], '0-0')
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if made['err'] then
  if string.find(made['err'], 'BUSYGROUP', 1, true) then
    return 0
  end
  return redis.error_reply(made['err'])
end
return 1
