-- leave: removes a consumer, only with nothing pending (removing it would lose its entries).
--
-- KEYS[1] stream  ARGV[1] group  ARGV[2] consumer
--
-- Answers 1 if it is gone, 0 if entries are pending for it.
local ok, rows = pcall(redis.call, 'XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2])
if not ok then
  return 1 -- no such stream or group: nothing to leave
end
if #rows > 0 then
  return 0
end
-- Redis 6.2 refuses every XGROUP under `maxmemory`, unless the script has written before
redis.call('XACK', KEYS[1], ARGV[1], '0-0')
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
