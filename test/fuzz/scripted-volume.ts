// The volume behind a door that is fuzzed: in memory, of a shape that the script's first argument chooses, and answering only when the
// script says so, in the order or out of it, well or with an error. Invariant: a request is answered once, or waits.

import { MemoryVolume } from '@rsio/rsiod/frontends/nbd/testing/memory-volume';
import { readScript, type Step } from './script.ts';

export const VOLUME_BYTES = 64 * 1024;

export class ScriptedVolume {
  readonly volume: MemoryVolume;
  private readonly answers: (() => void)[] = [];

  constructor(options: number) {
    this.volume = new MemoryVolume({
      sizeBytes: VOLUME_BYTES,
      blockSizeBytes: (options & 1) === 0 ? 512 : 4096,
      readonly: (options & 2) !== 0,
      canDiscard: (options & 4) === 0,
      schedule: (fire) => this.answers.push(fire),
    });
  }

  get isWaiting(): boolean {
    return this.answers.length > 0;
  }

  /** The oldest requests, by a step's argument one to eight of them. */
  answerSome(arg: number): void {
    for (const fire of this.answers.splice(0, 1 + (arg % 8))) fire();
  }

  /** The latest requests, by a step's argument one to four of them. */
  answerLatest(arg: number): void {
    for (const fire of this.answers.splice(-1 - (arg % 4))) fire();
  }

  /** All that wait now. */
  answerAll(): void {
    for (const fire of this.answers.splice(0)) fire();
  }

  /** By a step's argument, what comes next fails, or does so no more. */
  failNext(arg: number): void {
    this.volume.fail = arg % 2 === 0 ? 0 : 1;
  }
}

interface DoorScene {
  take(step: Step): void;
  finish(): void;
}

/** Plays a script on a door over a scripted volume, to its end; says whether the volume was asked for something. */
export function playDoor(input: Buffer, open: (storage: ScriptedVolume) => DoorScene): boolean {
  const steps = readScript(input);
  const storage = new ScriptedVolume(steps[0]?.arg ?? 0);
  const scene = open(storage);
  for (const one of steps) scene.take(one);
  scene.finish();
  return storage.volume.seen.length > 0;
}
