// A production session. The client of the session sends READs in one slot, and late copies of these READs, over paths that may end. The
// storage answers in any order. The sequence numbers of the slot wrap at once. Invariant: a READ returns content that was written before it
// was sent, or newer content.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { SEQ_MODULUS } from '@rsio/protocol/link/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { type RawPath, SessionScene } from '@rsio/rssrv/testing/raw-client';
import { setSeqModulus } from '../../base/small-numbers.ts';

const MODULUS = 2;
const MOVES = 60;
const PATHS = 3;
/** Largest version of the volume's content. Every byte of the volume has the version as its value. */
const VERSIONS_MAX = 200;

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function rereadWorld(seed: number): Promise<string | null> {
  setSeqModulus(MODULUS);
  try {
    const world = new RereadWorld(seed);
    await world.begin();
    let wrong: string | null = null;
    for (let moves = 0; moves < MOVES && wrong === null; moves++) wrong = await world.move();
    return wrong;
  } finally {
    setSeqModulus(SEQ_MODULUS);
  }
}

class RereadWorld {
  private readonly random: SeededRandom;
  private readonly scene = new SessionScene();
  private readonly paths = new Map<number, RawPath>();
  private next = 0;
  private seq = 0;
  /** Version of the volume when the current READ was first sent. */
  private since = 0;
  private isAnswered = true;
  private hasSent = false;
  /** Paths that owe an answer to a copy of the current READ. */
  private readonly owing = new Set<number>();

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  async begin(): Promise<void> {
    while (this.paths.size < PATHS) this.addPath();
    await this.scene.turn();
    await this.scene.open(this.paths.get(0)!);
  }

  async move(): Promise<string | null> {
    const { random, scene } = this;
    const { storage } = scene;
    const draw = random.unit();
    storage.isFast = random.chance(0.4);
    if (draw < 0.1 && storage.fill < VERSIONS_MAX) storage.fill++;
    else if (draw < 0.2) this.fence();
    else if (draw < 0.35 && storage.waiting.length > 0) storage.waiting.splice(random.int(0, storage.waiting.length - 1), 1)[0]!(0);
    else this.send();
    await scene.turn();
    return this.judge();
  }

  private addPath(): void {
    this.paths.set(this.next++, this.scene.path());
  }

  /** Ends a path, so that no copy on it is answered. */
  private fence(): void {
    const number = this.random.pick([...this.paths.keys()]);
    this.paths.delete(number);
    this.owing.delete(number);
    const { encoder } = this.random.pick([...this.paths.values()]).connection;
    encoder.message(OP.FENCE, 0, 0, 0, 0, number, Buffer.alloc(0));
    encoder.flush();
    this.addPath();
  }

  /** Sends the next READ, or a copy of the current READ on a path that owes no answer. */
  private send(): void {
    if (this.isAnswered && this.owing.size === 0 && this.random.chance(0.6)) {
      this.seq = (this.seq + 1) % MODULUS;
      this.since = this.scene.storage.fill;
      this.isAnswered = false;
      this.hasSent = true;
    } else if (!this.hasSent) return;
    const free = [...this.paths.keys()].filter((number) => !this.owing.has(number));
    if (free.length === 0) return;
    const number = this.random.pick(free);
    this.owing.add(number);
    this.paths.get(number)!.io(OP.READ, { slot: 0, seq: this.seq });
  }

  private judge(): string | null {
    for (const [number, path] of this.paths) {
      if (path.closedReason !== null) return `S1: the server closes a path: ${path.closedReason}`;
      for (const [index, line] of path.heard.entries()) {
        if (!line.startsWith('READ answer')) continue;
        if (!this.owing.delete(number)) return `S1: a path brings an answer that it does not owe: ${line}`;
        const shown = path.bodies[index]![0]!;
        if (shown < this.since) return `S1: a READ shows version ${shown} of the volume, and was sent when it had version ${this.since}`;
        this.isAnswered = true;
      }
      path.heard.length = 0;
      path.bodies.length = 0;
    }
    return null;
  }
}
