-- include: session
-- include: acceptance
-- publish: accepts an utterance, once, however often it is sent. `accept` in acceptance.lua holds
-- the rules: what is a duplicate, which revision counts, when the answer is full.
--
-- keys: stream seen_key
-- args: utterance revision:number final:flag hold_ms:number seen_ttl_ms:number
-- args: max_backlog:number max_unanswered:number meta stream_name has_text:flag text fields...
--
-- The utterance waits for STT in `stream`: utterances or recordings, as `stream_name` says.
-- `seen_key` is a string `epoch turn revision final` with a TTL. `hold_ms` is the time since the
-- end of speech, `meta` what later stages need (JSON). With `has_text` the turn has `text` and no
-- audio. `fields` are the fields and values of the stream entry.
-- Answers {accepted | revised | duplicate, turn}, {closed}, {full, sentence},
-- {refused, sentence}.
local is_json, kept = pcall(cjson.decode, meta)
if not is_json or type(kept) ~= 'table' then
  return { 'refused', 'what later stages need is no JSON object' }
end
-- not by unpack: it fails at some 8,000 values
local fields = {}
for i = fields_at, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
return accept(stream, seen_key, {
  id = utterance, revision = revision, final = final, hold = hold_ms, seen_ttl = seen_ttl_ms,
  max_backlog = max_backlog, max_unanswered = max_unanswered, meta = kept,
  stream_name = stream_name, text = has_text and text or nil, fields = fields,
})
