// Decodes the bytes of the handshake: first the client's flags, then options. Sans-I/O; takes bytes in pieces of any length. Invariant: at
// most NBD_OPTION_MAX_BYTES of one option are stored. Longer data is dropped as it arrives, and the sink gets null instead.
//
//   flags (u32), then for each option:   "IHAVEOPT" | option (u32) | length (u32) | data

import { NBD_OPTION_MAX_BYTES } from '../../limits.ts';
import { CLIENT_FLAGS_BYTES, MAGIC, OPTION_HEADER_BYTES } from './nbd-constants.ts';

export interface OptionSink {
  clientFlags(flags: number): void;
  /** `data` is null if the option is too long, and is valid only during the call. */
  option(option: number, data: Buffer | null): void;
  /** Called when the bytes are not an option; nothing after these bytes can be decoded. */
  badOption(): void;
}

type State = 'flags' | 'header' | 'data' | 'dropping' | 'stopped';

export class NbdOptionDecoder {
  private readonly sink: OptionSink;
  private readonly header = Buffer.alloc(OPTION_HEADER_BYTES);
  private data = Buffer.alloc(0);
  private state: State = 'flags';
  private have = 0;
  private option = 0;
  private length = 0;

  constructor(sink: OptionSink) {
    this.sink = sink;
  }

  /**
   * Calls the sink at most once. The caller can then send the answer first, or pass the remaining bytes to another decoder. Returns the
   * position after the bytes that were taken.
   */
  feed(bytes: Buffer, start: number, end: number): number {
    switch (this.state) {
      case 'flags':
        return this.feedFlags(bytes, start, end);
      case 'header':
        return this.feedHeader(bytes, start, end);
      case 'data':
        return this.feedData(bytes, start, end);
      case 'dropping':
        return this.drop(start, end);
      case 'stopped':
        return end;
    }
  }

  private feedFlags(bytes: Buffer, start: number, end: number): number {
    const at = this.gather(this.header, CLIENT_FLAGS_BYTES, bytes, start, end);
    if (this.have < CLIENT_FLAGS_BYTES) return at;
    this.next('header');
    this.sink.clientFlags(this.header.readUInt32BE(0));
    return at;
  }

  private feedHeader(bytes: Buffer, start: number, end: number): number {
    const at = this.gather(this.header, OPTION_HEADER_BYTES, bytes, start, end);
    if (this.have < OPTION_HEADER_BYTES) return at;
    if (MAGIC.OPTION.compare(this.header, 0, MAGIC.OPTION.length) !== 0) {
      this.next('stopped');
      this.sink.badOption();
      return at;
    }
    this.option = this.header.readUInt32BE(8);
    this.length = this.header.readUInt32BE(12);
    if (this.length > NBD_OPTION_MAX_BYTES) this.next('dropping');
    else if (this.length > 0) {
      this.data = Buffer.allocUnsafe(this.length);
      this.next('data');
    } else {
      this.next('header');
      this.sink.option(this.option, this.data.subarray(0, 0));
    }
    return at;
  }

  private feedData(bytes: Buffer, start: number, end: number): number {
    const at = this.gather(this.data, this.length, bytes, start, end);
    if (this.have < this.length) return at;
    this.next('header');
    this.sink.option(this.option, this.data);
    return at;
  }

  private drop(start: number, end: number): number {
    const dropped = Math.min(this.length - this.have, end - start);
    this.have += dropped;
    if (this.have === this.length) {
      this.next('header');
      this.sink.option(this.option, null);
    }
    return start + dropped;
  }

  private gather(target: Buffer, want: number, bytes: Buffer, start: number, end: number): number {
    const taken = Math.min(want - this.have, end - start);
    bytes.copy(target, this.have, start, start + taken);
    this.have += taken;
    return start + taken;
  }

  private next(state: State): void {
    this.state = state;
    this.have = 0;
  }
}
