// Writers that stamp every block with a unique number, through NBD. When a writer loses the volume, each block of the server's file must
// have the last acknowledged write, or the write in flight. The test examines the file directly. Invariant: each block has at most one
// write in flight. The possible contents of a block are therefore known as long as no other client writes.

import { closeSync, openSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../hosts/host.ts';
import { NbdIo } from './nbd-io.ts';

const BLOCK_BYTES = 4096;
const BLOCKS = 64;
const CONNECTIONS = 4;
const STAMP_BYTES = 8;

interface Block {
  /** Number of the last acknowledged write; 0: no write was acknowledged. */
  acknowledged: number;
  /** Number of a later write that the file may contain, because it has no answer or failed; null: there is no such write. */
  underWay: number | null;
}

export class StampedFile {
  readonly breaches: string[] = [];
  private readonly path: string;
  private readonly blocks: Block[] = Array.from({ length: BLOCKS }, () => ({ acknowledged: 0, underWay: null }));
  private stamp = 0;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Starts writing on a host where the volume is attached. Each connection waits for `pauseMs` after each answer, so that the load takes no
   * processor from concurrent tests.
   */
  async writer(host: Host, exportName: string, pauseMs = 0): Promise<StampedWriter> {
    const connections: NbdIo[] = [];
    for (let index = 0; index < CONNECTIONS; index++) connections.push(await NbdIo.open(host.rsiodPaths.nbdSocket, exportName));
    return new StampedWriter(this, connections, pauseMs);
  }

  /**
   * Examines the file. Must be called only when no client writes, or when the writer has lost the volume. After the examination, the
   * content of the file counts as acknowledged.
   */
  look(when: string, writer: StampedWriter): void {
    writer.hasLost = true;
    const found = this.read();
    for (const [index, block] of this.blocks.entries()) {
      const stamp = found[index];
      const { acknowledged, underWay } = block;
      if (stamp === undefined) this.breaches.push(`${when}: block ${index} is half one write and half another`);
      else if (stamp !== acknowledged && stamp !== underWay)
        this.breaches.push(`${when}: block ${index} has ${stamp}, acknowledged was ${acknowledged}, under way ${underWay}`);
      writer.decided.set(index, stamp ?? -1);
      block.acknowledged = stamp ?? acknowledged;
      block.underWay = null;
    }
  }

  begin(index: number): { readonly stamp: number; readonly data: Buffer } {
    const stamp = ++this.stamp;
    this.blocks[index]!.underWay = stamp;
    const data = Buffer.alloc(BLOCK_BYTES);
    for (let at = 0; at < BLOCK_BYTES; at += STAMP_BYTES) data.writeBigUInt64BE(BigInt(stamp), at);
    return { stamp, data };
  }

  acknowledged(writer: StampedWriter, index: number, stamp: number): void {
    if (writer.hasLost) {
      if (writer.decided.get(index) !== stamp)
        this.breaches.push(`Write ${stamp} of block ${index} was acknowledged after its writer had lost the volume, and is not there`);
      return;
    }
    this.blocks[index] = { acknowledged: stamp, underWay: null };
  }

  /** Returns the stamps of all blocks; undefined for a block with parts of several writes. */
  private read(): (number | undefined)[] {
    const bytes = Buffer.alloc(BLOCKS * BLOCK_BYTES);
    const file = openSync(this.path, 'r');
    readSync(file, bytes, 0, bytes.length, 0);
    closeSync(file);
    return this.blocks.map((_, index) => {
      const block = bytes.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
      const first = block.subarray(0, STAMP_BYTES);
      for (let at = 0; at < BLOCK_BYTES; at += STAMP_BYTES) if (!block.subarray(at, at + STAMP_BYTES).equals(first)) return undefined;
      return Number(first.readBigUInt64BE());
    });
  }
}

/** Writes until it is stopped, or its I/O fails. */
export class StampedWriter {
  /** Whether the server has taken the volume from the writer's client and given it to another client. */
  hasLost = false;
  /** For each block: its content when the server gave the volume to another client. */
  readonly decided = new Map<number, number>();
  /** Number of acknowledged writes. */
  count = 0;
  /** Resolves when all connections have ended. The result has the errors of failed connections. */
  readonly ended: Promise<Error[]>;
  private isStopped = false;

  constructor(file: StampedFile, connections: readonly NbdIo[], pauseMs: number) {
    const errors: Error[] = [];
    const write = async (nbd: NbdIo, first: number): Promise<void> => {
      try {
        for (let index = first; !this.isStopped; index = index + CONNECTIONS < BLOCKS ? index + CONNECTIONS : first) {
          const { stamp, data } = file.begin(index);
          await nbd.write(index * BLOCK_BYTES, data);
          file.acknowledged(this, index, stamp);
          this.count++;
          if (pauseMs > 0) await sleep(pauseMs);
        }
      } catch (error) {
        errors.push(error as Error);
      }
      nbd.close();
    };
    this.ended = Promise.all(connections.map(write)).then(() => errors);
  }

  /** Resolves when all requests in flight have been answered. */
  async stop(): Promise<Error[]> {
    this.isStopped = true;
    return this.ended;
  }
}
