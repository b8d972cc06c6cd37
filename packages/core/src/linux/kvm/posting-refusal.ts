/** Why an interrupt of a device is not posted to a vCPU. */
export const postingRefusals = {
  "irqchip-in-userspace": "the VMM emulates the local APICs itself (kernel-irqchip=off)",
  "apicv-off": "KVM does not virtualize the VM's APICs with hardware's help (enable_apicv, avic)",
  "device-posting-off": "KVM's module parameter enable_device_posted_irqs is off",
  "remapping-off": "the host does not remap interrupts",
  "posting-off": "intremap=nopost or intremap=off has turned posting off",
  "posting-not-capable": "a remapping unit or the CPU cannot post",
  "no-consumer": "another irqfd has registered for the eventfd",
  "no-producer": "no device signals the eventfd through VFIO",
  "no-msi-route": "the GSI has no MSI route",
  "delivery-mode": "the message is neither fixed nor lowest priority",
  "no-vcpu": "the message addresses no vCPU",
  "several-vcpus": "the message addresses several vCPUs",
  "update-failed": "the interrupt's chips could not point it at a vCPU",
} as const;

export type PostingRefusal = keyof typeof postingRefusals;
