// The parts of the service graph's JavaScript that need no browser.

import assert from "node:assert/strict";
import test from "node:test";

import { layoutFor } from "../../../labsupport/display/static/graph.mjs";

test("calls lead to the right where there is room, else down, so that letters keep their size", () => {
  assert.equal(layoutFor(1000), "w");
  assert.equal(layoutFor(760), "w");
  assert.equal(layoutFor(759), "n");
});

test("a place whose width is not known yet is taken for a wide one", () => {
  assert.equal(layoutFor(0), "w");
  assert.equal(layoutFor(undefined), "w");
});
