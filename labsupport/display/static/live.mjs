// The live pictures: the kernel draws fragments, this program puts them in place and hands on what a person does.
// No dependency and no build step: Python joins these modules to the one that JupyterLab, Notebook 7 and VS Code load.

import { renderGraph } from "./graph.mjs";
import { hearKernel, onLoss } from "./kernel.mjs";
import { renderStatus } from "./status.mjs";
import { storeOf } from "./store.mjs";
import { renderTraffic } from "./traffic.mjs";

const RENDER = { graph: renderGraph, status: renderStatus, traffic: renderTraffic };

export default {
  initialize({ model }) {
    hearKernel(model);
    storeOf(model);
  },
  render(context) {
    const { model } = context;
    const remove = RENDER[model.get("size").kind ?? "traffic"](context);
    const unfollow = onLoss(model, () => storeOf(model).end());
    return () => {
      unfollow();
      remove();
    };
  },
};
