// Two clients take a volume from each other and write its gate record, even under grants that they have lost. The storage of the pool
// answers late, and the pool gives changes up meanwhile. Invariant (D2): no record is written after the other client got a later grant, or
// after a later record of the same grant.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { BIG2, MARS, OVER, turns } from '@rsio/rssrv/testing/contenders';
import { RecordScene } from '@rsio/rssrv/testing/record-scene';

const MOVES = 40;
const CLIENTS = [BIG2, MARS];

/** A part of the simulated pool that waits for the world to let it go on. */
interface Waiting {
  readonly promise: Promise<void>;
  pass(): void;
}

function waiting(): Waiting {
  let pass = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    pass = resolve;
  });
  return { promise, pass };
}

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function recordWorld(seed: number): Promise<string | null> {
  const world = new RecordWorld(seed);
  for (let moves = 0; moves < MOVES && world.fault === null; moves++) {
    world.move();
    await turns();
  }
  return world.fault;
}

class RecordWorld {
  fault: string | null = null;
  private readonly random: SeededRandom;
  private readonly scene = new RecordScene();
  /** The last epoch that was granted to each client; -1 if it was never granted. */
  private readonly epochs = CLIENTS.map(() => -1);
  private granted = -1;
  private number = 0;
  private landed = { epoch: -1, number: 0 };
  private readonly replacing: Waiting[] = [];
  private limit = waiting();
  private place = waiting();

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    const { files } = this.scene;
    files.replaceRecord = async (_id, record) => {
      const storage = waiting();
      this.replacing.push(storage);
      await storage.promise;
      this.lands(JSON.parse(record.toString()) as { epoch: number; number: number });
    };
    this.renew();
  }

  move(): void {
    const { random } = this;
    const draw = random.unit();
    if (draw < 0.2) this.opens(random.int(0, 1));
    else if (draw < 0.55) this.writes(random.int(0, 1));
    else if (draw < 0.7) this.place.pass();
    else if (draw < 0.8) this.giveUp();
    else if (this.replacing.length > 0) this.replacing.splice(random.int(0, this.replacing.length - 1), 1)[0]!.pass();
  }

  private opens(index: number): void {
    void this.scene.open(CLIENTS[index]!, OVER).then((grant) => {
      if (!grant.granted) return;
      this.epochs[index] = grant.epoch;
      this.granted = Math.max(this.granted, grant.epoch);
    });
  }

  private writes(index: number): void {
    const epoch = this.epochs[index]!;
    if (epoch >= 0) void this.scene.write(CLIENTS[index]!, epoch, JSON.stringify({ epoch, number: ++this.number }));
  }

  /** The pool gives up the changes that have not ended; their work goes on. */
  private giveUp(): void {
    this.limit.pass();
    this.renew();
  }

  private renew(): void {
    const before = this.place;
    this.limit = waiting();
    this.place = waiting();
    this.scene.limit = this.limit.promise;
    this.scene.place = this.place.promise;
    // What was given up may begin later.
    if (this.random.chance(0.5)) before.pass();
    else void this.place.promise.then(() => before.pass());
  }

  private lands({ epoch, number }: { readonly epoch: number; readonly number: number }): void {
    if (epoch < this.granted) this.fault = `D2: a record of epoch ${epoch} was written after the grant of epoch ${this.granted}`;
    else if (epoch === this.landed.epoch && number < this.landed.number)
      this.fault = `D2: record ${number} was written after record ${this.landed.number}`;
    this.landed = { epoch, number };
  }
}
