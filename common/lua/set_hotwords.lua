-- include: session
-- set_hotwords: sets the words of its own that STT expects in this conversation.
--
-- args: hotwords
--
-- Commas separate them; an empty text takes them back. Answers {ok}.
return choose('hotwords', hotwords)
