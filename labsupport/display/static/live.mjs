// The live pictures: the kernel draws fragments, this program puts them in place and hands on what a person does.
// No dependency and no build step: Python joins these modules to the one that JupyterLab, Notebook 7 and VS Code load.

import { renderGraph } from "./graph.mjs";
import { renderStatus } from "./status.mjs";
import { storeOf } from "./store.mjs";
import { renderTraffic } from "./traffic.mjs";

const RENDER = { graph: renderGraph, status: renderStatus, traffic: renderTraffic };

export default {
  initialize({ model }) {
    storeOf(model);
  },
  render(context) {
    const { model } = context;
    const remove = RENDER[model.get("size").kind ?? "traffic"](context);
    // Said when the kernel is gone, and when it is there again: an answer to the greeting tells which.
    const follow = () => {
      storeOf(model).end();
      try {
        model.send({ do: "hello" });
      } catch {
        // Nobody is left who would hear it.
      }
    };
    model.on("comm_live_update", follow);
    return () => {
      model.off("comm_live_update", follow);
      remove();
    };
  },
};
