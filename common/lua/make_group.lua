-- make_group: makes a consumer group from the start of its stream, so that nothing is skipped.
--
-- keys: stream
-- args: group
--
-- Answers 1 if it was made, 0 if it was there. Under `maxmemory` Redis refuses XGROUP unless the
-- script has written before: without the group a full server could never drain.
local kind = redis.call('TYPE', stream)['ok']
if kind ~= 'none' and kind ~= 'stream' then
  return redis.error_reply('ERR the key ' .. stream .. ' holds a ' .. kind .. ', not a stream:'
    .. ' something else than earshot wrote it; rename or delete it')
end
redis.call('XACK', stream, group, '0-0')
local made = redis.pcall('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
if made['err'] then
  if string.find(made['err'], 'BUSYGROUP', 1, true) then
    return 0
  end
  return redis.error_reply(made['err'])
end
return 1
