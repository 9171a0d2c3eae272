-- hand_back: entries that could not be finished are free for anybody, at once.
--
-- KEYS[1] stream  ARGV[1] group  ARGV[2] consumer  ARGV[3...] entry ids
--
-- They go to the consumer `handed-back` with their idle time at the limit, so that every worker
-- may take them, and with one delivery less, because the taking will count one.
-- Answers how many were still the consumer's.
local back = 0
for i = 3, #ARGV do
  local ok, rows = pcall(redis.call, 'XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])
  if ok and #rows > 0 then
    local deliveries = math.max(tonumber(rows[1][4]) - 1, 0)
    redis.call('XCLAIM', KEYS[1], ARGV[1], 'handed-back', 0, ARGV[i], 'IDLE', 86400000,
      'RETRYCOUNT', deliveries, 'JUSTID')
    back = back + 1
  end
end
return back
