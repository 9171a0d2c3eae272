-- hand_back: frees entries that could not be finished for every worker, at once.
--
-- keys: stream
-- args: group consumer entries...
--
-- They go to the consumer `handed-back` with their idle time at the limit, so that every worker
-- may take them, and with one delivery less, because taking them will count one.
-- Answers how many still belonged to the consumer.
local back = 0
for i = entries_at, #ARGV do
  local ok, rows = pcall(redis.call, 'XPENDING', stream, group, ARGV[i], ARGV[i], 1, consumer)
  if ok and #rows > 0 then
    local deliveries = math.max(tonumber(rows[1][4]) - 1, 0)
    redis.call('XCLAIM', stream, group, 'handed-back', 0, ARGV[i], 'IDLE', 86400000,
      'RETRYCOUNT', deliveries, 'JUSTID')
    back = back + 1
  end
end
return back
