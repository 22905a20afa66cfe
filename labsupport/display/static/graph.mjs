// The service graph.

import { group, keepKeys, node, resize, svgPart, write } from "./dom.mjs";
import { storeOf } from "./store.mjs";

/**
 * What has to move for parts to be painted in an order.
 * @param {string[]} drawn names as they are painted now.
 * @param {string[]} order names as they should be.
 * @returns {{gone: string[], moved: boolean}} names that are not wanted any more, and whether the order differs.
 */
export function arrange(drawn, order) {
  const wanted = new Set(order);
  const kept = drawn.filter((name) => wanted.has(name));
  const target = order.filter((name) => kept.includes(name));
  return { gone: drawn.filter((name) => !wanted.has(name)), moved: kept.some((name, i) => name !== target[i]) };
}

/** The place for which a picture is drawn: side by side, or below each other where that would make letters small. */
export function layoutFor(width) {
  return width && width < 760 ? "n" : "w";
}

/** The service graph: parts in the order of painting, calls can be selected by click, Enter or space. */
export function renderGraph({ model, el }) {
  const held = storeOf(model);
  const { store } = held;
  const size = model.get("size");
  const root = node("div", el, "ws ws-live");
  keepKeys(root);
  const title = node("div", node("div", root, "ws-head"), "ws-title", size.title);
  const subtitle = node("span", title, "d");
  const svg = node("div", root, "ws-panel ws-graph").appendChild(svgPart(size.plotLabel, 300, 60));
  // A picture with parts to select is a group of things, not one image.
  svg.setAttribute("role", "group");
  const note = node("div", root, "ws-note");
  note.setAttribute("role", "status");
  const summary = node("div", root, "ws-hide");
  note.classList.add("ws-numbers");
  const drawn = new Map();
  let layout = "w";
  let chosen = "";
  const choose = (name) => {
    chosen = chosen === name ? "" : name;
    update({ changed: [], dropped: [] });
  };
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !chosen) return;
    event.stopPropagation();
    choose(chosen);
  });
  const place = (name) => {
    if (drawn.has(name)) return drawn.get(name);
    const made = group(svg);
    drawn.set(name, made);
    if (name.startsWith("edge:")) {
      made.setAttribute("role", "button");
      made.setAttribute("tabindex", "0");
      made.addEventListener("click", () => choose(name));
      made.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose(name);
      });
    } else if (name.startsWith("label:")) {
      // The words of a call belong to it; by key, the call itself is reached.
      made.classList.add("ws-words");
      made.addEventListener("click", () => choose(name.replace("label:", "edge:")));
    }
    return made;
  };
  const update = ({ changed, dropped }) => {
    const { order = [], details = {}, sizes = {}, what } = store.state;
    const own = (names) => names.filter((name) => name.startsWith(`${layout}/`)).map((name) => name.slice(2));
    for (const name of own(dropped)) forget(drawn, name);
    for (const name of own(changed)) place(name).innerHTML = store.parts.get(`${layout}/${name}`);
    const shown = arrange([...drawn.keys()], order);
    for (const name of shown.gone) forget(drawn, name);
    for (const name of store.parts.keys()) if (!order.includes(name.slice(2))) store.parts.delete(name);
    if (shown.moved) for (const name of order) if (drawn.has(name)) svg.appendChild(drawn.get(name));
    if (sizes[layout]) resize(svg, ...sizes[layout]);
    for (const [name, made] of drawn) {
      if (!name.startsWith("edge:")) continue;
      made.classList.toggle("ws-chosen", name === chosen);
      made.setAttribute("aria-pressed", String(name === chosen));
      made.setAttribute("aria-label", details[name] ?? "");
    }
    if (!details[chosen]) chosen = "";
    const words = ` · ${what ?? ""}`;
    write(subtitle, words);
    const text = store.state.error || details[chosen] || "Select a call to see its numbers.";
    write(note, text);
    note.classList.toggle("e", Boolean(store.state.error));
    write(summary, store.summary);
  };
  const redraw = () => update({ changed: [...store.parts.keys()], dropped: [] });
  const fit = new ResizeObserver(([entry]) => {
    const wanted = layoutFor(entry.contentRect.width);
    if (wanted === layout) return;
    layout = wanted;
    redraw();
  });
  fit.observe(root);
  redraw();
  held.views.add(update);
  model.send({ do: "hello" });
  return () => {
    fit.disconnect();
    held.views.delete(update);
    root.remove();
  };
}

function forget(drawn, name) {
  drawn.get(name)?.remove();
  drawn.delete(name);
}
