// The view of the pipeline: what waits, which workers there are, and how fast they work.

import { get } from "./api.js";
import { Chart } from "./charts.js";
import { byId, el, setText } from "./dom.js";
import { ageOf, durationOf } from "./times.js";

const LOOK_EVERY_MS = 2_000;
const LOOK_HIDDEN_MS = 10_000; // while another view is shown, for the number of dead letters

const STAGES = {
  utterances: "Speech to transcribe",
  recordings: "Recordings to transcribe",
  turns: "Turns to answer",
};

const both = (stage, label) => [
  { label: `${label} p50`, of: (rates) => rates.p50[stage] },
  { label: `${label} p95`, of: (rates) => rates.p95[stage] },
];

const overAll = (stage, label) => (rates) => {
  const { count, p50, p95 } = rates.over_all[stage];
  return count ? `${label}: median ${durationOf(p50)} (p50), ${durationOf(p95)} p95, ${count} in 15 min`
    : `${label}: none in 15 min`;
};

const lastMinute = (series) => {
  const last = series.slice(-7, -1); // without the last bucket, which is not complete
  return Math.round(last.reduce((sum, value) => sum + value, 0) / Math.max(1, last.length));
};

export class PipelineView {
  constructor() {
    this.shown = false;
    this.cards = el("div", { class: "cards" });
    this.workers = el("tbody", {});
    this.nobody = el("p", { class: "empty" }, "No worker is running: start `earshot stt` and `earshot llm`.");
    this.charts = [
      new Chart("Throughput, a minute", (value) => `${value}`, [
        { label: "heard", of: (rates) => rates.per_minute.heard },
        { label: "transcripts", of: (rates) => rates.per_minute.transcripts },
        { label: "replies", of: (rates) => rates.per_minute.replies },
        { label: "errors", of: (rates) => rates.per_minute.errors },
      ], ({ per_minute: per }) => `In the last minute: ${lastMinute(per.heard)} heard, `
        + `${lastMinute(per.transcripts)} transcripts, ${lastMinute(per.replies)} replies, `
        + `${lastMinute(per.errors)} errors`),
      new Chart("Waiting for speech to text", durationOf, both("stt_queue", "wait"), overAll("stt_queue", "Wait")),
      new Chart("Speech to text", durationOf, both("stt", "transcribing"), overAll("stt", "Transcribing")),
      new Chart("Waiting for an LLM worker", durationOf, both("llm_queue", "wait"), overAll("llm_queue", "Wait")),
      new Chart("First token of the LLM", durationOf, both("first_token", "first token"), overAll("first_token", "First token")),
      new Chart("End of speech to end of reply", durationOf, both("total", "total"), overAll("total", "Total")),
    ];
    const section = byId("pipeline");
    section.className = "page";
    section.append(
      el("h2", {}, "Now"), this.cards,
      el("h2", {}, "Workers"), this.nobody,
      this.scroll = el("div", { class: "scroll" }, el("table", {},
        el("thead", {}, el("tr", {}, ...["worker", "role", "state", "in hand", "oldest", "model", "runs for"]
          .map((name) => el("th", { scope: "col" }, name)))),
        this.workers)),
      el("h2", {}, "The last 15 minutes"),
      el("div", { class: "charts" }, ...this.charts.map((chart) => chart.element)),
    );
    this.#look();
  }

  show() {
    this.shown = true;
    this.#look();
  }

  hide() {
    this.shown = false;
  }

  async #look() {
    clearTimeout(this.next);
    try {
      this.draw(await get(this.shown ? "/api/pipeline?rates=1" : "/api/pipeline"));
    } catch {
      // the stream of events shows that the server is away
    }
    clearTimeout(this.next);
    this.next = setTimeout(() => this.#look(), this.shown ? LOOK_EVERY_MS : LOOK_HIDDEN_MS);
  }

  draw({ now, redis, snapshot, rates }) {
    const badge = byId("dead-count");
    badge.hidden = !snapshot?.dead_letters;
    setText(badge, snapshot ? String(snapshot.dead_letters) : "");
    if (!this.shown) return;
    this.cards.replaceChildren(...(snapshot ? cardsOf(snapshot) : [awayCard(redis)]));
    const workers = snapshot?.workers ?? [];
    this.nobody.hidden = !snapshot || workers.length > 0;
    this.scroll.hidden = workers.length === 0;
    this.workers.replaceChildren(...workers.map((worker) => workerRow(worker, now)));
    if (rates) for (const chart of this.charts) chart.draw(rates);
  }
}

const card = (title, figure, ...small) => el("div", { class: "card" }, el("h3", {}, title),
  el("p", { class: "figure" }, figure), ...small.map((text) => el("p", { class: "small" }, text)));

const awayCard = (why) => el("div", { class: "card", id: "redis-away" }, el("h3", {}, "Redis"),
  el("p", { class: "bad" }, why || "Redis is away."));

function cardsOf(snapshot) {
  const stages = Object.entries(snapshot.stages).map(([name, stage]) => card(
    STAGES[name] ?? name, String(stage.waiting + stage.in_hand + stage.deferred),
    `${stage.waiting} waiting, ${stage.in_hand} in hand${deferredOf(stage)}`,
    oldestOf(stage)));
  return [...stages, serverCard(snapshot.workers.filter(({ role }) => role === "llm")),
    card("Conversations", String(snapshot.open_sessions), "with unfinished turns")];
}

const deferredOf = ({ deferred }) => (deferred ? `, ${deferred} failed and tried again later` : "");

function oldestOf({ waiting, in_hand: inHand, deferred, oldest_s: oldest }) {
  if (waiting + inHand + deferred === 0) return "nothing waits";
  return oldest === null ? "the age of the oldest is unknown" : `the oldest: ${ageOf(1000 * oldest)}`;
}

// What the LLM workers report about their server. Each of them has a breaker of its own.
function serverCard(workers) {
  const reaching = workers.filter(({ waits_for: why }) => !why).length;
  const whys = [...new Set(workers.map(({ waits_for: why }) => why).filter(Boolean))];
  const [state, kind] = workers.length === 0 ? ["unknown", ""]
    : reaching === workers.length ? ["usable", "good"] : reaching ? ["partly usable", "bad"] : ["unusable", "bad"];
  return el("div", { class: "card", id: "llm-server" }, el("h3", {}, "LLM server"),
    el("p", { class: `figure ${kind}` }, state),
    el("p", { class: "small" }, workers.length ? `for ${reaching} of ${workers.length} LLM workers`
      : "no LLM worker is running"),
    ...whys.map((why) => el("p", { class: "small bad" }, why)));
}

function workerRow(worker, now) {
  const { holds } = worker;
  const held = holds ? `${holds.count}${holds.sessions.length ? ` (${holds.sessions.join(", ")}`
    + `${holds.sessions.length < holds.count ? ", …" : ""})` : ""}` : "nothing";
  const cells = [worker.name, worker.role, worker.waits_for ?? worker.state, held,
    holds ? ageOf(1000 * holds.oldest_s) : "", [worker.model, worker.device].filter(Boolean).join(", "),
    ageOf(now - 1000 * worker.started_at)];
  return el("tr", {}, ...cells.map((cell, index) => el("td",
    { class: index === 2 && worker.waits_for ? "bad" : null }, String(cell))));
}
