// The list of sessions. It has only as many rows as fit, so that many sessions cost nothing.

import { el, setAttribute, setText } from "./dom.js";
import { ageOf } from "./times.js";
import { noteOf } from "./turns.js";

const ROW_PX = 60; // the height of .session in style.css

export class SessionList {
  constructor(box, store, choose) {
    this.box = box;
    this.store = store;
    this.choose = choose;
    this.names = [];
    this.chosen = null;
    this.active = null;
    this.spacer = el("div", { class: "spacer" });
    this.rows = [];
    box.append(this.spacer);
    box.addEventListener("scroll", () => this.draw(), { passive: true });
    box.addEventListener("keydown", (event) => this.#key(event));
    box.addEventListener("focus", () => this.#activate(this.active ?? this.chosen ?? this.names[0]));
    new ResizeObserver(() => this.draw()).observe(box);
  }

  show(names) {
    this.names = names;
    this.spacer.style.height = `${names.length * ROW_PX}px`;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW_PX) - 1);
    const fitting = Math.ceil(this.box.clientHeight / ROW_PX) + 2;
    const count = Math.max(0, Math.min(fitting, this.names.length - first));
    while (this.rows.length < count) this.rows.push(this.#row());
    this.rows.forEach((row, index) => {
      const shown = index < count;
      if (row.element.hidden === shown) row.element.hidden = !shown;
      if (shown) this.#fill(row, first + index);
    });
    if (this.active) this.box.setAttribute("aria-activedescendant", `session-${this.active}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  #row() {
    const name = el("span", { class: "name" });
    const age = el("span", { class: "age" });
    const state = el("span", { class: "state" });
    const words = el("span", { class: "words" });
    const element = el("div", { class: "session", role: "option" }, name, age, state, words);
    element.addEventListener("click", () => this.choose(element.dataset.session));
    this.spacer.append(element);
    return { element, name, age, state, words };
  }

  #fill(row, index) {
    const session = this.store.sessions.get(this.names[index]);
    if (!session) return;
    const { element } = row;
    const state = this.store.stateOf(session);
    if (row.index !== index) element.style.transform = `translateY(${index * ROW_PX}px)`;
    row.index = index;
    setAttribute(element, "id", `session-${session.name}`);
    setAttribute(element, "data-session", session.name);
    setAttribute(element, "aria-selected", session.name === this.chosen);
    setAttribute(element, "aria-setsize", this.names.length);
    setAttribute(element, "aria-posinset", index + 1);
    element.classList.toggle("active", session.name === this.active);
    setText(row.name, session.name);
    setText(row.age, session.at ? ageOf(this.store.now() - session.at) : "");
    setText(row.state, session.errors ? `${state}, errors` : state);
    setAttribute(row.state, "data-state", state);
    setText(row.words, lastWords(session.last));
  }

  #activate(name) {
    this.active = name ?? null;
    const index = this.names.indexOf(name);
    if (index >= 0) {
      const top = index * ROW_PX;
      if (top < this.box.scrollTop) this.box.scrollTop = top;
      const bottom = top + ROW_PX - this.box.clientHeight;
      if (bottom > this.box.scrollTop) this.box.scrollTop = bottom;
    }
    this.draw();
  }

  #key(event) {
    const at = this.names.indexOf(this.active);
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW_PX) - 1);
    const last = this.names.length - 1;
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: last, PageDown: at + page, PageUp: at - page };
    if (event.key in moves) this.#activate(this.names[Math.min(last, Math.max(0, moves[event.key]))]);
    else if ((event.key === "Enter" || event.key === " ") && this.active) this.choose(this.active);
    else return;
    event.preventDefault();
  }
}

function lastWords(turn) {
  if (!turn) return "";
  if (turn.ending?.type === "reply") return turn.ending.text;
  if (turn.ending) return noteOf(turn);
  return turn.replySoFar?.text ?? turn.transcript?.text ?? "";
}
