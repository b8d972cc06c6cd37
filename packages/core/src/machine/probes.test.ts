import { describe, expect, test } from "vitest";
import { runScenario } from "./run.ts";
import { readScenario } from "./scenario/read.ts";
import { guest, nic } from "./testbed.ts";
import type { TimelineData } from "./timeline-data.ts";
import { TimelineStore } from "./timeline-store.ts";

const draft = {
  title: "A draft",
  kernel: "7.0",
  machine: { vendor: "intel", cmdline: "intel_iommu=on" },
  devices: nic,
  vms: guest,
  script: [{ start: "guest" }, { enable: { device: "nic" } }, { interrupt: { device: "nic", times: 2 } }],
};

async function recorded(): Promise<{ data: TimelineData; cycles: number; raised: number }> {
  const store = new TimelineStore();
  const { cycles, raised } = await runScenario(readScenario("draft", draft, {}), { timeline: store });
  return { data: store.data(), cycles, raised };
}

describe("the timeline of a run", () => {
  test("has one track for each vCPU, under its name from its first moment on", async () => {
    const { tracks } = (await recorded()).data;
    const group = tracks.findIndex(({ name }) => name === "vCPUs");
    expect(tracks.filter(({ parent }) => parent === group).map(({ name }) => name)).toEqual(["guest/0"]);
  });

  test("has a flow for each interrupt, which ends where a guest takes it", async () => {
    const { data, raised } = await recorded();
    expect(raised).toBe(8);
    expect(new Set(data.flowId).size).toBe(raised);
    const last = [...data.flowLast.keys()].filter((point) => data.flowLast[point] === 1);
    expect(last.map((point) => data.tracks[data.track[data.flowRow[point]!]!]!.name)).toEqual(
      Array.from({ length: raised }, () => "guest/0"),
    );
  });

  test("ends with the script: taking the machine apart is not on it", async () => {
    const { data } = await recorded();
    const after = data.start.length - 1 - Math.max(...data.flowRow);
    expect(after).toBeLessThan(20);
  });
});
