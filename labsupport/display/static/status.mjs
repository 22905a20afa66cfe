// The overview of the mesh: sections of HTML, each replaced only when it changed.

import { node, write } from "./dom.mjs";
import { storeOf } from "./store.mjs";

const SECTIONS = ["pods", "rules", "addresses"];

/** The overview in one place of the page. */
export function renderStatus({ model, el }) {
  const held = storeOf(model);
  const { store } = held;
  const size = model.get("size");
  const root = node("div", el, "ws ws-live");
  const title = node("div", node("div", root, "ws-head"), "ws-title", size.title);
  const subtitle = node("span", title, "d");
  const panel = node("div", root, "ws-panel ws-overview");
  const row = node("div", panel, "ws-row ws-status");
  const places = new Map(SECTIONS.map((name) => [name, node("div", row)]));
  const notes = node("div", panel, "ws-gap");
  notes.setAttribute("role", "status");
  places.set("notes", notes);
  const note = node("div", root, "ws-note e");
  const update = ({ changed }) => {
    for (const name of changed) {
      const where = places.get(name);
      if (!where) continue;
      where.innerHTML = store.parts.get(name);
      where.hidden = !store.parts.get(name);
    }
    write(subtitle, ` · ${store.state.what ?? ""}`);
    write(note, store.state.error ?? "");
  };
  update({ changed: [...store.parts.keys()] });
  held.views.add(update);
  model.send({ do: "hello" });
  return () => {
    held.views.delete(update);
    root.remove();
  };
}
