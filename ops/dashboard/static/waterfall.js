// The details of one turn: how long each stage took, and which worker and model did it.

import { el } from "./dom.js";
import { durationOf } from "./times.js";

// Returns [name, start, end] of each stage, in ms since the end of speech. With eager transcription
// STT may run within the silence; the transcript is shown when both have ended.
function phasesOf(timings, hasSpeech) {
  const { published, stt_started, transcribed, committed, llm_started, first_token, done } = timings;
  const ready = Math.max(transcribed ?? 0, committed ?? 0) || published;
  const phases = [
    ["silence", hasSpeech ? 0 : undefined, committed ?? published],
    ["queue for speech to text", published, stt_started],
    ["speech to text", stt_started, transcribed],
    ["queue for the answer", ready, llm_started],
    ["first token", llm_started, first_token],
    ["rest of the reply", first_token, done],
  ];
  return phases
    .filter(([, start, end]) => start !== undefined && end !== undefined)
    .map(([name, start, end]) => [name, start, Math.max(start, end)]);
}

export function waterfall(turn) {
  const reply = turn.ending?.type === "reply" ? turn.ending : {};
  const timings = { ...turn.transcript?.timings, ...reply.timings };
  const phases = phasesOf(timings, Boolean(turn.heard?.speech_ms));
  const first = Math.min(0, ...phases.map(([, start]) => start));
  const span = Math.max(1, ...phases.map(([, , end]) => end)) - first;
  const rows = phases.map(([name, start, end], index) => {
    const bar = el("span", { class: `bar bar-${index % 6}` });
    bar.style.left = `${(100 * (start - first)) / span}%`;
    bar.style.width = `${Math.max(0.5, (100 * (end - start)) / span)}%`;
    return el("tr", {},
      el("th", { scope: "row" }, name),
      el("td", { class: "track", "aria-hidden": "true" }, bar),
      el("td", { class: "ms" }, durationOf(end - start)));
  });
  const table = el("table", { class: "phases" },
    el("caption", {}, phases.length
      ? `${durationOf(Math.max(...phases.map(([, , end]) => end)))} since the end of speech`
      : "No times of this turn are known yet."),
    el("tbody", {}, ...rows));
  return el("div", { class: "opened" }, table, facts(turn, reply));
}

const score = (value) => value?.toFixed(2);

function facts(turn, reply) {
  const heard = turn.heard ?? {};
  const transcript = turn.transcript ?? {};
  const usage = reply.usage ?? {};
  const rows = [
    ["STT worker", transcript.worker],
    ["STT model", transcript.model],
    ["average log probability", score(transcript.avg_logprob)],
    ["no-speech probability", score(transcript.no_speech_prob)],
    ["language", transcript.language && [transcript.language, score(transcript.language_probability)]
      .filter(Boolean).join(", ")],
    ["speech", heard.speech_ms ? durationOf(heard.speech_ms) : undefined],
    ["audio", transcript.audio_ms && durationOf(transcript.audio_ms)],
    ["decoding", transcript.decode_ms && durationOf(transcript.decode_ms)],
    ["LLM worker", reply.worker],
    ["LLM model", reply.model],
    ["tokens", usage.total_tokens && `${usage.prompt_tokens} prompt, ${usage.completion_tokens} reply`],
    ["ended by", reply.interrupted ? "interruption" : reply.finish_reason],
    ["attempt", reply.attempt > 1 ? String(reply.attempt) : undefined],
    ["source", heard.source],
    ["replay of", heard.replay_of],
    ["utterance", turn.id],
    ["trace id", reply.trace],
  ];
  return el("dl", { class: "facts" }, ...rows.filter(([, value]) => value)
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}
