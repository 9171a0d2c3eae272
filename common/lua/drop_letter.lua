-- drop_letter: deletes a dead letter for good.
--
-- keys: dead
-- args: letter_id
--
-- Answers 1, or 0: there is no such letter.
return redis.call('XDEL', dead, letter_id)
