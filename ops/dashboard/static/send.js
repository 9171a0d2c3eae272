// The view to send a recording or to speak. It shows what becomes of the speech.

import { Failed, get, post } from "./api.js";
import { byId, el, perFrame, setText } from "./dom.js";
import { Microphone } from "./microphone.js";
import { TurnList } from "./turns.js";

const LOOK_MS = 500;

const newSession = () => `web-${[...crypto.getRandomValues(new Uint8Array(4))]
  .map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;

// Returns this tab's session, which stays the same when the page is reloaded.
function ownSession() {
  const kept = sessionStorage.getItem("session") ?? newSession();
  sessionStorage.setItem("session", kept);
  return kept;
}

export class SendView {
  constructor(store) {
    this.store = store;
    this.session = null;
    this.microphone = null;
    this.redraw = perFrame(() => this.draw());
    this.file = el("input", { type: "file", accept: "audio/*,.wav,.flac,.mp3,.ogg,.opus,.aiff",
      onchange: () => this.#send(this.file.files[0]) });
    this.drop = el("div", { class: "card drop" }, el("h3", {}, "A recording"),
      el("label", {}, "Drop an audio file here (WAV, FLAC, MP3, Ogg), or choose one", el("br"), this.file));
    this.button = el("button", { class: "main", onclick: () => this.#speak() }, "Speak");
    this.level = el("meter", { min: 0, max: 1, value: 0, "aria-label": "level of the microphone" });
    this.status = el("p", { role: "status", class: "said-of" });
    this.title = el("h2", { hidden: true });
    this.box = el("div", { class: "turns" });
    const section = byId("send");
    section.className = "page";
    section.append(
      el("div", { class: "ways" }, this.drop,
        el("div", { class: "card speak" }, el("h3", {}, "Your microphone"), this.button, el("br"), this.level)),
      this.status, this.title, this.box);
    this.turns = new TurnList(this.box, { names: () => false });
    for (const name of ["dragenter", "dragover"]) this.drop.addEventListener(name, (event) => this.#mark(event, true));
    for (const name of ["dragleave", "drop"]) this.drop.addEventListener(name, (event) => this.#mark(event, false));
    this.drop.addEventListener("drop", (event) => this.#send(event.dataTransfer.files[0]));
  }

  show() {
    this.draw();
  }

  draw() {
    if (byId("send").hidden || !this.session) return;
    this.title.hidden = false;
    setText(this.title, `Session ${this.session}`);
    this.turns.show(this.store.turnsOf(this.session), "Transcripts and replies appear here.");
  }

  #mark(event, isOver) {
    event.preventDefault();
    this.drop.classList.toggle("over", isOver);
  }

  #watch(session) {
    this.session = session;
    this.turns.clear();
    this.draw();
  }

  async #send(file) {
    if (!file) return;
    this.file.value = "";
    setText(this.status, `Sending ${file.name}…`);
    try {
      const { session } = await post(`/api/recordings?name=${encodeURIComponent(file.name)}`, file);
      this.#watch(session);
      await this.#follow(session, file.name);
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      setText(this.status, `${file.name}: ${error.message}`);
    }
  }

  async #follow(session, name) {
    for (;;) {
      const { heard_s, duration_s, over, why } = await get(`/api/recordings/${session}`);
      if (session !== this.session) return; // the view shows another session by now
      if (over) {
        const count = this.store.sessions.get(session)?.count ?? 0;
        setText(this.status, why ? `${name}: ${why}` : count ? `${name} was sent: ${count} turns so far.`
          : `${name} was read to its end. If nothing appears, it contains no speech.`);
        return;
      }
      setText(this.status, `${name}: heard ${heard_s.toFixed(0)} of ${duration_s.toFixed(0)} s`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  #speak() {
    if (this.microphone) {
      this.microphone.stop();
      return;
    }
    this.microphone = new Microphone({
      onBegin: (session) => {
        sessionStorage.setItem("session", session);
        byId("mic-on").hidden = false; // visible from the other views too
        this.#watch(session);
        setText(this.status, "Listening. Speak, and pause for a second at the end of a sentence.");
      },
      onBlock: (peak) => {
        this.level.value = Math.sqrt(peak); // so that quiet speech can be seen too
      },
      onEnd: (why) => {
        this.microphone = null;
        byId("mic-on").hidden = true;
        this.level.value = 0;
        setText(this.button, "Speak");
        setText(this.status, why || "Stopped. What you said is still being sent.");
      },
    });
    setText(this.button, "Stop");
    this.microphone.start(ownSession());
  }
}
