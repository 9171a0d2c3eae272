// The view of the conversations: the list of sessions and the turns of one, with search and filter.

import { get } from "./api.js";
import { byId, perFrame, setText } from "./dom.js";
import { SessionList } from "./sessions.js";
import { Store } from "./store.js";
import { TurnList } from "./turns.js";

const SEARCH_AFTER_MS = 250;
const SORT_EVERY_MS = 1_000; // nobody can click into a list that is sorted more often
const TURNS_SHOWN = 60; // when the turns of all sessions are shown

export class ConversationsView {
  constructor(store, showTrouble) {
    this.store = store;
    this.showTrouble = showTrouble;
    this.session = null;
    this.found = null; // a store with the turns that the search has found
    this.sortDue = 0;
    this.words = byId("words");
    this.state = byId("state");
    this.list = new SessionList(byId("sessions"), store, (name) => {
      location.hash = `#/conversations/${name}`;
    });
    this.turns = new TurnList(byId("turns"), { names: () => this.session === null });
    this.redraw = perFrame(() => this.draw());
    let typing;
    this.words.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.#search(), SEARCH_AFTER_MS);
    });
    this.state.addEventListener("change", () => this.#sortNow());
    setInterval(() => this.#sortNow(), 5 * SORT_EVERY_MS); // ages and states change without events
  }

  // name: a session, or "*" for all of them, or null if the visitor has chosen none
  async show(name) {
    const section = byId("conversations");
    section.classList.toggle("chosen", name !== null);
    const session = name === "*" ? null : name;
    if (session !== this.session) this.turns.clear();
    this.session = session;
    this.store.watched = session;
    this.list.chosen = session;
    byId("everything").toggleAttribute("aria-current", session === null);
    setText(byId("pane-title"), session ?? "All conversations");
    this.#sortNow();
    this.turns.toEnd();
    if (session === null) return;
    try {
      const { events } = await get(`/api/sessions/${encodeURIComponent(session)}`);
      for (const event of events) this.store.add(event, { live: false });
    } catch (error) {
      this.showTrouble(error.message);
    }
  }

  async #search() {
    const words = this.words.value.trim();
    if (!words) {
      this.found = null;
      this.#sortNow();
      return;
    }
    try {
      const { events } = await get(`/api/search?q=${encodeURIComponent(words)}`);
      if (words !== this.words.value.trim()) return;
      this.found = new Store(() => {});
      for (const event of events) this.found.add(event, { live: false });
      this.#sortNow();
    } catch (error) {
      this.showTrouble(error.message);
    }
  }

  #sortNow() {
    this.sortDue = 0;
    this.redraw();
  }

  draw() {
    if (byId("conversations").hidden) return;
    if (performance.now() >= this.sortDue) {
      this.sortDue = performance.now() + SORT_EVERY_MS;
      clearTimeout(this.sorting);
      this.sorting = null;
      this.#sort();
    } else this.sorting ??= setTimeout(this.redraw, this.sortDue - performance.now() + 1);
    this.list.draw();
    const { session, found } = this;
    let turns;
    if (found) {
      turns = [...found.sessions.values()].flatMap((one) => [...one.turns.values()])
        .filter((turn) => session === null || turn.session === session)
        .sort((a, b) => a.at - b.at);
    } else turns = session === null ? this.store.recent.slice(-TURNS_SHOWN) : this.store.turnsOf(session);
    const nothing = found ? "Nothing found in the kept history."
      : "Nothing was said in the kept history. New speech appears here at once.";
    this.turns.show(turns, nothing);
    const known = session === null ? undefined : this.store.sessions.get(session);
    const state = byId("pane-state");
    setText(state, known ? this.store.stateOf(known) : "");
    state.dataset.state = state.textContent;
  }

  #sort() {
    const { store, found } = this;
    const words = this.words.value.trim().toLowerCase();
    const state = this.state.value;
    const shown = [...store.sessions.values()].filter((session) => {
      if (words && !session.name.toLowerCase().includes(words) && !found?.sessions.has(session.name)) {
        return false;
      }
      if (state === "errors") return session.errors > 0;
      return !state || store.stateOf(session) === state;
    });
    shown.sort((a, b) => b.at - a.at);
    const count = store.sessions.size;
    setText(byId("session-count"), shown.length === count ? `${count} sessions`
      : `${shown.length} of ${count} sessions`);
    this.list.show(shown.map((session) => session.name));
  }
}
