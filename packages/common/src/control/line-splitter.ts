// Splits the bytes from a control connection into lines. The splitter does not store the rest of a line that exceeds the limit; the caller
// then closes the connection.

const LINE_END = 0x0a;

export class LineSplitter {
  private readonly maxBytes: number;
  private held: Buffer[] = [];
  private heldBytes = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** Calls `emit` for every complete line. Returns false if a line is longer than the limit. */
  push(chunk: Buffer, emit: (line: string) => void): boolean {
    let from = 0;
    for (let end = chunk.indexOf(LINE_END); end !== -1; end = chunk.indexOf(LINE_END, from)) {
      if (!this.hold(chunk.subarray(from, end))) return false;
      emit(this.takeRest());
      from = end + 1;
    }
    return this.hold(chunk.subarray(from));
  }

  /** Removes and returns the text that has arrived since the last line end. */
  takeRest(): string {
    const line = Buffer.concat(this.held, this.heldBytes).toString('utf8');
    this.held = [];
    this.heldBytes = 0;
    return line;
  }

  private hold(bytes: Buffer): boolean {
    if (this.heldBytes + bytes.length > this.maxBytes) return false;
    if (bytes.length > 0) this.held.push(bytes);
    this.heldBytes += bytes.length;
    return true;
  }
}
