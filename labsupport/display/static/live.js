// The live pictures: the kernel draws fragments of SVG, this file puts them in place and hands on what a person does.
// No dependency, no build step: JupyterLab, Notebook 7 and VS Code load the file as it is.

/** An empty picture: fragments by name, and what else the kernel said last. */
export function emptyStore() {
  return { seq: 0, parts: new Map(), first: 0, shift: 0, state: {}, summary: "", synced: false };
}

/**
 * Take a message of the kernel into the store.
 * @param {ReturnType<typeof emptyStore>} store what is known so far; changed in place.
 * @param {object} message a delta, or everything (`full`).
 * @returns {{changed: string[], dropped: string[], gap: boolean}} names to draw again, names to remove, and whether a
 *   message was missed, so that everything has to be asked for.
 */
export function merge(store, message) {
  if (message.full && message.seq < store.seq) return { changed: [], dropped: [], gap: false };
  const gap = !message.full && message.seq !== store.seq + 1;
  const dropped = [];
  const parts = message.parts ?? {};
  if (message.full) {
    for (const name of store.parts.keys()) if (!(name in parts)) dropped.push(name);
    store.synced = true;
  }
  store.first = message.first ?? store.first;
  for (const name of store.parts.keys()) if (isOld(name, store.first)) dropped.push(name);
  for (const name of dropped) store.parts.delete(name);
  const changed = [];
  for (const [name, markup] of Object.entries(parts)) {
    if (isOld(name, store.first) || store.parts.get(name) === markup) continue;
    store.parts.set(name, markup);
    changed.push(name);
  }
  store.shift = message.shift ?? store.shift;
  store.state = { ...store.state, ...(message.state ?? {}) };
  store.summary = message.summary ?? store.summary;
  store.seq = message.seq;
  return { changed, dropped, gap };
}

/** Number of the bin that a fragment draws, or -1 for any other fragment. */
export function binOf(name) {
  const found = /^b(-?\d+)$/.exec(name);
  return found ? Number(found[1]) : -1;
}

function isOld(name, first) {
  return /^b-?\d+$/.test(name) && binOf(name) < first;
}

/**
 * Let a function run at most once per interval; the last call always counts.
 * @param {(value: any) => void} run the function.
 * @param {number} interval milliseconds between two runs.
 * @param {{now: () => number, later: (f: () => void, ms: number) => unknown}} clock time, replaceable in tests.
 */
export function throttle(run, interval, clock = { now: () => Date.now(), later: (f, ms) => setTimeout(f, ms) }) {
  let last = -Infinity;
  let waiting = null;
  return (value) => {
    if (waiting) {
      waiting.value = value;
      return;
    }
    const wait = last + interval - clock.now();
    if (wait <= 0) {
      last = clock.now();
      run(value);
      return;
    }
    waiting = { value };
    clock.later(() => {
      const call = waiting;
      waiting = null;
      last = clock.now();
      run(call.value);
    }, wait);
  };
}

/** Requests per second in words, as Python writes them. */
export function rateWords(rate) {
  const number = rate >= 10 || Number.isInteger(rate) ? String(Math.round(rate)) : rate.toFixed(1);
  return `${number} request${number === "1" ? "" : "s"}/s`;
}

/** What the start and stop button says and does in a state of the traffic. */
export function buttonFor(state) {
  if (state === "running") return { text: "■ Stop traffic", act: "stop", disabled: false };
  if (state === "paused") return { text: "▶ Resume traffic", act: "resume", disabled: false };
  if (state === "stopping") return { text: "Stopping …", act: "", disabled: true };
  return { text: "▶ Start traffic", act: "start", disabled: false };
}

/** The line below the picture: errors first, then silence of the kernel, then the state. */
export function noteFor(state, silentMs) {
  if (state.error) return { text: state.error, error: true };
  if (silentMs > 3000 && (state.state === "running" || state.state === "stopping")) {
    return { text: `No news from the kernel for ${Math.floor(silentMs / 1000)} s.`, error: true };
  }
  return { text: state.note ?? "", error: false };
}

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

const SVG = "http://www.w3.org/2000/svg";
const OWN_KEYS = /^(Arrow|Page|Home$|End$|Enter$| $)/;
const RATE_INTERVAL_MS = 150;
const stores = new WeakMap();

function svgPart(name, width, height) {
  const svg = document.createElementNS(SVG, "svg");
  resize(svg, width, height);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", name);
  return svg;
}

function resize(svg, width, height) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
}

function group(parent) {
  return parent.appendChild(document.createElementNS(SVG, "g"));
}

function node(tag, parent, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return parent.appendChild(made);
}

/** The model's store, shared by all its views and fed from the moment the model exists. */
function storeOf(model) {
  let held = stores.get(model);
  if (held) return held;
  held = { store: emptyStore(), views: new Set(), heard: Date.now() };
  const take = (message) => {
    held.heard = Date.now();
    const result = merge(held.store, message);
    for (const view of held.views) view(result);
    // Fragments do not depend on each other, so that a picture with a gap is worth drawing until everything comes.
    if (result.gap && held.views.size) model.send({ do: "hello" });
  };
  held.take = take;
  take({ ...model.get("picture"), full: true });
  model.on("change:picture", () => take({ ...model.get("picture"), full: true }));
  model.on("msg:custom", (message) => message && message.kind === "picture" && take(message));
  stores.set(model, held);
  return held;
}

function controls(root, model, held) {
  const button = node("button", root);
  button.type = "button";
  const label = node("label", root, "", "Rate");
  const slider = node("input", label);
  Object.assign(slider, { type: "range", min: "1", max: "200", step: "1" });
  const shown = node("output", label);
  let touched = 0;
  const send = throttle((rate) => model.send({ do: "rate", rate }), RATE_INTERVAL_MS);
  const say = (rate) => {
    shown.textContent = rateWords(rate);
    slider.setAttribute("aria-valuetext", rateWords(rate));
  };
  button.addEventListener("click", () => {
    const { act } = buttonFor(held.store.state.state);
    if (!act) return;
    button.disabled = true;
    model.send({ do: act });
  });
  slider.addEventListener("input", () => {
    touched = Date.now();
    say(Number(slider.value));
    send(Number(slider.value));
  });
  return () => {
    const { state, rate, max } = held.store.state;
    const face = buttonFor(state);
    if (button.textContent !== face.text) button.textContent = face.text;
    button.disabled = face.disabled;
    if (max) slider.max = String(max);
    // While a hand is on the slider, what the kernel repeats is old.
    if (rate && Date.now() - touched > 1000) {
      slider.value = String(Math.round(rate));
      say(rate);
    }
  };
}

function renderTraffic({ model, el }) {
  const held = storeOf(model);
  const { store } = held;
  const size = model.get("size");
  const root = node("div", el, "ws ws-live");
  // JupyterLab's command mode would take these keys away from the slider and the button (ArrowRight folds headings).
  root.addEventListener("keydown", (event) => OWN_KEYS.test(event.key) && event.stopPropagation());
  const head = node("div", root, "ws-head");
  const title = node("div", head, "ws-title", size.title);
  const subtitle = node("span", title, "d");
  const showControls = controls(node("div", head, "ws-controls"), model, held);
  const panel = node("div", root, "ws-panel");
  const plot = panel.appendChild(svgPart(size.plotLabel, size.plot, size.height));
  const places = new Map();
  places.set("frame", group(plot));
  // A nested <svg> clips what leaves the plot on the left, without an id that could clash with another picture's.
  const clip = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ x: size.left, y: 0, width: size.span, height: size.height })) {
    clip.setAttribute(name, value);
  }
  plot.appendChild(clip);
  const bins = group(clip);
  places.set("marks", group(plot));
  places.set("scale", group(plot));
  const side = node("div", panel, "ws-side");
  const shares = side.appendChild(svgPart(size.sharesLabel, size.shares, size.height));
  places.set("shares", group(shares));
  const notes = side.appendChild(svgPart(size.notesLabel, size.shares, size.height));
  places.set("notes", group(notes));
  let rows = 0;
  const note = node("div", root, "ws-note");
  const summary = node("div", root, "ws-hide");
  summary.setAttribute("aria-live", "polite");
  const drawn = new Map();

  const place = (name) => {
    if (places.has(name)) return places.get(name);
    if (!/^b-?\d+$/.test(name)) return null;
    if (!drawn.has(name)) drawn.set(name, group(bins));
    return drawn.get(name);
  };
  const showNote = () => {
    const { text, error } = noteFor(store.state, Date.now() - held.heard);
    if (note.textContent !== text) note.textContent = text;
    note.classList.toggle("e", error);
  };
  const update = ({ changed, dropped }) => {
    for (const name of dropped) {
      drawn.get(name)?.remove();
      drawn.delete(name);
    }
    for (const name of changed) {
      const where = place(name);
      if (where) where.innerHTML = store.parts.get(name);
    }
    bins.setAttribute("transform", `translate(${store.shift - size.left} 0)`);
    if (store.state.rows && store.state.rows !== rows) {
      rows = store.state.rows;
      resize(shares, size.shares, rows);
      resize(notes, size.shares, size.height - rows);
    }
    const words = ` — ${store.state.what ?? ""}`;
    if (subtitle.textContent !== words) subtitle.textContent = words;
    if (summary.textContent !== store.summary) summary.textContent = store.summary;
    showControls();
    showNote();
  };
  update({ changed: [...store.parts.keys()], dropped: [] });
  held.views.add(update);
  const watch = setInterval(showNote, 1000);
  model.send({ do: "hello" });
  return () => {
    clearInterval(watch);
    held.views.delete(update);
    root.remove();
  };
}

/** The service graph: parts in the order of painting, calls can be selected by click, Enter or space. */
function renderGraph({ model, el }) {
  const held = storeOf(model);
  const { store } = held;
  const size = model.get("size");
  const root = node("div", el, "ws ws-live");
  root.addEventListener("keydown", (event) => OWN_KEYS.test(event.key) && event.stopPropagation());
  const title = node("div", node("div", root, "ws-head"), "ws-title", size.title);
  const subtitle = node("span", title, "d");
  const svg = node("div", root, "ws-panel ws-graph").appendChild(svgPart(size.plotLabel, 300, 60));
  // A picture with parts to select is a group of things, not one image.
  svg.setAttribute("role", "group");
  const note = node("div", root, "ws-note");
  note.setAttribute("role", "status");
  const summary = node("div", root, "ws-hide");
  const drawn = new Map();
  let chosen = "";
  const choose = (name) => {
    chosen = chosen === name ? "" : name;
    update({ changed: [], dropped: [] });
  };
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
    }
    return made;
  };
  const update = ({ changed, dropped }) => {
    const { order = [], details = {}, width, height, what } = store.state;
    for (const name of dropped) forget(drawn, name);
    for (const name of changed) place(name).innerHTML = store.parts.get(name);
    const shown = arrange([...drawn.keys()], order);
    for (const name of shown.gone) {
      forget(drawn, name);
      store.parts.delete(name);
    }
    if (shown.moved) for (const name of order) if (drawn.has(name)) svg.appendChild(drawn.get(name));
    if (width) resize(svg, width, height);
    for (const [name, made] of drawn) {
      if (!name.startsWith("edge:")) continue;
      made.classList.toggle("ws-chosen", name === chosen);
      made.setAttribute("aria-pressed", String(name === chosen));
      made.setAttribute("aria-label", details[name] ?? "");
    }
    if (!details[chosen]) chosen = "";
    const words = ` — ${what ?? ""}`;
    if (subtitle.textContent !== words) subtitle.textContent = words;
    const text = store.state.error || details[chosen] || "Select a call to see its numbers.";
    if (note.textContent !== text) note.textContent = text;
    note.classList.toggle("e", Boolean(store.state.error));
    if (summary.textContent !== store.summary) summary.textContent = store.summary;
  };
  update({ changed: [...store.parts.keys()], dropped: [] });
  held.views.add(update);
  model.send({ do: "hello" });
  return () => {
    held.views.delete(update);
    root.remove();
  };
}

function forget(drawn, name) {
  drawn.get(name)?.remove();
  drawn.delete(name);
}

function render(context) {
  return context.model.get("size").kind === "graph" ? renderGraph(context) : renderTraffic(context);
}

export default {
  initialize({ model }) {
    storeOf(model);
  },
  render,
};
