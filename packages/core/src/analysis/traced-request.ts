/** One interrupt request of a trace, with every line that belongs to it. A `…Line` of 0: the trace has no such line. */
export class TracedRequest {
  line = 0;
  /** The last line that belongs to it. */
  lastLine = 0;
  addressLow = 0;
  addressHigh = 0;
  data = 0;
  /** VT-d: bus:device.function or -1; AMD-Vi: the low 8 bits of the device id. */
  requester = -1;

  entryLine = 0;
  /** VT-d: the index that QEMU printed. */
  index = 0;
  /** AMD-Vi: where the entry lies. */
  tableLow = 0;
  tableHigh = 0;
  offset = 0;
  addressed = false;
  /** AMD-Vi: 4 or 16. */
  entryBytes = 0;
  readonly entry = new Int32Array(4);

  /** VT-d: the destination that QEMU read out of the entry. */
  decodedLine = 0;
  decodedDestination = 0;
  /** AMD-Vi: DTE.IntCtl, or -1. */
  intCtl = -1;

  outcomeLine = 0;
  /** What the outcome line says went in. */
  fromLow = 0;
  fromHigh = 0;
  fromData = 0;
  toLow = 0;
  toHigh = 0;
  toData = 0;

  deliveryLine = 0;
  destination = 0;
  logical = 0;
  deliveryMode = 0;
  vector = 0;
  level = 0;

  /** A line of it could not be read: what it says is not known. */
  damaged = false;

  /** The trace says that it was blocked: why, in QEMU's words, or VT-d's reason code. */
  blockedLine = 0;
  blockedText = "";
  blockedReason = 0;

  begin(line: number, addressLow: number, addressHigh: number, data: number, requester: number): void {
    this.line = line;
    this.lastLine = line;
    this.addressLow = addressLow;
    this.addressHigh = addressHigh;
    this.data = data;
    this.requester = requester;
    this.entryLine = 0;
    this.addressed = false;
    this.decodedLine = 0;
    this.intCtl = -1;
    this.outcomeLine = 0;
    this.deliveryLine = 0;
    this.blockedLine = 0;
    this.blockedReason = 0;
    this.damaged = false;
  }

  setEntry(line: number, word0: number, word1: number, word2: number, word3: number): void {
    this.entryLine = line;
    this.lastLine = line;
    this.entry[0] = word0;
    this.entry[1] = word1;
    this.entry[2] = word2;
    this.entry[3] = word3;
  }

  /** Whether the message left QEMU as it came. */
  get unchanged(): boolean {
    return this.toLow === this.addressLow && this.toHigh === this.addressHigh && this.toData === this.data;
  }
}
