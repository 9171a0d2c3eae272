-- leave: removes a consumer, only with nothing pending (removing it would lose its entries).
--
-- keys: stream
-- args: group consumer
--
-- Answers 1 if it is gone, 0 if entries are pending for it.
local ok, rows = pcall(redis.call, 'XPENDING', stream, group, '-', '+', 1, consumer)
if not ok then
  return 1 -- no such stream or group: nothing to leave
end
if #rows > 0 then
  return 0
end
-- Redis 6.2 refuses every XGROUP under `maxmemory`, unless the script has written before
redis.call('XACK', stream, group, '0-0')
redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
return 1
