-- include: session
-- include: acceptance
-- include: letters
-- replay: makes a dead letter a new utterance at the end of its session, in one step.
--
-- keys: utterances seen_key
-- args: letter_id utterance seen_ttl_ms:number max_backlog:number max_unanswered:number
--
-- `utterance` and `seen_key` are those of the new utterance. A letter with a text keeps it, without
-- a second STT. Answers as publish does; {gone}: there is no such letter.
local foreign = foreign_key({ [dead] = 'stream' })
if foreign then
  return { 'refused', foreign }
end
local found = redis.call('XRANGE', dead, letter_id, letter_id, 'COUNT', 1)
if not found[1] then
  return { 'gone' }
end
local letter, fields = {}, {}
local dropped = { stage = 1, reason = 1, error = 1, deliveries = 1, worker = 1, at = 1, entry = 1,
  turn = 1, id = 1, revision = 1, final = 1, hold_ms = 1, replay_of = 1, left_out = 1 }
local pairs_ = found[1][2]
for i = 1, #pairs_, 2 do
  letter[pairs_[i]] = pairs_[i + 1]
  if not dropped[pairs_[i]] then
    fields[#fields + 1] = pairs_[i]
    fields[#fields + 1] = pairs_[i + 1]
  end
end
if letter.session ~= ID then
  return { 'refused', 'this dead letter names no usable session; it can only be saved or dropped' }
end
if not letter.text and not letter.audio then
  return { 'refused', 'this dead letter holds neither audio nor a text; it can only be dropped' }
end
for _, value in ipairs({ 'id', utterance, 'revision', '1', 'final', '1', 'hold_ms', '0',
  'replay_of', letter.id or '' }) do
  fields[#fields + 1] = value
end
local function known(value)
  return value ~= '' and value or nil
end
local answer = accept(utterances, seen_key, {
  id = utterance, revision = 1, final = true, hold = 0, seen_ttl = seen_ttl_ms,
  max_backlog = max_backlog, max_unanswered = max_unanswered,
  meta = {
    speech_ms = tonumber(letter.speech_ms), source = known(letter.source),
    persona = known(letter.persona), language = known(letter.language),
    answer = tonumber(letter.answer), interrupt = tonumber(letter.interrupt),
    traceparent = known(letter.traceparent), replay_of = letter.id,
  },
  stream_name = 'utterances', text = letter.text, fields = fields,
})
if answer[1] == 'accepted' then
  delete_letter(letter_id)
end
return answer
