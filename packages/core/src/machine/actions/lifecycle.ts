import { pciRestoreMsiState } from "../../linux/pci/msi.ts";
import { irqRemappingDisable, irqRemappingReenable } from "../../linux/remapping.ts";
import { ActionError, succeeded } from "../action-error.ts";
import { type Of, type Scene, type Told, told } from "./scene.ts";

export async function start(scene: Scene, { vm: name }: Of<"start">): Promise<Told> {
  const settings = scene.machine.scenario.vms.find((vm) => vm.name === name)!;
  const disk = settings.disk === undefined ? null : await scene.openImage(settings.disk.image);
  const vm = await scene.machine.start(settings, disk);
  const cpus = settings.vcpus.map((cpu, i) => `vCPU ${i} on CPU ${cpu}`).join(", ");
  const devices = settings.devices.join(", ");
  return told(
    `${name} starts: ${cpus}`,
    vm.kvm.apicv ? "APIC virtualization on" : "APIC virtualization off: KVM injects with each entry",
    ...(devices === "" ? [] : [`assigned through VFIO: ${devices}`]),
  );
}

/** Suspend to memory: units and functions lose power and with it all that they were told. */
export function suspend({ machine }: Scene, { hpetRestored }: Of<"suspend">): Told {
  const { kernel, hpet, hardware, drivers } = machine;
  if (machine.vms.size > 0 || machine.programs.size > 0) {
    throw new ActionError(
      "suspend: programs and VMs hold devices, which only drivers of the host can restore",
    );
  }
  irqRemappingDisable(kernel);
  hardware.losePower();
  hpet?.losePower();
  for (const device of drivers.keys()) device.losePower();
  succeeded("irq_remapping_reenable", irqRemappingReenable(kernel));
  hpet?.resume(hpetRestored);
  for (const device of drivers.keys()) {
    device.powerUp();
    pciRestoreMsiState(kernel, device.pci);
  }
  machine.settle();
  return told(
    "the host sleeps and wakes: its unit and its devices have lost what they were told",
    ...(hpet === null
      ? []
      : [hpetRestored ? "the HPET's message is restored" : "the HPET has the message that firmware left"]),
  );
}

export function hpet(scene: Scene, { times }: Of<"hpet">): Told {
  const { machine } = scene;
  for (let i = 0; i < times; i++) {
    const blocked = machine.faults.total;
    machine.hpet!.fire(
      () => machine.faults.total > blocked,
      () => machine.settle(),
    );
  }
  return told(`the HPET fires${times > 1 ? ` ${times} times` : ""}`);
}

export function stop({ machine }: Scene, { vm }: Of<"stop">): Told {
  machine.stop(vm);
  return told(`${vm} stops`);
}

export function crash({ machine }: Scene): Told {
  machine.crash();
  return told("the kernel crashes, and kdump's boots in memory of its own");
}
