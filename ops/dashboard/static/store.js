// Sessions and turns, made of events. An event may come twice: then adding it changes nothing.
// Events of different streams may come in any order.

const LISTENING_MS = 120_000; // for this long after its last event a session counts as listening
const KEPT = 20; // turns that are kept of a session that is not shown
const KEPT_WATCHED = 400;
const RECENT = 60;

const keyOf = (event) => `${event.session} ${event.epoch} ${event.turn}`;
const inOrder = (a, b) => a.epoch - b.epoch || a.turn - b.turn;
const ENDINGS = new Set(["reply", "skipped", "error"]);

export class Store {
  constructor(changed) {
    this.sessions = new Map();
    this.recent = []; // the newest turns of all sessions, oldest first
    this.watched = null;
    this.clock = 0; // the server's clock minus the browser's (ms)
    this.changed = changed;
  }

  now() {
    return Date.now() + this.clock;
  }

  overview({ now, sessions, events }) {
    this.clock = now - Date.now();
    for (const event of events) this.add(event, { live: false });
    for (const [name, count] of Object.entries(sessions)) this.session(name).count = count;
    for (const name of this.sessions.keys()) if (!(name in sessions)) this.sessions.delete(name);
    this.recent = [...this.sessions.values()]
      .flatMap((session) => [...session.turns.values()])
      .sort((a, b) => a.at - b.at)
      .slice(-RECENT);
    this.changed();
  }

  session(name) {
    let session = this.sessions.get(name);
    if (!session) {
      session = { name, at: 0, count: 0, turns: new Map(), open: new Set(), errors: 0, last: null };
      this.sessions.set(name, session);
    }
    return session;
  }

  add(event, { live = true } = {}) {
    const session = this.session(event.session);
    const key = keyOf(event);
    let turn = session.turns.get(key);
    if (!turn) {
      // a delta without its turn: the reply ended long ago, or the turn is no longer kept
      if (event.type === "reply.delta") return;
      turn = { key, session: event.session, epoch: event.epoch, turn: event.turn, id: event.id,
        at: event.at, heard: null, transcript: null, replySoFar: null, ending: null };
      session.turns.set(key, turn);
      if (live) this.#begin(session, turn);
      if (!session.last || inOrder(turn, session.last) > 0) session.last = turn;
    }
    this.#apply(session, turn, event);
    session.at = Math.max(session.at, event.at);
    this.changed();
  }

  #begin(session, turn) {
    session.count += 1;
    this.recent.push(turn);
    if (this.recent.length > 2 * RECENT) this.recent = this.recent.slice(-RECENT);
    const kept = session.name === this.watched ? KEPT_WATCHED : KEPT;
    if (session.turns.size > 2 * kept) {
      const ended = [...session.turns.values()].filter((one) => one.ending).sort(inOrder);
      for (const old of ended.slice(0, session.turns.size - kept)) session.turns.delete(old.key);
    }
  }

  #apply(session, turn, { type, data, at }) {
    if (type === "heard") turn.heard = data;
    else if (type === "transcript") turn.transcript = data;
    else if (type === "reply.delta") grow(turn, data);
    if (ENDINGS.has(type)) {
      if (type === "error" && !turn.ending) session.errors += 1;
      turn.ending = { type, at, ...data };
      turn.replySoFar = null;
    }
    if (turn.ending) session.open.delete(turn);
    else session.open.add(turn);
  }

  stateOf(session) {
    let state = null;
    for (const turn of session.open) {
      // a session that began again never ends its earlier turns
      if (turn.epoch < session.last.epoch) continue;
      if (turn.transcript || turn.replySoFar) return "answering";
      state = "transcribing";
    }
    return state ?? (this.now() - session.at < LISTENING_MS ? "listening" : "quiet");
  }

  turnsOf(name) {
    return [...(this.sessions.get(name)?.turns.values() ?? [])].sort(inOrder);
  }
}

function grow(turn, { attempt, index, text }) {
  if (turn.ending) return;
  const replySoFar = turn.replySoFar;
  if (!replySoFar || attempt > replySoFar.attempt) turn.replySoFar = { attempt, index, text };
  else if (attempt === replySoFar.attempt && index > replySoFar.index) {
    turn.replySoFar = { attempt, index, text: replySoFar.text + text };
  }
}
