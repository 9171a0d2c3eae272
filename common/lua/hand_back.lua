-- include: deferral
-- hand_back: frees entries that could not be finished for every worker.
--
-- keys: stream
-- args: group consumer pause_ms:number entries...
--
-- They go to the consumer `handed-back`, from which any worker may take them at once; with
-- `pause_ms` they are deferred for so long instead. They get one delivery less, because taking them
-- will count one.
-- Answers how many still belonged to the consumer.
local back = 0
for i = entries_at, #ARGV do
  local ok, rows = pcall(redis.call, 'XPENDING', stream, group, ARGV[i], ARGV[i], 1, consumer)
  if ok and #rows > 0 then
    local deliveries = tonumber(rows[1][4])
    if pause_ms > 0 then
      defer(stream, group, ARGV[i], deliveries, pause_ms)
    else
      redis.call('XCLAIM', stream, group, 'handed-back', 0, ARGV[i], 'IDLE', DEFERRED_IDLE,
        'RETRYCOUNT', math.max(deliveries - 1, 0), 'JUSTID')
    end
    back = back + 1
  end
end
return back
