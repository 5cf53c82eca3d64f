// A client of a volume that is shared, read-only or only its own, over sessions and incarnations of the storage (L3). The judge sees only
// the frames. Invariant: the client of a shared volume sends every change with FUA, and never sends an answered change again, because it
// could overwrite the newer write of another client.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { Attachment } from '@rsio/protocol/client/attachment';
import { SlabPool } from '@rsio/protocol/client/replay/replay-blocks';
import { ReplayLog } from '@rsio/protocol/client/replay/replay-log';
import { RevokeScene } from '@rsio/protocol/testing/revoke-scene';
import { FLAG, OP } from '@rsio/protocol/wire/frames';
import { TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';

const [STEPS, SECTORS, LOG_BYTES] = [40, 16, 8 << 20];

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function sharedLogWorld(seed: number): Promise<string | null> {
  const random = new SeededRandom(seed);
  const log = new ReplayLog(LOG_BYTES, new SlabPool(4), null);
  const world = new RevokeScene(1, new Attachment('archive', 0, false, TAKE.NO, log));
  const shared = random.chance(0.7);
  let [life, handle, unanswered] = [0, 7, 0];
  const open = (): void => world.answerOpen({ handle: handle++, shared, life: `life-${life}` });
  open();
  for (let step = 0; step < STEPS; step++) {
    switch (random.int(0, 7)) {
      case 0:
        if (random.chance(0.5)) life++;
        world.loseSession();
        open();
        break;
      case 1:
        if (world.open(OP.FLUSH).length === 0) world.submit(OP.FLUSH);
        break;
      case 2:
      case 3:
      case 4:
        world.submit(OP.WRITE, random.int(0, SECTORS - 1));
        unanswered++;
        break;
      default: {
        const op = random.pick([OP.WRITE, OP.FLUSH]);
        if (world.open(op).length === 0) break;
        world.answer(op, STATUS.OK);
        if (op === OP.WRITE) unanswered--;
      }
    }
    if (!shared) continue;
    const writes = world.open(OP.WRITE);
    if (writes.some(({ frame }) => (frame.header.flags & FLAG.FUA) === 0)) return 'L3: a change of a shared volume is sent without FUA';
    if (writes.length > unanswered) return `L3: ${writes.length} changes of a shared volume are in flight, and ${unanswered} unanswered`;
  }
  return null;
}
