-- drop: a dead letter goes for good.
--
-- KEYS[1] dead  ARGV[1] entry id. Answers 1, or 0: no such letter.
return redis.call('XDEL', KEYS[1], ARGV[1])
