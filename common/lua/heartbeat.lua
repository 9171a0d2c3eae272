-- heartbeat: the entries in hand stay with whoever holds them.
--
-- KEYS[1] stream  ARGV[1] group  ARGV[2] consumer  ARGV[3...] entry ids *in hand*
-- (not "all that is pending for me": that would keep alive an entry whose XREADGROUP reply was
-- lost on the way).
--
-- Answers the ids that are no longer the consumer's. Counts no delivery.
local lost = {}
for i = 3, #ARGV do
  local ok, rows = pcall(redis.call, 'XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])
  if ok and #rows > 0 then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
