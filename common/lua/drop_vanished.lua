-- drop_vanished: acknowledges what is pending for a consumer and no longer in the stream.
--
-- keys: stream
-- args: group consumer
--
-- Redis 6.2 claims deleted entries, answers nil for them and leaves them pending. Looking and
-- acknowledging are one step: otherwise an entry that came back in between would belong to nobody.
-- Answers the ids; `tend` looks after their turns.
local vanished = {}
for _, row in ipairs(redis.call('XPENDING', stream, group, '-', '+', 100, consumer)) do
  if #redis.call('XRANGE', stream, row[1], row[1], 'COUNT', 1) == 0 then
    redis.call('XACK', stream, group, row[1])
    vanished[#vanished + 1] = row[1]
  end
end
return vanished
