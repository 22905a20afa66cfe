// What the kernel has said so far: named fragments of SVG, numbers for the controls. Shared by all views of a picture.

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
  const match = /^b(-?\d+)$/.exec(name);
  return match ? Number(match[1]) : -1;
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

const ENDED = "This picture stands still: its kernel was restarted or has ended. Run the cell again for a new one.";

const stores = new WeakMap();

/** The model's store, shared by all its views and fed from the moment the model exists. */
export function storeOf(model) {
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
  held.end = () => take({ seq: held.store.seq + 1, state: { state: "ended", error: ENDED } });
  take({ ...model.get("picture"), full: true });
  model.on("change:picture", () => take({ ...model.get("picture"), full: true }));
  model.on("msg:custom", (message) => message && message.kind === "picture" && take(message));
  stores.set(model, held);
  return held;
}
