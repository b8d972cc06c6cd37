import { ApicFabric, Memory, VtdUnit, enableRemapping, vtdStrict } from "@intremap/core";

const memory = new Memory();
const fabric = new ApicFabric([0, 1, 2, 3], { softwareEnabled: true });
const unit = new VtdUnit({ memory, fabric, profile: vtdStrict });
enableRemapping(unit, { base: 0x100000, size: 7 });
// Entry 5: vector 41h to APIC 1, from 00:03.0 only.
memory.write64(0x100000 + 16 * 5, 0x0000_0100_0041_0001n);
memory.write64(0x100000 + 16 * 5 + 8, 0x4_0018n);

unit.interrupt(0xfee000b0, 0, 0x0018); // from 00:03.0: remapped
unit.interrupt(0xfee000b0, 0, 0x0020); // from 00:04.0: blocked
console.log(unit.fault); // sidMismatch, reason 26h, rule vtd.ir.sid-mismatch, index 5
