import type { AmdviProfile } from "../../hardware/amdvi/profile.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { AmdviCommands } from "./amdvi-commands.ts";
import type { AmdviControl } from "./amdvi-control.ts";
import type { HazardList } from "./hazard-list.ts";

/** So many interrupts may come while a unit is being set up or taken down. */
const allowance = 16;

/** Whether what must be on and invalidated was so when interrupts were remapped. */
export class AmdviReadiness {
  readonly #profile: AmdviProfile;
  readonly #control: AmdviControl;
  readonly #commands: AmdviCommands;
  readonly #hazards: HazardList;
  /** INVALIDATE_INTERRUPT_TABLE before IommuEn was set. */
  #invalidationsBefore = 0;
  /** Interrupts in a row that something was missing for, and the line of the first. */
  #unready = 0;
  #unreadyLine = 0;

  constructor(profile: AmdviProfile, control: AmdviControl, commands: AmdviCommands, hazards: HazardList) {
    this.#profile = profile;
    this.#control = control;
    this.#commands = commands;
    this.#hazards = hazards;
  }

  controlWritten(line: number): void {
    if (this.#control.enabledLine === line) this.#invalidationsBefore = this.#commands.tableInvalidations;
  }

  /** An interrupt goes through an entry. */
  remapped(line: number): void {
    const { value: control, enabledLine } = this.#control;
    if (control === undefined) {
      this.#control.unseen++;
      return;
    }
    if (control.iommuen === 0) {
      this.#add(
        "amdvi.ir.disabled",
        line,
        null,
        "An interrupt is remapped while IommuEn is 0, because QEMU starts with the device table's base: a real unit passes it unchanged.",
        "Set IommuEn before devices are given remapped messages.",
      );
      return;
    }
    const off = control.cmdbufen === 0;
    const stale =
      enabledLine > 0 &&
      this.#profile.cacheTables &&
      control.irtcachedis !== 1 &&
      this.#commands.tableInvalidations === this.#invalidationsBefore;
    if (!off && !stale) {
      this.#unready = 0;
      return;
    }
    if (this.#unready === 0) this.#unreadyLine = line;
    this.#unready++;
    if (this.#unready !== allowance) return;
    if (off) {
      this.#add(
        "amdvi.check.command-buffer-off",
        this.#unreadyLine,
        null,
        "Interrupts are remapped with IommuEn=1 and CmdBufEn=0.",
        "Set CmdBufEn together with IommuEn, and invalidate every interrupt table behind it.",
      );
    } else {
      this.#add(
        "amdvi.check.enabled-without-invalidation",
        this.#unreadyLine,
        enabledLine,
        "Interrupts are remapped with no INVALIDATE_INTERRUPT_TABLE since IommuEn was set.",
        "Issue INVALIDATE_INTERRUPT_TABLE for every device, or INVALIDATE_IOMMU_ALL, once IommuEn and CmdBufEn are set.",
      );
    }
  }

  #add(rule: RuleId, at: number, since: number | null, found: string, fix: string): void {
    this.#hazards.add({ rule, index: null, requester: null, at, since, found, fix }, "unit");
  }
}
