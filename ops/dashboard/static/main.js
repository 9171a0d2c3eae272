// The page: its views, the state of the connection, and what is wrong.

import { ConversationsView } from "./conversations.js";
import { byId, setText } from "./dom.js";
import { LettersView } from "./letters.js";
import { PipelineView } from "./pipeline.js";
import { SendView } from "./send.js";
import { Store } from "./store.js";
import { follow } from "./stream.js";

const trouble = byId("trouble");
const link = byId("link");

function showTrouble(message) {
  setText(trouble, message);
  trouble.hidden = !message;
}

const store = new Store(() => {
  views.conversations.redraw();
  views.send.redraw();
});
const views = {
  conversations: new ConversationsView(store, showTrouble),
  pipeline: new PipelineView(),
  dead: new LettersView(),
  send: new SendView(store),
};

function route() {
  const [head, name, ...rest] = location.hash.split("/");
  if (head === "#main" || (name && !(name in views))) return; // the address names no view
  const chosen = name || "conversations";
  for (const view of Object.keys(views)) byId(view).hidden = view !== chosen;
  for (const anchor of document.querySelectorAll(".top nav a")) {
    if (anchor.hash.split("/")[1] === chosen) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  for (const view of Object.keys(views)) if (view !== chosen) views[view].hide?.();
  views[chosen].show(rest.length ? decodeURIComponent(rest.join("/")) : null);
}

addEventListener("hashchange", route);
route();

follow(store, (state, why) => {
  link.dataset.state = state;
  setText(link, state);
  showTrouble(why);
});
