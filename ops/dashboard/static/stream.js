// The events of the server: first what there was, then what happens, over every interruption.

import { get } from "./api.js";

const SILENCE_MS = 15_000; // three pings: the connection is dead, whatever the browser thinks
const PAUSE_MS = 2_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function follow(store, tell) {
  for (;;) {
    try {
      const overview = await get("/api/overview");
      store.overview(overview);
      await listen(store, overview.place, tell);
      tell("connecting", "");
    } catch (error) {
      tell("waiting", error.message);
    }
    await pause(PAUSE_MS);
  }
}

// Resolves when the connection has to be begun anew; the browser mends most by itself, and says
// where it was (Last-Event-ID), so that nothing is missed.
function listen(store, place, tell) {
  return new Promise((resolve) => {
    const source = new EventSource(`/events?after=${place}`);
    let alive = performance.now();
    const heard = () => {
      alive = performance.now();
    };
    source.onmessage = (message) => {
      heard();
      store.add(JSON.parse(message.data));
    };
    source.addEventListener("ping", () => {
      heard();
      tell("live", "");
    });
    source.onerror = () => {
      tell("waiting", "the dashboard's server cannot be reached; trying again");
      heard();
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
