import type { Processor } from "../../evidence/host/processor.ts";

/**
 * The processors that a destination names. Linux gives processor n the flat logical id 1 << n; the x2APIC one follows
 * from the APIC id (SDM 11.12.10.2).
 * @param destination APIC id, or what logical destinations are matched with.
 * @param extended whether destinations have 32 bits.
 * @returns undefined where an id that it takes is not known.
 */
export function processorsOf(
  processors: readonly Processor[],
  destination: number,
  logical: boolean,
  extended: boolean,
): readonly Processor[] | undefined {
  const wanted = destination >>> 0;
  if (wanted === (extended ? 0xffff_ffff : 0xff))
    return logical && !extended ? flat(processors, 0xff) : processors;
  if (!logical) return physical(processors, wanted);
  return extended ? cluster(processors, wanted) : flat(processors, wanted);
}

function physical(processors: readonly Processor[], wanted: number): readonly Processor[] | undefined {
  const found = processors.filter(({ apicId }) => apicId?.value === wanted);
  return found.length > 0 || known(processors) ? found : undefined;
}

function cluster(processors: readonly Processor[], wanted: number): readonly Processor[] | undefined {
  if (!known(processors)) return undefined;
  return processors.filter(({ apicId }) => {
    const id = apicId!.value;
    return id >>> 4 === wanted >>> 16 && ((wanted >>> (id & 15)) & 1) === 1;
  });
}

function flat(processors: readonly Processor[], wanted: number): readonly Processor[] | undefined {
  if (processors.length === 0) return undefined;
  return processors.filter(({ cpu, logicalId }) => {
    const id = logicalId?.value ?? (cpu < 8 ? 1 << cpu : 0);
    return (id & wanted) !== 0;
  });
}

function known(processors: readonly Processor[]): boolean {
  return processors.length > 0 && processors.every(({ apicId }) => apicId !== undefined);
}
