-- drop_wake_up: deletes an entry of `turns` that names no session, or one whose keys cannot
-- be read.
--
-- keys: turns
-- args: entry consumer
--
-- No turn belongs to such an entry; `tend` wakes the session that was meant.
-- Answers 1; 0: another worker has the claim, or the group was lost.
local ok, rows = pcall(redis.call, 'XPENDING', turns, 'llm', entry, entry, 1, consumer)
if not ok or #rows == 0 then
  return 0
end
redis.call('XACK', turns, 'llm', entry)
redis.call('XDEL', turns, entry)
return 1
