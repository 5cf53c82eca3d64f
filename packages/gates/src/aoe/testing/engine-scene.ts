// An engine with volumes in memory and a host of the tests. Volumes complete their commands when the test says so.
// Invariant: the memory of a frame is overwritten as soon as the engine has taken the frame.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { MemoryVolume, type MemoryVolumeOptions } from '@rsio/rsiod/frontends/nbd/testing/memory-volume';
import { AoeEngine } from '../aoe-engine.ts';
import { AoeTarget, type Notes } from '../aoe-target.ts';
import { OutputBatch } from '../output-batch.ts';
import { GATE, type Reply, replyIn } from './raw-initiator.ts';

export const SHELF = 7;
const NO_NOTES: Notes = { config: Buffer.alloc(0), masks: [], reserved: [] };

export class EngineScene {
  readonly clock = new FakeClock();
  readonly output = new OutputBatch(this.clock);
  readonly engine: AoeEngine;
  readonly warnings: string[] = [];
  /** What was stored, in order. */
  readonly kept: Notes[] = [];
  storageFails = false;
  hasStoodStill = false;
  private waiting: (() => void)[] = [];
  private sent: Buffer[] = [];

  constructor() {
    this.engine = new AoeEngine({
      shelf: SHELF,
      version: '1.2.3',
      clock: this.clock,
      output: this.output,
      stoodStill: () => this.hasStoodStill,
      warn: (sentence) => this.warnings.push(sentence),
    });
    this.engine.hosts = null;
    this.engine.card = { mac: Number.parseInt(GATE.replaceAll(':', ''), 16), mtu: 9000 };
    this.output.connect((bytes, lengthBytes, sent) => {
      for (let at = 0; at < lengthBytes; at += 4 + bytes.readUInt32BE(at))
        this.sent.push(Buffer.from(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at))));
      sent();
    });
  }

  add(
    slot: number,
    options: MemoryVolumeOptions = {},
    notes: Partial<Notes> = {},
  ): { readonly volume: MemoryVolume; readonly target: AoeTarget } {
    const volume = new MemoryVolume({ ...options, schedule: (fire) => this.waiting.push(fire) });
    const target = new AoeTarget(slot, volume, { ...NO_NOTES, ...notes }, async (next) => {
      await Promise.resolve();
      if (this.storageFails) throw new Error('disk full');
      this.kept.push(next);
    });
    this.engine.targets.set(slot, target);
    return { volume, target };
  }

  /** `ageMs`: how long ago the kernel received the frame. */
  give(frame: Buffer, ageMs = 0): void {
    const bytes = Buffer.concat([Buffer.alloc(3, 0xee), frame, Buffer.alloc(5, 0xee)]);
    this.engine.receive(bytes, 3, 3 + frame.length, (this.clock.wallMs() - ageMs) * 1000);
    // The memory of frames is used again at once.
    bytes.fill(0xdb);
  }

  /** Lets the volumes complete their commands. */
  complete(): void {
    for (let all = this.waiting; all.length > 0; all = this.waiting) {
      this.waiting = [];
      for (const one of all) one();
    }
  }

  /** Answers since the last call. */
  replies(): Reply[] {
    this.clock.advance(0);
    const { sent } = this;
    this.sent = [];
    return sent.map(replyIn);
  }

  /** Gives a frame, and returns all answers. */
  async ask(frame: Buffer, ageMs = 0): Promise<Reply[]> {
    this.give(frame, ageMs);
    this.complete();
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    const replies = this.replies();
    // Changes are spaced.
    this.clock.advance(1_000);
    return replies;
  }

  async askOne(frame: Buffer, ageMs = 0): Promise<Reply> {
    const [reply, ...others] = await this.ask(frame, ageMs);
    if (reply === undefined || others.length > 0) throw new Error(`${others.length + (reply === undefined ? 0 : 1)} answers`);
    return reply;
  }
}
