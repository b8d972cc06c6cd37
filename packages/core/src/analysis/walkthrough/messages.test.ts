import { describe, expect, test } from "vitest";
import { type Draft, booted } from "../../machine/testbed.ts";
import { decode } from "../../spec/codec.ts";
import { firstCapability } from "../../spec/pci/config-header.ts";
import { msiCapability64Masking } from "../../spec/pci/msi.ts";
import { Messages, placeOf } from "./messages.ts";
import { ofRequest, walkDraft } from "./testbed.ts";

const draft: Draft = {
  devices: { nic: { at: "01:00.0", msi: 4 } },
  script: [{ enable: { device: "nic", kind: "msi", vectors: 4 } }, { interrupt: { device: "nic" } }],
};

describe("a device with plain MSI", () => {
  test("has its capability written by the kernel: masked, a message, turned on, each vector unmasked", async () => {
    const { steps } = await walkDraft(draft);
    const writes = steps.filter(
      ({ request, touched }) => request === null && touched[0]?.layout === msiCapability64Masking.name,
    );
    expect(writes.map(({ stack, touched }) => [stack[0], touched[0]!.fields])).toEqual([
      ["__pci_enable_msi_range", ["mask"]],
      ["__pci_write_msi_msg", ["mme", "address"]],
      ["__pci_enable_msi_range", ["en"]],
      ...Array<unknown>(4).fill(["pci_irq_unmask_msi", ["mask"]]),
    ]);
  });

  test("sends what the kernel wrote, with the vector in the low bits of its data", async () => {
    const walk = await walkDraft(draft);
    for (const vector of [0, 3]) {
      const [sent] = ofRequest(walk, vector + 1);
      const [capability] = sent!.touched;
      const { address, data, mme } = decode(msiCapability64Masking, capability!.value);
      expect(capability).toMatchObject({ what: "MSI capability of nic", fields: ["address", "data"] });
      expect(sent!.detail).toBe(`0x${address.toString(16)} ← 0x${(Number(data) | vector).toString(16)}`);
      expect(mme).toBe(2);
    }
  });

  test("that sends a message that is not its own has not got it from there", async () => {
    const own: Draft = {
      ...draft,
      script: [draft.script![0], { write: { device: "nic", address: 0xfee0_0000, data: 0 } }],
    };
    const [sent] = ofRequest(await walkDraft(own), 1);
    expect(sent!.touched.map(({ what }) => what)).not.toContain("MSI capability of nic");
  });

  test("keeps an interrupt pending without anybody's writing to it", async () => {
    const { machine, act } = booted(draft);
    await act(draft.script![0]);
    const device = machine.device("nic");
    device.fn.writeConfig(firstCapability + 16, 4, 0xf);
    const messages = new Messages([device]);
    device.raise(0);
    expect(decode(msiCapability64Masking, placeOf(device, 0xfee0_0018 | 0, 0)!.read())).toMatchObject({
      mask: 0xf,
      pending: 1,
    });
    expect([...messages.changes()]).toEqual([]);
    device.fn.writeConfig(firstCapability + 16, 4, 0xe);
    expect([...messages.changes()].map(({ touched }) => touched.fields)).toEqual([["mask", "pending"]]);
  });
});

test("a device that has lost power has lost its messages without any software's doing", async () => {
  const { steps } = await walkDraft({
    devices: { nic: { at: "01:00.0", msix: 1 } },
    script: [{ enable: { device: "nic", vectors: 1 } }, { suspend: {} }],
  });
  const at = steps.findIndex(({ title }) => title === "MSI-X table entry 0 of nic changes");
  expect(steps[at]).toMatchObject({ thread: null, stack: [], episode: 2 });
  expect(steps[at + 1]).toMatchObject({ title: "__pci_write_msi_msg writes MSI-X table entry 0 of nic" });
});
