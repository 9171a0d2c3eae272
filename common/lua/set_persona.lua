-- include: session
-- set_persona: sets who answers in this conversation from its next attempt on.
--
-- args: persona
--
-- It overrides what the producers ask for; an empty one gives the choice back to them. Answers {ok}.
return choose('persona', persona)
