-- drop_vanished: acknowledges what is pending for a consumer and no longer in the stream.
--
-- KEYS[1] stream  ARGV[1] group  ARGV[2] consumer
--
-- Redis 6.2 claims deleted entries, answers nil for them and leaves them pending. Looking and
-- acknowledging are one step: an entry that came back in between would be nobody's.
-- Answers the ids; their turns are looked after by `tend`.
local vanished = {}
for _, row in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 100, ARGV[2])) do
  if #redis.call('XRANGE', KEYS[1], row[1], row[1], 'COUNT', 1) == 0 then
    redis.call('XACK', KEYS[1], ARGV[1], row[1])
    vanished[#vanished + 1] = row[1]
  end
end
return vanished
