// The arithmetic of the weight sliders.
import assert from "node:assert/strict";
import test from "node:test";
import { rebalance, weightWords } from "../../../labsupport/display/static/weights.mjs";

const sum = (weights) => weights.reduce((total, weight) => total + weight, 0);

test("of two weights, one takes what the other gives", () => {
  assert.deepEqual(rebalance([90, 10], 0, 30), [30, 70]);
  assert.deepEqual(rebalance([90, 10], 1, 100), [0, 100]);
});

test("of several, the others keep their proportions", () => {
  assert.deepEqual(rebalance([10, 10, 80], 2, 60), [20, 20, 60]);
  assert.deepEqual(rebalance([60, 20, 20], 0, 20), [20, 40, 40]);
});

test("others that have nothing share evenly what becomes free", () => {
  assert.deepEqual(rebalance([100, 0, 0], 0, 50), [50, 25, 25]);
  assert.deepEqual(rebalance([100, 0], 0, 70), [70, 30]);
});

test("whatever is moved, weights are whole, from 0 to 100, and add up to 100", () => {
  for (const weights of [[100, 0], [0, 100], [33, 33, 34], [1, 1, 98], [0, 0, 0, 100], [7, 11, 13, 69], [100]]) {
    for (let index = 0; index < weights.length; index += 1) {
      for (const value of [-5, 0, 1, 33.4, 50, 99, 100, 140]) {
        const made = rebalance(weights, index, value);
        assert.equal(made.length, weights.length);
        assert.ok(made.every((weight) => Number.isInteger(weight) && weight >= 0 && weight <= 100), String(made));
        if (weights.length > 1) assert.equal(sum(made), 100, `${weights} ${index} ${value}: ${made}`);
        assert.equal(made[index], Math.min(100, Math.max(0, Math.round(value))));
      }
    }
  }
});

test("passing 100 and coming back forgets nothing, because a drag starts from the same weights", () => {
  const base = [20, 30, 50];
  assert.deepEqual(rebalance(base, 2, 100), [0, 0, 100]);
  assert.deepEqual(rebalance(base, 2, 50), base);
});

test("weights are words", () => {
  assert.equal(weightWords([{ name: "safe" }, { name: "risk" }], [90, 10]), "safe 90, risk 10");
});
