-- include: session
-- include: publishing
-- publish: an utterance enters, once, however often it is sent.
--
-- KEYS[7] stream  utterances or recordings: where it waits for STT
-- KEYS[8] seen    string `epoch turn revision final`, with TTL
-- ARGV[4] utterance id     ARGV[5] revision            ARGV[6] final (0/1)
-- ARGV[7] hold (ms since the end of speech)            ARGV[8] seen_ttl (ms)
-- ARGV[9] max_backlog (entries of KEYS[7])             ARGV[10] max_unanswered (turns)
-- ARGV[11] what later stages need (JSON)               ARGV[12] which stream KEYS[7] is
-- ARGV[13] 1: ARGV[14] is the text, and there is no audio
-- ARGV[15...] the entry's fields and values
--
-- Answers {accepted | revised | duplicate, turn}, {closed}, {full, sentence},
-- {refused, sentence}.
return publish(KEYS[7], KEYS[8], {
  id = ARGV[4], revision = tonumber(ARGV[5]), final = ARGV[6] == '1', hold = tonumber(ARGV[7]),
  seen_ttl = tonumber(ARGV[8]), max_backlog = tonumber(ARGV[9]),
  max_unanswered = tonumber(ARGV[10]), meta = cjson.decode(ARGV[11]), stream_name = ARGV[12],
  text = ARGV[13] == '1' and ARGV[14] or nil, fields = { unpack(ARGV, 15) },
})
