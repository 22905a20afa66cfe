// Elements of the page.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Keys that our controls use, and all letters; JupyterLab's command mode would take them away (ArrowRight folds
 * headings, "m" makes text of a cell, "dd" deletes it).
 */
const OWN_KEYS = /^(Arrow|Page|Home$|End$|Enter$|Escape$|Backspace$|Delete$|.$)/;

/**
 * Keep the keys of our controls from the notebook around them.
 * JupyterLab looks for shortcuts when a key has come up to the page, Notebook 7 before it comes down to us; there, only
 * an attribute of Lumino's stops it, on the control itself, and not for other keys such as those that save.
 */
export function keepKeys(root) {
  // Shift is part of a letter, and with any other key of a command, such as the one that runs the cell.
  const ours = ({ key, ctrlKey, metaKey, altKey, shiftKey }) =>
    OWN_KEYS.test(key) && !ctrlKey && !metaKey && !altKey && (!shiftKey || key.length === 1);
  const mark = (event) => {
    if (!root.isConnected) window.removeEventListener("keydown", mark, true);
    else if (root.contains(event.target)) event.target.toggleAttribute("data-lm-suppress-shortcuts", ours(event));
  };
  window.addEventListener("keydown", mark, true);
  root.addEventListener("keydown", (event) => {
    if (ours(event)) event.stopPropagation();
  });
}

/** An SVG element. */
export function svgNode(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** An SVG image with a text alternative. */
export function svgPart(name, width, height) {
  const svg = svgNode("svg", { role: "img", "aria-label": name });
  resize(svg, width, height);
  return svg;
}

/** Give an SVG image its own size; it is made smaller by its place, never larger. */
export function resize(svg, width, height) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
}

/** A new group below an SVG element. */
export function group(parent) {
  return parent.appendChild(svgNode("g"));
}

/** A new HTML element below another one. */
export function node(tag, parent, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return parent.appendChild(made);
}

/** Write a text only where it differs: the page has nothing to do for what stays. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A slider, whose rail is coloured up to its handle. */
export function range(parent, { min, max, name }) {
  const slider = node("input", parent);
  Object.assign(slider, { type: "range", min: String(min), max: String(max), step: "1" });
  if (name) slider.setAttribute("aria-label", name);
  slider.addEventListener("input", () => fill(slider));
  return slider;
}

/** Put a slider where it belongs. */
export function slide(slider, value) {
  if (Number(slider.value) !== value) slider.value = String(value);
  fill(slider);
}

function fill(slider) {
  const { min, max, value } = slider;
  slider.style.setProperty("--ws-at", String((value - min) / (max - min)));
}
