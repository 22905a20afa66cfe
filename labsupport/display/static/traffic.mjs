// The picture of running traffic, with its button and sliders.

import { group, keepKeys, node, range, resize, slide, svgNode, svgPart, write } from "./dom.mjs";
import { storeOf, throttle } from "./store.mjs";
import { weightSliders } from "./weights.mjs";

// With four pictures a second from the kernel, a slider that is dragged leaves room for one message of its own.
const RATE_INTERVAL_MS = 1000;
// From the plot to what stands below it, in pixels, as in the static figure.
const BELOW = 8;

/** Requests per second in words, as Python writes them. */
export function rateWords(rate) {
  const number = rate >= 10 || Number.isInteger(rate) ? String(Math.round(rate)) : rate.toFixed(1);
  return `${number} request${number === "1" ? "" : "s"}/s`;
}

/** What the start and stop button says and does in a state of the traffic. */
export function buttonFor(state) {
  if (state === "running") return { text: "■ Stop traffic", act: "stop", disabled: false };
  if (state === "paused") return { text: "▶ Resume traffic", act: "resume", disabled: false };
  if (state === "ended") return { text: "▶ Start traffic", act: "", disabled: true };
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

function controls(root, model, held) {
  const button = node("button", root);
  button.type = "button";
  const label = node("label", root, "", "Rate");
  const slider = range(label, { min: 1, max: 200 });
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
    write(button, face.text);
    button.disabled = face.disabled;
    slider.disabled = state === "ended";
    if (max) slider.max = String(max);
    // While a hand is on the slider, what the kernel repeats is old.
    if (rate && Date.now() - touched > RATE_INTERVAL_MS + 500) {
      slide(slider, Math.round(rate));
      say(rate);
    }
  };
}

/** The traffic picture in one place of the page. */
export function renderTraffic({ model, el }) {
  const held = storeOf(model);
  const { store } = held;
  const size = model.get("size");
  const root = node("div", el, "ws ws-live");
  keepKeys(root);
  const head = node("div", root, "ws-head");
  const title = node("div", head, "ws-title", size.title);
  const subtitle = node("span", title, "d");
  const showControls = controls(node("div", head, "ws-controls"), model, held);
  const showWeights = weightSliders(root, model);
  const panel = node("div", root, "ws-panel");
  const plot = panel.appendChild(svgPart(size.plotLabel, size.plot, size.height));
  const places = new Map();
  places.set("frame", group(plot));
  // A nested <svg> clips what leaves the plot on the left, without an id that could clash with another picture's.
  const clip = plot.appendChild(svgNode("svg", { x: size.left, y: 0, width: size.span, height: size.height }));
  const bins = group(clip);
  places.set("marks", group(plot));
  places.set("scale", group(plot));
  // On the time axis of the plot, so in its image: both are made smaller by the same.
  const pods = group(plot);
  pods.setAttribute("transform", `translate(0 ${size.height + BELOW})`);
  places.set("pods", pods);
  const side = node("div", panel, "ws-side");
  const shares = side.appendChild(svgPart(size.sharesLabel, size.shares, size.height));
  places.set("shares", group(shares));
  const notes = side.appendChild(svgPart(size.notesLabel, size.shares, size.height));
  places.set("notes", group(notes));
  const users = panel.appendChild(svgPart(size.usersLabel, size.plot, 0));
  users.style.display = "none";
  places.set("users", group(users));
  let rows = 0;
  let high = 0;
  let deep = 0;
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
    write(note, text);
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
      // Beside the plot, rows and notes are as high as it is; below it, the notes take what they may need.
      resize(notes, size.shares, Math.max(size.height - rows, size.notes));
    }
    if ((store.state.users ?? 0) !== high) {
      high = store.state.users ?? 0;
      resize(users, size.plot, high);
      users.style.display = high ? "" : "none";
    }
    if ((store.state.pods ?? 0) !== deep) {
      deep = store.state.pods ?? 0;
      resize(plot, size.plot, size.height + (deep && deep + BELOW));
    }
    const words = ` · ${store.state.what ?? ""}`;
    write(subtitle, words);
    write(summary, store.summary);
    showControls();
    const { state, weights } = store.state;
    showWeights(state === "ended" && weights ? { ...weights, ready: false } : weights);
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
