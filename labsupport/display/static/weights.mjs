// The sliders for the weights of a rule.

import { node, range, slide, write } from "./dom.mjs";
import { throttle } from "./store.mjs";

const INTERVAL_MS = 1000;
const REST_MS = 1500;

/**
 * New weights when one is moved: the others keep their proportions, all are whole, and they add up to 100.
 * @param {number[]} weights weights before the hand was put on, adding up to 100.
 * @param {number} index which one is moved.
 * @param {number} value its new value.
 */
export function rebalance(weights, index, value) {
  const moved = Math.min(100, Math.max(0, Math.round(value)));
  const rest = 100 - moved;
  const others = weights.map((weight, i) => (i === index ? 0 : weight));
  const sum = others.reduce((total, weight) => total + weight, 0);
  // If all the others have nothing, they share evenly what becomes free.
  const parts = sum ? others : others.map((none, i) => (i === index ? none : 1));
  const whole = parts.reduce((total, weight) => total + weight, 0);
  const exact = parts.map((weight) => (weight * rest) / whole);
  const made = exact.map(Math.floor);
  const order = exact
    .map((weight, i) => [weight - made[i], i])
    .filter(([, i]) => i !== index)
    .sort((one, other) => other[0] - one[0] || one[1] - other[1]);
  let left = rest - made.reduce((total, weight) => total + weight, 0);
  for (const [, i] of order) {
    if (left <= 0) break;
    made[i] += 1;
    left -= 1;
  }
  made[index] = moved;
  return made;
}

/** Weights in words: `safe 90, risk 10`. */
export function weightWords(parts, weights) {
  return parts.map((part, i) => `${part.name} ${weights[i]}`).join(", ");
}

function label(parent, part) {
  const name = node("span", parent, "ws-part");
  name.insertAdjacentHTML("beforeend", part.mark);
  node("span", name, "", part.name);
  return node("output", name);
}

/**
 * A row of sliders: one between two versions, else one for each.
 * @returns {(state: object) => void} shows what the kernel says.
 */
export function weightSliders(root, model) {
  const row = node("div", root, "ws-weights");
  row.hidden = true;
  const send = throttle((weights) => model.send({ do: "weights", weights }), INTERVAL_MS);
  let made = "";
  let parts = [];
  let weights = [];
  let base = [];
  let touched = -Infinity;
  let last = -1;
  let sliders = [];
  let shown = [];
  let said = null;

  const say = () => {
    for (const [i, output] of shown.entries()) write(output, String(weights[i]));
    const words = weightWords(parts, weights);
    for (const { slider, index } of sliders) {
      slide(slider, weights[index]);
      slider.setAttribute("aria-valuetext", words);
    }
  };
  const turn = (index, value) => {
    // All of one drag starts from the same weights, so that passing 100 does not forget how the others stood.
    if (Date.now() - touched > REST_MS || index !== last) base = weights;
    last = index;
    touched = Date.now();
    weights = rebalance(base, index, value);
    say();
    send(weights);
  };
  const build = (rule) => {
    row.replaceChildren();
    row.classList.toggle("ws-several", parts.length > 2);
    node("span", row, "d", `weights of ${rule}`);
    sliders = [];
    shown = [];
    const add = (parent, index) => {
      const slider = range(parent, { min: 0, max: 100, name: `weight of ${parts[index].name} in ${rule}` });
      // Between two versions, each has its colour on its side of the handle.
      slider.style.setProperty("--ws-low", `var(--ws-c${parts[index].key})`);
      if (parts.length === 2) slider.style.setProperty("--ws-high", `var(--ws-c${parts[1 - index].key})`);
      slider.addEventListener("input", () => turn(index, Number(slider.value)));
      slider.addEventListener("pointerdown", () => {
        touched = -Infinity;
      });
      sliders.push({ slider, index });
    };
    if (parts.length === 2) {
      const pair = node("span", row, "ws-pair");
      shown.push(label(pair, parts[0]));
      add(pair, 0);
      shown.push(label(pair, parts[1]));
    } else {
      parts.forEach((part, index) => {
        const pair = node("span", row, "ws-pair");
        shown.push(label(pair, part));
        add(pair, index);
      });
    }
    said = node("span", row, "d ws-busy");
  };
  return (state) => {
    row.hidden = !state;
    if (!state) return;
    const key = JSON.stringify([state.rule, state.parts]);
    if (key !== made) {
      made = key;
      parts = state.parts;
      touched = -Infinity;
      build(state.rule);
    }
    for (const { slider } of sliders) slider.disabled = !state.ready;
    write(said, state.busy ? "applying …" : "");
    // While a hand is on a slider, what the kernel repeats is old.
    if (Date.now() - touched < REST_MS) return;
    weights = state.weights;
    say();
  };
}
