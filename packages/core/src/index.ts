// What the documents say.
export * as acpiSpec from "./spec/acpi/index.ts";
export * as amdviSpec from "./spec/amdvi/index.ts";
export * as apicSpec from "./spec/apic/index.ts";
export * as hpetSpec from "./spec/hpet/registers.ts";
export * as msiSpec from "./spec/msi/message.ts";
export * as pciSpec from "./spec/pci/index.ts";
export * as virtioSpec from "./spec/virtio/index.ts";
export * as vtdSpec from "./spec/vtd/index.ts";
export * from "./spec/codec.ts";
export * from "./spec/layout.ts";
export type { Access, Register } from "./spec/register.ts";
export { printRequester } from "./spec/requester.ts";
export type { Force, Rule, Standing } from "./spec/rule.ts";
export * from "./spec/rules.ts";

// Hardware that runs.
export * from "./hardware/amdvi/fault.ts";
export * from "./hardware/amdvi/profile.ts";
export * from "./hardware/amdvi/unit.ts";
export * from "./hardware/cpu-cache.ts";
export * from "./hardware/delivery.ts";
export * from "./hardware/event.ts";
export * from "./hardware/event-ring.ts";
export * from "./hardware/ioapic.ts";
export * from "./hardware/lapic/fabric.ts";
export * from "./hardware/lapic/general-protection.ts";
export * from "./hardware/lapic/local-apic.ts";
export * from "./hardware/memory.ts";
export * from "./hardware/pci/function.ts";
export * from "./hardware/pci/root-complex.ts";
export * from "./hardware/pci/signal.ts";
export * from "./hardware/posting/avic.ts";
export * from "./hardware/posting/descriptor.ts";
export * from "./hardware/posting/vector-page.ts";
export * from "./hardware/posting/vmx-settings.ts";
export * from "./hardware/posting/vmx.ts";
export * from "./hardware/profile.ts";
export * from "./hardware/recording-fabric.ts";
export * from "./hardware/vtd/bring-up.ts";
export type { VtdFault } from "./hardware/vtd/fault.ts";
export * from "./hardware/vtd/profile.ts";
export * from "./hardware/vtd/unit.ts";

// The software that programs it.
export { type CommandLine, readCommandLine } from "./linux/cmdline/command-line.ts";
export {
  type CommandLineEffects,
  type Effect,
  type Vendor,
  effectsOf as commandLineEffects,
} from "./linux/cmdline/effects.ts";

export { type BlockBackend, MemoryBackend } from "./qemu/block/backend.ts";

// Machines put together from scenarios.
export type { CostShare, Episode, FaultCount, RunResult } from "./machine/result.ts";
export { PerfettoWriter } from "./machine/perfetto.ts";
export { type RunOptions, runScenario } from "./machine/run.ts";
export { type Choice as ScenarioChoice, readParameters, readScenario } from "./machine/scenario/read.ts";
export type * from "./machine/scenario/scenario.ts";
export type { StackCount } from "./machine/stack-histogram.ts";
export type { TimelineData, TimelineLane, TimelineTrack } from "./machine/timeline-data.ts";
export { replayTimeline } from "./machine/timeline-replay.ts";
export { TimelineStore } from "./machine/timeline-store.ts";
export type { TimelineWriter } from "./machine/timeline-writer.ts";
export { ShapeError } from "./spec/shape.ts";

// Readers of what real machines leave behind.
export { defaultLimit, keptFiles, tooLarge } from "./evidence/archive/archive-files.ts";
export { resolveLinks } from "./evidence/archive/linked-path.ts";
export { type TarLimits, readTar } from "./evidence/archive/tar.ts";
export { isWanted, rootNames } from "./evidence/archive/wanted-path.ts";
export { withExpanded } from "./evidence/archive/with-expanded.ts";
export * from "./evidence/byte-source.ts";
export * from "./evidence/dmar.ts";
export type { Message as HostMessage, MsiState, MsixState, PciDevice } from "./evidence/host/device.ts";
export { HostDraft } from "./evidence/host/draft.ts";
export type * from "./evidence/host/fact.ts";
export type * from "./evidence/host/files.ts";
export type * from "./evidence/host/interrupt.ts";
export {
  type HostFile,
  type HostPlatform,
  type Progress,
  finishHost,
  hostSources,
  openHost,
  openHostFiles,
} from "./evidence/host/open-host.ts";
export type { Given, GivenScenario } from "./evidence/host/given.ts";
export { packHost, unpackHost } from "./evidence/host/pack.ts";
export { readHostFiles } from "./evidence/host/read-files.ts";
export { readPastedHost } from "./evidence/host/read-pasted.ts";
export { settleHost } from "./evidence/host/settle.ts";
export { TraceHost } from "./evidence/host/trace-host.ts";
export { orMissing, walkInto } from "./evidence/host/walk-into.ts";
export type * from "./evidence/host/processor.ts";
export type * from "./evidence/host/state.ts";
export type * from "./evidence/host/system.ts";
export type * from "./evidence/host/unit.ts";
export type {
  AvicPosting,
  BypassProducer,
  Irqfd,
  PostedDescriptor as HostDescriptor,
  Vcpu,
  VirtualMachine,
} from "./evidence/host/virtual-machine.ts";
export {
  type Chunks,
  inOnePiece,
  joined,
  letGo,
  peek,
  readChunks,
  textLimit,
  tooMuch,
} from "./evidence/input/chunks.ts";
export { decodeText } from "./evidence/input/decode-text.ts";
export { TraceTimeline, type TracedTimeline } from "./evidence/qemu-trace/trace-timeline.ts";
export { type Expanders, expanded, foreignEnd } from "./evidence/input/expand.ts";
export { type InputKind, kindBytes, kindOf } from "./evidence/input/input-kind.ts";
export { refusable } from "./evidence/compression/refusable.ts";
export { expandZstd, expandZstdPage } from "./evidence/input/zstd.ts";
export type { SparseLimits } from "./evidence/input/sparse-bytes.ts";
export { InputError, withName } from "./evidence/input-error.ts";
export * from "./evidence/kernel/elf-core.ts";
export type * from "./evidence/kernel/kernel.ts";
export * from "./evidence/kernel/memory.ts";
export * from "./evidence/kernel/open-kernel.ts";
export type { Inflate, PageCodecs } from "./evidence/kernel/kdump-core.ts";
export { openPhysicalMemory } from "./evidence/kernel/open-physical.ts";
export type * from "./evidence/kernel/physical-memory.ts";
export { walkKernel } from "./evidence/kernel/walk.ts";
export { walkKernelLog } from "./evidence/kernel/kernel-log.ts";
export { walkKvm } from "./evidence/kernel/walk-kvm.ts";
export * from "./evidence/ivrs.ts";
export { addressOfGroups } from "./evidence/text/pci-address.ts";

// Questions asked of them.
export {
  type AuditChecked,
  type AuditFinding,
  type AuditNotChecked,
  type AuditResult,
  audit,
  reaches as reachesSeverity,
} from "./analysis/audit/audit.ts";
export {
  type AuditCheck,
  type Evidence as AuditEvidence,
  type Severity,
  severities,
} from "./analysis/audit/check.ts";
export { auditChecks } from "./analysis/audit/checks.ts";
export { Check, type CheckOptions } from "./analysis/check/check.ts";
export { type CheckResult, type Hazard, type NotChecked, hazardLimit } from "./analysis/check/hazard.ts";
export type { CorpusFile } from "./analysis/conform/corpus.ts";
export { mergeResults } from "./analysis/conform/merge.ts";
export { deviationsPage } from "./analysis/conform/page.ts";
export type * from "./analysis/conform/result.ts";
export { type ConformOptions, type ConformProgress, type Share, conform } from "./analysis/conform/run.ts";
export type * from "./analysis/conform/script.ts";
export type * from "./analysis/conform/sight.ts";
export type { Target } from "./analysis/conform/target.ts";
export * from "./analysis/decode.ts";
export * from "./analysis/decode-table.ts";
export { documentText, jsonText } from "./analysis/document-text.ts";
export * from "./analysis/explain.ts";
export * from "./analysis/finding-groups.ts";
export type { PastedValue } from "./analysis/pasted-values.ts";
export {
  type PastedTable,
  type Recognition,
  recognise,
  recogniseTable,
  traceLength,
} from "./analysis/recognise.ts";
export { HostLinks } from "./analysis/host/links.ts";
export type * from "./analysis/map/budgets.ts";
export * from "./analysis/map/columns.ts";
export { type HostMap, mapOf } from "./analysis/map/map.ts";
export type { MapRow } from "./analysis/map/row.ts";
export { type Metric, metricsOf } from "./analysis/metrics.ts";
export { follow } from "./analysis/follow/follow.ts";
export type { FollowOutcome, FollowStep, FollowedInterrupt, Following } from "./analysis/follow/following.ts";
export type { HostDecision, Way } from "./analysis/follow/host-decision.ts";
export type { Condition } from "./analysis/follow/posting-conditions.ts";
export type { FollowedVcpu, Poster } from "./analysis/follow/vcpu.ts";
export type { FollowChoice, Path, UnitDecision } from "./analysis/path.ts";
export { Replay, type ReplayOptions } from "./analysis/replay.ts";
export type { Disagreement, ReplayResult, Unchecked } from "./analysis/replay-result.ts";
export type { PlayTitle, Protocol, Removable, Size } from "./analysis/verify/protocol.ts";
export { baseSize, sizeBounds } from "./analysis/verify/protocol.ts";
export {
  type Counterexample,
  type Exploration,
  type Shares,
  Search,
  joinSearch,
} from "./analysis/verify/search.ts";
export {
  type VerifyQuestion,
  type VerifyTexts,
  readQuestion,
  wholeNumber,
} from "./analysis/verify/question.ts";
export { raceSteps } from "./analysis/verify/race-steps.ts";
export type { Seen } from "./analysis/verify/seen.ts";
export { type Arrow, type Beat, type Change, type Sequence, sequenceOf } from "./analysis/verify/sequence.ts";
export { writeCounterexample } from "./analysis/verify/timeline.ts";
export type { Report as WalkReport, Task as WalkTask } from "./analysis/verify/walker.ts";
export {
  type PlayResult,
  type SearchTimes,
  type Totals,
  type Verdict,
  playResult,
  totalsOf,
} from "./analysis/verify/verdict.ts";
export type { Move } from "./analysis/verify/world.ts";
export { protocols } from "./analysis/verify/worlds.ts";
export type * from "./analysis/trial/trial.ts";
export { tryRequest } from "./analysis/trial/try-request.ts";
export { type StepPair, alignSteps } from "./analysis/walkthrough/align.ts";
export { followedSteps } from "./analysis/walkthrough/followed-steps.ts";
export type * from "./analysis/walkthrough/step.ts";
export { type WalkOptions, stepLimit, walkScenario } from "./analysis/walkthrough/walk-scenario.ts";
export type * from "./analysis/walkthrough/walkthrough.ts";
