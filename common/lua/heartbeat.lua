-- heartbeat: keeps the entries in hand with the worker that holds them.
--
-- keys: stream
-- args: group consumer entries...
--
-- `entries` are those in hand, not all that are pending for the consumer: that would keep alive an
-- entry whose XREADGROUP reply was lost on the way.
-- Answers the ids that the consumer no longer holds. Counts no delivery.
local lost = {}
for i = entries_at, #ARGV do
  local ok, rows = pcall(redis.call, 'XPENDING', stream, group, ARGV[i], ARGV[i], 1, consumer)
  if ok and #rows > 0 then
    redis.call('XCLAIM', stream, group, consumer, 0, ARGV[i], 'JUSTID')
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
