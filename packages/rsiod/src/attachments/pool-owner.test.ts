// Tests which server owns the pool of a volume, and when an attached volume goes there. farm-moves.test.ts tests the moves themselves.
// Rules: F9.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mustMove, type OwnedOffer, ownerKey, ownersOf } from './pool-owner.ts';

function offer(serverid: number, poolGeneration: number | null, isConnected = true, id = 'one'): OwnedOffer & { serverid: number } {
  return { namespace: 'osl', id, serverid, isConnected, poolGeneration };
}

test.each([
  ['nobody, if no server names a generation', [offer(1, null), offer(2, null)], null],
  ['the only server', [offer(1, 1)], 1],
  ['the highest generation, first', [offer(1, 7), offer(2, 6)], 1],
  ['the highest generation, last', [offer(1, 6), offer(2, 7), offer(3, null)], 2],
  ['no server that is not connected', [offer(1, 6), offer(2, 7, false)], 1],
  ['nobody, if none is connected', [offer(1, 6, false)], null],
  ['generation 0 counts', [offer(1, 0), offer(2, null)], 1],
  ['no server of another volume', [offer(1, 6), offer(2, 9, true, 'two')], 1],
])('the owner is %s', (_what, offers, serverid) => {
  expect(ownersOf(offers).get(ownerKey('osl', 'one'))?.serverid ?? null).toBe(serverid);
  expect(ownersOf(offers).get(ownerKey('dev', 'one'))).toBeUndefined();
});

test.each([
  ['a higher generation at another server', 1, 5, offer(2, 6), true],
  ['an equal generation', 1, 5, offer(2, 5), false],
  ['a lower generation: a zombie', 1, 5, offer(2, 4), false],
  ['a higher generation at the same server', 1, 5, offer(1, 6), false],
  ['a volume that was not in a shared pool', 1, null, offer(2, 6), false],
  ['a server without a generation', 1, 5, offer(2, null), false],
  ['a server that is not connected', 1, 5, offer(2, 6, false), false],
])('%s', (_what, serverid, generation, owner, isMove) => {
  expect(mustMove({ serverid, generation }, owner)).toBe(isMove);
});

test('whatever lists arrive in whatever order, the generations of an attachment only grow, and it never waits for a move that is due', () => {
  const list = fc.record({ serverid: fc.integer({ min: 1, max: 4 }), poolGeneration: fc.integer({ min: 1, max: 30 }) });
  fc.assert(
    fc.property(fc.array(list, { minLength: 1, maxLength: 30 }), (lists) => {
      let at = { serverid: 1, generation: 0 };
      const offers = new Map<number, OwnedOffer & { serverid: number }>();
      for (const { serverid, poolGeneration } of lists) {
        offers.set(serverid, offer(serverid, poolGeneration));
        const owner = ownersOf(offers.values()).get(ownerKey('osl', 'one'))!;
        if (!mustMove(at, owner)) continue;
        expect(owner.poolGeneration).toBeGreaterThan(at.generation);
        at = { serverid: owner.serverid, generation: owner.poolGeneration! };
      }
      expect(mustMove(at, ownersOf(offers.values()).get(ownerKey('osl', 'one'))!)).toBe(false);
    }),
  );
});
