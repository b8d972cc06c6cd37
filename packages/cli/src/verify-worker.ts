import { parentPort, workerData } from "node:worker_threads";
import { type WalkTask, joinSearch, protocols } from "@intremap/core";
import { type Joining, sliceTime } from "./verify-crew.ts";

// A thread of a search: makes a world of its own, and does the tasks that it is sent.

const { question, shares, thread } = workerData as Joining;
const { vendor, play, size, without } = question;
const walker = joinSearch(protocols[vendor].world(play, size, without), shares, thread);

parentPort!.on("message", (task: WalkTask) => {
  const report = walker.walk(task, performance.now() + sliceTime, () => performance.now());
  parentPort!.postMessage(report, []);
});
