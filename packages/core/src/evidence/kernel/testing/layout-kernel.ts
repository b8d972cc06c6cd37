import type { KernelMember, KernelType, KernelTypes } from "../kernel.ts";
import { BtfWriter } from "./btf-writer.ts";
import { SyntheticKernel } from "./synthetic-kernel.ts";

/** Layouts of structures as `tools/kernel-layouts.ts` takes them out of a kernel. */
export interface Layouts {
  readonly release: string;
  readonly types: Readonly<Record<string, Layout>>;
}

export interface Layout {
  /** In bytes. */
  readonly size: number;
  /** Modules in whose BTF it is; null for the kernel's. */
  readonly modules: readonly string[] | null;
  /** By path: bit offset, bit width, bytes, elements, name of the type or `-`, `pointer` or `value`. */
  readonly members: Readonly<Record<string, string>>;
}

/** A kernel of real layouts, in memory that a test writes. */
export class LayoutKernel extends SyntheticKernel {
  override readonly types: KernelTypes;

  constructor(layouts: Layouts) {
    super(new BtfWriter().finish(), {}, layouts.release);
    this.types = {
      type(name, module) {
        const layout = layouts.types[name];
        if (layout === undefined) return undefined;
        const seen = layout.modules === null || (module !== undefined && layout.modules.includes(module));
        return seen ? typeOf(name, layout) : undefined;
      },
      enumerator: () => undefined,
    };
  }
}

function typeOf(name: string, layout: Layout): KernelType {
  return {
    name,
    size: layout.size,
    member: (path) => {
      const row = layout.members[path];
      return row === undefined ? undefined : memberOf(row);
    },
  };
}

/** A member out of a row of a written layout: bit offset, bit width, size, count, type, and whether it is a pointer. */
export function memberOf(row: string): KernelMember {
  const [bitOffset, bitWidth, size, count, type, kind] = row.split(" ");
  return {
    bitOffset: Number(bitOffset),
    bitWidth: Number(bitWidth),
    size: Number(size),
    count: Number(count),
    type: type === "-" ? null : type!,
    pointer: kind === "pointer",
  };
}
