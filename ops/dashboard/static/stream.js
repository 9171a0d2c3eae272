// The events of the server: first those of the past, then new ones. It goes on after interruptions.

import { get } from "./api.js";

const SILENCE_MS = 15_000; // after three missing pings the connection is dead
const PAUSE_MS = 2_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Fills the store for ever. Calls report(state of the connection, what is wrong).
export async function follow(store, report) {
  for (;;) {
    try {
      const overview = await get("/api/overview");
      store.overview(overview);
      await listen(store, overview.place, report);
      report("connecting", "");
    } catch (error) {
      report("waiting", error.message);
    }
    await pause(PAUSE_MS);
  }
}

// Resolves when a new EventSource is needed. After most interruptions the browser reconnects by
// itself, and sends the id of the last event (Last-Event-ID), so that none is missed.
function listen(store, place, report) {
  return new Promise((resolve) => {
    const source = new EventSource(`/events?after=${place}`);
    let alive = performance.now();
    const noteAlive = () => {
      alive = performance.now();
    };
    source.onmessage = (message) => {
      noteAlive();
      store.add(JSON.parse(message.data));
    };
    source.addEventListener("ping", () => {
      noteAlive();
      report("live", "");
    });
    source.onerror = () => {
      report("waiting", "the dashboard's server cannot be reached; trying again");
      noteAlive();
      if (source.readyState === EventSource.CLOSED) end();
    };
    const watch = setInterval(() => {
      if (performance.now() - alive > SILENCE_MS) end();
    }, PAUSE_MS);
    function end() {
      clearInterval(watch);
      source.close();
      resolve();
    }
  });
}
