-- include: letters
-- drop_letter: deletes a dead letter for good.
--
-- args: letter_id
--
-- Answers 1, or 0: there is no such letter.
return delete_letter(letter_id)
