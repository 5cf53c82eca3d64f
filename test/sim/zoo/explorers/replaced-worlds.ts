// A client with a volume, which its server tells that another instance has replaced it (R5): by BYE or by REFUSE, or by a REFUSE of an
// unproven peer. Invariant: only a proven message ends the I/O, with TAKEN, and then no further session begins; otherwise the I/O waits.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { Farewell } from '@rsio/protocol/wire/messages';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { Scene } from '@rsio/rsiod/testing/attachments-scene';

const WRITES_MAX = 4;
/** Long enough for all attempts to connect again, and shorter than the stall time of the volume. */
const LATER_MS = 30_000;
const SAID = { code: 'E_REPLACED', sentence: 'Node node was started anew at 192.168.10.2' } as const;

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function replacedWorld(seed: number): Promise<string | null> {
  const random = new SeededRandom(seed);
  const scene = new Scene(random.pick(['none', 'all']));
  const { scripted } = scene;
  await scene.attached();
  const writes: number[][] = [];
  for (let count = random.int(1, WRITES_MAX); count > 0; count--) writes.push(await scene.write(1));
  const how = random.pick(['bye', 'refuse', 'unproved'] as const);
  const welcomes = scripted.decide;
  scripted.decide = (path) => {
    if (how === 'unproved') path.refuseUnproved(SAID.code, SAID.sentence);
    else path.refuse(SAID.code, SAID.sentence);
  };
  if (how === 'bye') scene.path!.say(OP.BYE, 0, Farewell.encode(SAID));
  else scripted.loseSession();
  await scene.pass(LATER_MS);
  const statuses = writes.map((done) => done.join());
  const expected = how === 'unproved' ? '' : String(STATUS.TAKEN);
  if (statuses.some((status) => status !== expected)) return `R5: after ${how}, the writes have ended with ${statuses.join(' ')}`;
  // From now on, the server would welcome the client.
  scripted.decide = welcomes;
  const sessions = scripted.paths.length;
  await scene.pass(LATER_MS);
  const begun = scripted.paths.length > sessions;
  return begun === (how === 'unproved') ? null : `R5: after ${how}, the client has begun ${begun ? 'a' : 'no'} further session`;
}
