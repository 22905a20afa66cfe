// Pure parts of the live pictures, run by node's own test runner: node --test tests/browser/js
import assert from "node:assert/strict";
import test from "node:test";
import { arrange } from "../../../labsupport/display/static/graph.mjs";
import { binOf, emptyStore, merge, throttle } from "../../../labsupport/display/static/store.mjs";
import { buttonFor, noteFor, rateWords } from "../../../labsupport/display/static/traffic.mjs";

const full = (seq, parts, more = {}) => ({ full: true, seq, parts, ...more });

test("a full message becomes the whole picture, and what it does not mention goes", () => {
  const store = emptyStore();
  merge(store, full(1, { b1: "<a/>", frame: "<f/>" }));
  const result = merge(store, full(2, { b2: "<b/>", frame: "<f/>" }));
  assert.deepEqual(result, { changed: ["b2"], dropped: ["b1"], gap: false });
  assert.deepEqual([...store.parts.keys()].sort(), ["b2", "frame"]);
});

test("a delta draws only what it brings", () => {
  const store = emptyStore();
  merge(store, full(4, { b1: "one", b2: "two" }, { state: { rate: 10, state: "running" } }));
  const result = merge(store, { seq: 5, parts: { b2: "two", b3: "three" }, state: { rate: 20 } });
  assert.deepEqual(result, { changed: ["b3"], dropped: [], gap: false });
  assert.deepEqual(store.state, { rate: 20, state: "running" });
});

test("bins left of the picture are dropped, other fragments stay", () => {
  const store = emptyStore();
  merge(store, full(1, { b1: "1", b2: "2", b10: "10", marks: "m" }));
  const result = merge(store, { seq: 2, parts: {}, first: 3 });
  assert.deepEqual(result.dropped, ["b1", "b2"]);
  assert.deepEqual([...store.parts.keys()], ["b10", "marks"]);
});

test("a bin that is too old to be seen is not taken in again", () => {
  const store = emptyStore();
  merge(store, full(1, {}, { first: 5 }));
  assert.deepEqual(merge(store, { seq: 2, parts: { b4: "late", b5: "in time" } }).changed, ["b5"]);
});

test("a missed message is noticed, and what came is drawn all the same", () => {
  const store = emptyStore();
  merge(store, full(1, {}));
  const result = merge(store, { seq: 3, parts: { b1: "x" } });
  assert.equal(result.gap, true);
  assert.deepEqual(result.changed, ["b1"]);
  assert.equal(merge(store, { seq: 4, parts: {} }).gap, false);
});

test("a full message that is older than what is drawn changes nothing", () => {
  const store = emptyStore();
  merge(store, full(7, { b1: "new" }));
  assert.deepEqual(merge(store, full(3, { b1: "old" })), { changed: [], dropped: [], gap: false });
  assert.equal(store.parts.get("b1"), "new");
});

test("only bins have a number", () => {
  assert.deepEqual(["b12", "b0", "marks", "bins", "b"].map(binOf), [12, 0, -1, -1, -1]);
});

test("a dragged slider sends at most once per interval, and its last value always", () => {
  let now = 0;
  const due = [];
  const sent = [];
  const send = throttle((value) => sent.push([now, value]), 100, {
    now: () => now,
    later: (f, ms) => due.push([now + ms, f]),
  });
  for (const value of [1, 2, 3, 4]) {
    send(value);
    now += 10;
  }
  const [when, run] = due.shift();
  assert.equal(due.length, 0);
  now = when;
  run();
  assert.deepEqual(sent, [
    [0, 1],
    [100, 4],
  ]);
  now = 500;
  send(5);
  assert.deepEqual(sent.at(-1), [500, 5]);
});

test("rates are words", () => {
  assert.deepEqual([1, 0.5, 36, 36.4, 100].map(rateWords), [
    "1 request/s",
    "0.5 requests/s",
    "36 requests/s",
    "36 requests/s",
    "100 requests/s",
  ]);
});

test("the button offers what makes sense in a state", () => {
  assert.equal(buttonFor("running").act, "stop");
  assert.equal(buttonFor("paused").act, "resume");
  assert.equal(buttonFor("stopping").disabled, true);
  assert.deepEqual(buttonFor("ended"), { text: "▶ Start traffic", act: "", disabled: true });
  for (const state of ["ready", "stopped", "failed", undefined]) assert.equal(buttonFor(state).act, "start");
});

test("an error comes before everything else, silence counts only while traffic runs", () => {
  assert.deepEqual(noteFor({ error: "gone", state: "running" }, 9000), { text: "gone", error: true });
  assert.match(noteFor({ state: "running" }, 4200).text, /kernel for 4 s/);
  assert.deepEqual(noteFor({ state: "running" }, 1000), { text: "", error: false });
  assert.deepEqual(noteFor({ state: "stopped" }, 60000), { text: "", error: false });
});

test("parts are painted in the kernel's order, and those it left out go", () => {
  assert.deepEqual(arrange(["a", "b"], ["a", "b", "c"]), { gone: [], moved: false });
  assert.deepEqual(arrange(["a", "b", "c"], ["c", "a"]), { gone: ["b"], moved: true });
  assert.deepEqual(arrange(["a", "b", "c"], ["a", "c"]), { gone: ["b"], moved: false });
});
