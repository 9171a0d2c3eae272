// The turns of a conversation. An element is changed in place when its turn changes.

import { el, setText } from "./dom.js";
import { clockOf, durationOf } from "./times.js";
import { waterfall } from "./waterfall.js";

const REASONS = {
  noise: "skipped: noise, nobody spoke",
  invented: "skipped: the model invented text, nobody spoke",
  too_short: "skipped: too short",
  transcript_only: "",
  expired: "skipped: expired, it came too late or its producer stopped",
  forgotten: "skipped: the conversation was forgotten",
};

export class TurnList {
  constructor(box, { names }) {
    this.box = box;
    this.names = names; // returns whether each turn shows its session
    this.shown = new Map();
    this.empty = el("p", { class: "empty" });
    this.box.append(this.empty);
    this.atEnd = true; // kept, because asking the browser at each redraw would cost a layout
    box.addEventListener("scroll", () => {
      this.atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
    }, { passive: true });
  }

  // Shows turns in this order. A reader at the end stays at the end; after scrolling up the turns
  // stay where they are.
  show(turns, whenEmpty = "") {
    const { atEnd } = this;
    const wanted = new Set(turns);
    for (const [turn, view] of this.shown) {
      if (!wanted.has(turn)) {
        view.element.remove();
        this.shown.delete(turn);
      }
    }
    let before = this.empty;
    let changed = false;
    for (const turn of turns) {
      let view = this.shown.get(turn);
      if (!view) {
        view = new TurnView(turn, this.names());
        this.shown.set(turn, view);
      }
      if (before.nextSibling !== view.element) before.after(view.element);
      before = view.element;
      if (view.update()) changed = true;
    }
    this.empty.hidden = turns.length > 0;
    setText(this.empty, whenEmpty);
    // while the details of a turn are open, they must not scroll away
    if (atEnd && changed && ![...this.shown.values()].some((view) => view.open)) this.toEnd();
  }

  toEnd() {
    this.atEnd = true;
    this.box.scrollTop = this.box.scrollHeight;
  }

  clear() {
    this.show([]);
    this.atEnd = true;
  }
}

class TurnView {
  constructor(turn, named) {
    this.turn = turn;
    this.drawn = "";
    this.open = null;
    this.said = el("span", { class: "text" });
    this.saidLine = el("p", { class: "said" }, el("span", { class: "who" }, "User"), this.said);
    this.replied = el("span", { class: "text" });
    this.replyLine = el("p", { class: "replied" }, el("span", { class: "who" }, "AI"), this.replied);
    this.note = el("p", { class: "note" });
    this.button = el("button", { class: "opener", "aria-expanded": "false",
      onclick: () => this.#toggle() });
    this.when = el("time", {});
    const head = el("p", { class: "turn-head" });
    if (named) head.append(el("a", { href: `#/conversations/${turn.session}` }, turn.session), " ");
    head.append(this.when, " ", this.button);
    this.element = el("article", { class: "turn", "data-turn": turn.turn }, head, this.saidLine,
      this.replyLine, this.note);
  }

  // Draws what has changed; returns whether anything has.
  update() {
    const { turn } = this;
    const state = `${turn.transcript?.text}|${turn.replySoFar?.attempt}.${turn.replySoFar?.index}|${turn.ending?.type}`;
    if (state === this.drawn) return false;
    this.drawn = state;
    const { transcript, replySoFar, ending } = turn;
    setText(this.when, `turn ${turn.turn}, ${clockOf(turn.at)}`);
    setText(this.said, transcript?.text ?? (ending ? "" : "…"));
    this.saidLine.hidden = !transcript && Boolean(ending);
    this.saidLine.classList.toggle("pending", !transcript);
    const isReply = ending?.type === "reply";
    setText(this.replied, isReply ? ending.text.trim() || "(empty)" : replySoFar?.text ?? "…");
    this.replyLine.hidden = ending ? !isReply : !transcript;
    this.replyLine.classList.toggle("pending", !isReply);
    const note = noteOf(turn);
    setText(this.note, note);
    this.note.hidden = !note;
    this.note.classList.toggle("error", ending?.type === "error");
    this.element.dataset.state = ending?.type ?? (transcript ? "answering" : "transcribing");
    setText(this.button, ending?.timings?.done !== undefined
      ? `${durationOf(ending.timings.done)}: where the time went` : "details");
    if (this.open) this.#redraw();
    return true;
  }

  #toggle() {
    if (this.open) {
      this.open.remove();
      this.open = null;
    } else {
      this.open = el("div", {});
      this.element.append(this.open);
      this.#redraw();
    }
    this.button.setAttribute("aria-expanded", this.open !== null);
  }

  #redraw() {
    this.open.replaceChildren(waterfall(this.turn));
  }
}

export function noteOf({ ending }) {
  if (!ending) return "";
  if (ending.type === "error") return `error in ${ending.stage}: ${ending.error}`;
  if (ending.type === "skipped") {
    if (ending.reason === "merged") return `answered together with turn ${ending.into}`;
    return REASONS[ending.reason] ?? `skipped: ${ending.reason}`;
  }
  if (ending.interrupted) return "interrupted by newer speech";
  return ending.finish_reason === "length" ? "cut at the length limit" : "";
}
