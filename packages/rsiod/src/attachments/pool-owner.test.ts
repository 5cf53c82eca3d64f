// Tests which server owns the pool of a volume, and when an attached volume moves to this server. farm-moves.test.ts tests the moves
// themselves. Rules: F9.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Attachment } from '@rsio/protocol/client/attachment';
import { TAKE } from '@rsio/protocol/wire/messages';
import { claimKey, nextOwner, noteRefusals, type OwnedOffer, ownerKey, ownersOf } from './pool-owner.ts';

type TestOffer = OwnedOffer & { readonly serverid: number };

function offer(serverid: number, poolGeneration: number | null, isConnected = true, id = 'one', poolId: string | null = null): TestOffer {
  return { namespace: 'osl', id, serverid, isConnected, poolGeneration, poolId };
}

function inPool(poolId: string | null, serverid: number, poolGeneration: number, isConnected = true): TestOffer {
  return offer(serverid, poolGeneration, isConnected, 'one', poolId);
}

function topOf(offers: Iterable<TestOffer>): readonly TestOffer[] {
  return ownersOf(offers).get(ownerKey('osl', 'one')) ?? [];
}

test.each([
  ['nobody, if no server names a generation', [offer(1, null), offer(2, null)], []],
  ['the only server', [offer(1, 1)], [1]],
  ['the highest generation, first', [offer(1, 7), offer(2, 6)], [1]],
  ['the highest generation, last', [offer(1, 6), offer(2, 7), offer(3, null)], [2]],
  ['no server that is not connected', [offer(1, 6), offer(2, 7, false)], [1]],
  ['nobody, if none is connected', [offer(1, 6, false)], []],
  ['generation 0 counts', [offer(1, 0), offer(2, null)], [1]],
  ['no server of another volume', [offer(1, 6), offer(2, 9, true, 'two')], [1]],
  ['one server for each pool', [inPool('fast', 1, 6), inPool('slow', 2, 2), inPool('slow', 3, 3), inPool('fast', 4, 5)], [1, 3]],
])('the owner is %s', (_what, offers, serverids) => {
  expect(topOf(offers).map(({ serverid }) => serverid)).toEqual(serverids);
  expect(ownersOf(offers).get(ownerKey('dev', 'one'))).toBeUndefined();
});

const [FAST, SLOW] = ['fast', 'slow'];
const AT = { serverid: 1, ownership: { poolId: FAST, generation: 5 }, isGuess: false, refused: new Set<string>() };
const MINE = inPool(FAST, 1, 5);
const SLOWER = inPool(SLOW, 2, 3);

test.each([
  ['a higher generation at another server', {}, [inPool(FAST, 2, 6)], 2],
  ['an equal generation', {}, [inPool(FAST, 2, 5)], null],
  ['a lower generation: a zombie', {}, [inPool(FAST, 2, 4)], null],
  ['a higher generation at the same server', {}, [inPool(FAST, 1, 6)], null],
  ['a volume that was not in a shared pool', { ownership: null }, [inPool(FAST, 2, 6)], null],
  ['a server without a generation', {}, [offer(2, null)], null],
  ['a server that is not connected', {}, [inPool(FAST, 2, 6, false)], null],
  ['servers that name no pool', { ownership: { poolId: null, generation: 5 } }, [offer(2, 6)], 2],
  ['a higher generation in another pool: numbers of two pools mean nothing', {}, [MINE, inPool(SLOW, 2, 99)], null],
  ['another pool, if the own server offers the volume no longer', {}, [SLOWER], 2],
  ['another pool, although a zombie lists the old pool', {}, [inPool(FAST, 3, 4), SLOWER], 2],
  ['another pool, if the own server has refused OPEN', { refused: new Set([claimKey(MINE)]) }, [MINE, SLOWER], 2],
  ['a server that has refused, too', { refused: new Set([claimKey(MINE), claimKey(SLOWER)]) }, [MINE, SLOWER], null],
  ['that server under a later ownership', { refused: new Set([claimKey(MINE), '2 slow 2']) }, [MINE, SLOWER], 2],
  ['a higher generation in the pool rather than another pool', {}, [inPool(SLOW, 3, 9), inPool(FAST, 2, 6)], 2],
  ['a guess waits for its OPEN, even if the old owner is back', { serverid: 2, isGuess: true }, [MINE, SLOWER], null],
  ['a refused guess goes back', { serverid: 2, isGuess: true, refused: new Set([claimKey(SLOWER)]) }, [MINE, SLOWER], 1],
  ['a guess follows a higher generation', { serverid: 2, isGuess: true }, [inPool(FAST, 3, 6), SLOWER], 3],
  ['a guess that lost its pool to a higher generation', { serverid: 2, isGuess: true }, [SLOWER, inPool(SLOW, 3, 4)], 3],
])('%s', (_what, at, offers, serverid) => {
  expect(nextOwner({ ...AT, ...at }, topOf(offers))?.serverid ?? null).toBe(serverid);
});

test('whatever lists arrive in whatever order, the generations of an attachment only grow, and it never waits for a move that is due', () => {
  const list = fc.record({ serverid: fc.integer({ min: 1, max: 4 }), poolGeneration: fc.integer({ min: 1, max: 30 }) });
  fc.assert(
    fc.property(fc.array(list, { minLength: 1, maxLength: 30 }), (lists) => {
      let at = { ...AT, ownership: { poolId: FAST, generation: 0 } };
      const offers = new Map<number, TestOffer>();
      for (const { serverid, poolGeneration } of lists) {
        offers.set(serverid, inPool(FAST, serverid, poolGeneration));
        const owner = nextOwner(at, topOf(offers.values()));
        if (owner === null) continue;
        expect(owner.poolGeneration).toBeGreaterThan(at.ownership.generation);
        at = { ...at, serverid: owner.serverid, ownership: { poolId: FAST, generation: owner.poolGeneration! } };
      }
      expect(nextOwner(at, topOf(offers.values()))).toBeNull();
    }),
  );
});

test('a refusal is remembered through a round of guesses: it ends with a grant, and the others end with a second refusal', () => {
  const refused = new Set<string>();
  const note = (refusals: number, isGuess: boolean, mine: TestOffer): string[] => {
    noteRefusals(refused, { refusals, isGuess }, mine);
    return [...refused];
  };
  expect(note(1, false, MINE)).toEqual(['1 fast 5']);
  expect(note(0, true, SLOWER)).toEqual(['1 fast 5']);
  expect(note(1, true, SLOWER)).toEqual(['1 fast 5', '2 slow 3']);
  expect(note(2, true, SLOWER)).toEqual(['2 slow 3']);
  expect(note(0, false, SLOWER)).toEqual([]);
});

/**
 * Three servers, two shared pools and one volume. A server that has lost a pool continues to list the volume until it learns of the loss.
 */
class World {
  readonly owners = new Map([
    [FAST, { serverid: 1, generation: 6 }],
    [SLOW, { serverid: 1, generation: 2 }],
  ]);
  pool: string = FAST;
  readonly lists = new Map<number, TestOffer>();
  readonly attachment = new Attachment('one', 0, false, TAKE.NO, null);
  readonly refused = new Set<string>();
  at = 1;
  isGranted = true;
  moves = 0;

  constructor() {
    this.attachment.sees({ poolId: FAST, generation: 6 });
    this.lists.set(1, inPool(FAST, 1, 6));
  }

  get owner(): { serverid: number; generation: number } {
    return this.owners.get(this.pool)!;
  }

  /** The server becomes the owner of the pool and lists the volume; the earlier owner does not notice. */
  take(poolId: string, serverid: number): void {
    this.owners.set(poolId, { serverid, generation: this.owners.get(poolId)!.generation + 1 });
    this.listIt();
  }

  /** A job moves the volume, if one server owns both pools. */
  moveVolume(): void {
    const other = this.pool === FAST ? SLOW : FAST;
    if (this.owners.get(other)!.serverid === this.owner.serverid) this.pool = other;
    this.listIt();
  }

  learn(serverid: number): void {
    if (serverid !== this.owner.serverid) this.lists.delete(serverid);
  }

  private listIt(): void {
    const { serverid, generation } = this.owner;
    this.lists.set(serverid, inPool(this.pool, serverid, generation));
  }

  /** The server checks who owns the pool and answers the OPEN of the attachment; then the client decides. */
  step(): void {
    const { attachment, owner } = this;
    const isOwner = this.at === owner.serverid;
    if (this.isGranted && !isOwner) this.isGranted = false;
    else if (isOwner) {
      Object.assign(attachment, { isGuess: false, refusals: 0 });
      attachment.sees({ poolId: this.pool, generation: owner.generation });
      this.isGranted = true;
    } else attachment.misplaced();
    this.decide();
  }

  decide(): void {
    const { attachment } = this;
    const owners = topOf(this.lists.values());
    const mine = owners.find(({ serverid }) => serverid === this.at);
    noteRefusals(this.refused, attachment, mine);
    const seen = (one: TestOffer): { poolId: string | null; generation: number } => ({
      poolId: one.poolId,
      generation: one.poolGeneration!,
    });
    if (mine !== undefined && !attachment.isGuess && attachment.refusals === 0) attachment.sees(seen(mine));
    const { ownership, isGuess } = attachment;
    const next = nextOwner({ serverid: this.at, ownership, isGuess, refused: this.refused }, owners);
    if (next === null) return;
    expect(next.serverid).not.toBe(this.at);
    attachment.movedTo(seen(next));
    this.at = next.serverid;
    this.isGranted = false;
    this.moves++;
  }
}

test('whichever server takes which pool and whatever zombies list, the attachment comes to the owner and stays there', () => {
  const serverid = fc.integer({ min: 1, max: 3 });
  const event = fc.oneof(
    fc.record({ poolId: fc.constantFrom(FAST, SLOW), serverid }),
    fc.constant('move' as const),
    serverid,
    fc.constant('step' as const),
  );
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 30 }), (events) => {
      const world = new World();
      for (const one of events) {
        if (one === 'step') world.step();
        else if (one === 'move') world.moveVolume();
        else if (typeof one === 'number') world.learn(one);
        else world.take(one.poolId, one.serverid);
        world.decide();
      }
      for (let times = 0; times < 12; times++) world.step();
      expect([world.at, world.isGranted]).toEqual([world.owner.serverid, true]);
      const { moves } = world;
      for (let times = 0; times < 5; times++) world.step();
      expect(world.moves).toBe(moves);
      expect(world.attachment.ownership).toEqual({ poolId: world.pool, generation: world.owner.generation });
    }),
    { numRuns: 2_000 },
  );
});
