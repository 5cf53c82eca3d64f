// The production owners of attachments (attachments/owners.ts of rsiod) around one volume: a person and orders claim it while it is opened,
// in use or attached again after a restart, and orders end. Invariants: an order that overwrites has the volume alone; what a person has stays
// attached; what nobody has any more is closed.

import { RsError } from '@rsio/base/lib/errors';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { type Claim, type Owner, Owners, PERSON } from '@rsio/rsiod/attachments/owners';

const [LABEL, STEPS] = ['a:db@0', 60];

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export function ownerWorld(seed: number): string | null {
  const random = new SeededRandom(seed);
  let owners = new Owners();
  let opening: Claim[] = [];
  const has = new Map<string, Owner>();
  let isAttached = false;
  const ask = (owner: Owner): void => {
    try {
      opening.push(owners.claim(LABEL, 'id', owner));
      // The claim counts from its moment on, before the server has answered.
      has.set(owner.kind === 'order' ? owner.ticket : owner.name, owner);
    } catch (thrown) {
      if (!(thrown instanceof RsError) || thrown.code !== 'E_IN_USE') throw thrown;
    }
  };
  const order = (isAlone: boolean, ticket: string): Owner => ({ kind: 'order', ticket, what: 'an order', isAlone });
  for (let step = 0; step < STEPS; step++) {
    const draw = random.unit();
    if (draw < 0.15) ask(PERSON);
    else if (draw < 0.45) ask(order(random.chance(0.5), String(step)));
    else if (draw < 0.7) {
      for (const claim of opening) owners.settle(claim);
      isAttached ||= opening.length > 0;
      opening = [];
    } else if (draw < 0.9 && opening.length === 0) {
      const ended = [...has.values()].find(({ kind }) => kind === 'order');
      if (ended?.kind === 'order') {
        has.delete(ended.ticket);
        owners.end(ended.ticket);
      }
    } else if (draw < 0.95 && opening.length === 0) {
      // rsiod is killed: orders are over, and its file names the lasting owners.
      const lasting = owners.lastingOf(LABEL);
      owners = new Owners();
      for (const name of lasting) owners.settle(owners.claim(LABEL, 'id', { kind: 'lasting', name }));
      for (const [name, { kind }] of has) if (kind === 'order') has.delete(name);
    } else if (opening.length === 0) {
      owners.drop(LABEL);
      has.clear();
    }
    if (opening.length === 0 && owners.isFree(LABEL)) {
      if (has.size > 0) return 'G50: what is wanted here is closed';
      owners.closed(LABEL);
      isAttached = false;
    }
    const all = [...has.values()];
    if (all.length > 1 && all.some((one) => one.kind === 'order' && one.isAlone))
      return 'G50: an order overwrites a volume that others have';
    if (all.length === 0 && isAttached) return 'G50: what only orders had stays attached for ever';
  }
  return null;
}
