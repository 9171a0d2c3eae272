// The view of the dead letters.

import { get, post } from "./api.js";
import { byId, el, setText } from "./dom.js";
import { dayOf, durationOf } from "./times.js";

export class LettersView {
  constructor() {
    this.list = el("div", {});
    this.requests = 0; // only the answer to the latest request is shown
    this.status = el("p", { role: "status", class: "small" });
    this.none = el("p", { class: "empty", hidden: true }, "No dead letters: nothing has failed for good.");
    this.more = el("button", { hidden: true, onclick: () => this.#load() }, "Show older");
    this.refresh = el("button", { onclick: () => this.show() }, "Refresh");
    this.dialog = el("dialog", { "aria-labelledby": "drop-title" });
    const section = byId("dead");
    section.className = "page";
    section.append(
      el("p", { class: "intro" }, "Utterances that failed for good, with the reason. Replay sends one again, as a new turn "
        + "at the end of its session. ", this.refresh),
      this.status, this.none, this.list, this.more, this.dialog);
  }

  async show() {
    this.last = null;
    this.list.replaceChildren();
    await this.#load();
  }

  async #load() {
    const request = (this.requests += 1);
    try {
      const { letters, more } = await get(this.last ? `/api/dead?before=${this.last}` : "/api/dead");
      if (request !== this.requests) return;
      if (this.failed) setText(this.status, "");
      this.failed = false;
      this.list.append(...letters.map((letter) => this.#card(letter)));
      this.last = letters.at(-1)?.letter ?? this.last;
      this.more.hidden = !more;
      this.none.hidden = this.list.childElementCount > 0;
    } catch (error) {
      if (request !== this.requests) return;
      this.failed = true;
      setText(this.status, error.message);
    }
  }

  #card(letter) {
    const path = `/api/dead/${letter.shard}/${letter.letter}`;
    const facts = [
      dayOf(Number(letter.letter.split("-")[0])),
      letter.session ? `session ${letter.session}` : "no usable session",
      letter.turn && `turn ${letter.turn}`,
      `stage ${letter.stage ?? "unknown"}`,
      letter.deliveries && `tried ${letter.deliveries === 1 ? "once" : `${letter.deliveries} times`}`,
      letter.worker,
      letter.source,
      letter.speech_ms ? durationOf(letter.speech_ms) : null,
    ];
    const card = el("article", { class: "card letter", "data-letter": letter.letter },
      el("h3", {}, letter.reason ?? "no reason given"),
      el("p", { class: "why bad" }, letter.error ?? ""),
      letter.text ? el("p", { class: "why" }, `“${letter.text}”`) : null,
      el("p", { class: "small" }, ...facts.filter(Boolean).map((fact) => el("span", {}, fact))));
    const replay = el("button", { class: "main", disabled: !letter.session,
      "data-never": letter.session ? null : "", onclick: () => this.#act(card, `${path}/replay`) }, "Replay");
    const drop = el("button", { class: "danger", onclick: () => this.#confirmDrop(card, letter, path) }, "Drop…");
    const actions = el("div", { class: "actions" }, replay, drop);
    if (letter.audio_bytes) {
      const audio = el("audio", { controls: true, preload: "none", src: `${path}/audio` });
      audio.addEventListener("error", () => audio.replaceWith(
        el("span", { class: "small" }, "The audio cannot be played: perhaps it caused the failure.")));
      actions.append(audio);
    }
    card.append(actions);
    return card;
  }

  #confirmDrop(card, letter, path) {
    const { dialog } = this;
    const owner = letter.session ? ` of session ${letter.session}` : "";
    dialog.replaceChildren(
      el("h2", { id: "drop-title" }, "Drop this dead letter?"),
      el("p", {}, `This deletes the dead letter${owner} and its audio for good.`),
      el("div", { class: "actions" },
        el("button", { autofocus: true, onclick: () => dialog.close() }, "Keep it"),
        el("button", { class: "danger", onclick: () => {
          dialog.close();
          this.#act(card, `${path}/drop`);
        } }, "Drop it")));
    dialog.showModal();
  }

  async #act(card, path) {
    for (const button of card.querySelectorAll("button")) button.disabled = true;
    try {
      const { done } = await post(path);
      this.failed = false;
      setText(this.status, `${card.dataset.letter}: ${done}.`);
      card.remove();
      this.none.hidden = this.list.childElementCount > 0;
      this.refresh.focus(); // the button that had the focus is gone
    } catch (error) {
      this.failed = true;
      setText(this.status, `${card.dataset.letter}: ${error.message}`);
      for (const button of card.querySelectorAll("button")) button.disabled = button.dataset.never === "";
    }
  }
}
