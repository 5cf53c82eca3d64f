// Tests which client gets a volume, with examples of each rule. Random OPENs, CLOSEs, take-overs and crashes must keep the invariants.
// holds.test.ts tests the file of holds. take-over.test.ts tests that the processes of the earlier holders end first. Rules: H1, H3, G26.

import { AssertionError } from '@rsio/base/lib/assert';
import { expectNone, expectOneOf, expectSame } from '@rsio/base/testing/quick-expect';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ClientRole } from '@rsio/common/config/schema/types';
import { type OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import {
  checkHolds,
  type Claimant,
  decideOpen,
  grantFor,
  type HeldVolumeFacts,
  type Hold,
  meantVolume,
  NO_HOLDS,
  type VolumeHolds,
  withOpening,
  withRelease,
  withSettled,
} from './hold-rules.ts';

const ORACLE: HeldVolumeFacts = { id: 'id', name: 'oracle', readonly: false, shared: false, takeOver: null, takeOverForce: true };
const SHARED = { ...ORACLE, shared: true };
const LIFE = 'boot.0.0';
const LATER_LIFE = 'boot.0.1';
const OPEN: OpenRequest = { name: 'oracle', universe: 0, readonly: false, take: TAKE.NO, resume: null, mirror: null };
const BIG2: Claimant = { node: 'big-2', machine: 'm', instance: 3, process: 'p', address: '192.168.45.20' };
const MARS: Claimant = { node: 'mars', machine: 'n', instance: 1, process: 'q', address: '192.168.45.21' };

class Scene {
  entry: VolumeHolds = NO_HOLDS;
  life = LIFE;
  nowMs = 1_284_476_552_000;
  role: ClientRole | null = null;

  /** Opens the volume. Returns the identity that the client gets, or the refusal. */
  open(client: Claimant, changes: Partial<OpenRequest> = {}, volume = ORACLE): string | { status: number; sentence: string } {
    const opening = decideOpen(this.entry, volume, client, { ...OPEN, ...changes }, this.life, this.role);
    if (opening.kind === 'refused') return opening;
    this.entry = withOpening(this.entry, opening, this.life, this.nowMs);
    const grant = grantFor(this.entry, volume, opening);
    expect(grant?.epoch).toBe(this.entry.epoch);
    return grant!.identity;
  }

  close(client: Claimant): void {
    this.entry = withRelease(this.entry, client, this.entry.epoch);
  }

  get holders(): string {
    return this.entry.holds.map(({ node, readonly }) => `${node}${readonly ? ' reads' : ''}`).join(', ');
  }
}

describe('an OPEN', () => {
  test('of a held volume is refused; the refusal names the holder, since when, and what to do', () => {
    const scene = new Scene();
    scene.open(BIG2);
    expect(scene.open(MARS)).toMatchObject({
      status: STATUS.HELD,
      sentence:
        'Volume oracle is held by big-2 at 192.168.45.20 since 2010_09_14-15:02:32 (GMT): detach it there, or rsconfig -a --take-over oracle',
      holders: [{ node: 'big-2', address: '192.168.45.20', sinceMs: 1_284_476_552_000 }],
    });
  });

  test('that takes over gets the volume, and the loser is notified when it returns', () => {
    const scene = new Scene();
    const before = scene.open(BIG2) as string;
    scene.nowMs += 60_000;
    expect(scene.open(MARS, { take: TAKE.OVER })).not.toBe(before);
    expect(scene.holders).toBe('mars');
    const told = { status: STATUS.TAKEN, sentence: 'Volume oracle was taken over by mars at 192.168.45.21 on 2010_09_14-15:03:32 (GMT)' };
    expect(scene.open(BIG2, { resume: before })).toMatchObject(told);
    scene.close(MARS);
    expect(scene.open(BIG2, { resume: before }), 'also when it is free again').toMatchObject(told);
    expect(scene.open(BIG2)).toBe('id.4');
    expect(scene.open(BIG2, { resume: before }), 'nor by another hold of his own').toMatchObject({ status: STATUS.TAKEN });
  });

  test.each([
    ['no client', [], false],
    ['others', ['venus'], false],
    ['this one', ['venus', 'mars'], true],
  ])('takes a volume over only if it may: take-over is for %s', (_who, takeOver, may) => {
    const scene = new Scene();
    scene.open(BIG2);
    const volume = { ...ORACLE, takeOver };
    for (const take of [TAKE.OVER, TAKE.FORCE]) {
      const outcome = scene.open(MARS, { take }, volume);
      if (may) expect(outcome).toBe('id.2');
      else
        expect(outcome).toMatchObject({
          status: STATUS.HELD,
          sentence: expect.stringContaining('add mars to take-over in [volume oracle]') as string,
        });
    }
    expect(scene.holders).toBe(may ? 'mars' : 'big-2');
    expect(scene.open(scene.holders === 'mars' ? MARS : BIG2, { take: TAKE.OVER }, volume), 'one of its own').toBeTypeOf('string');
  });

  test('of a volume of a pool names the orders that permit a take-over, because rssrvcfg has no section of the volume', () => {
    const scene = new Scene();
    const volume = { ...ORACLE, takeOver: ['big-2'], takeOverForce: false, pool: { ids: ['fast'], isThick: false } };
    scene.open(BIG2, {}, volume);
    expect(scene.open(MARS, { take: TAKE.OVER }, volume)).toMatchObject({
      sentence: expect.stringMatching(
        /: detach it there, or an administrator lets client mars take it over: rsadm volume set oracle take-over=big-2,mars$/,
      ) as string,
    });
    // The order must not take the right from others, and the client does not learn who they are.
    expect(scene.open(MARS, { take: TAKE.OVER }, { ...volume, takeOver: ['big-2', 'pluto'] })).toMatchObject({
      sentence: expect.stringMatching(
        /take it over: add mars to its take-over, which rsadm volume show oracle shows, with rsadm volume set oracle take-over=LIST$/,
      ) as string,
    });
    scene.life = LATER_LIFE;
    expect(scene.open(MARS, { take: TAKE.FORCE }, { ...volume, takeOver: null })).toMatchObject({
      sentence: expect.stringContaining(': rsadm volume set oracle take-over-force=yes, then rsconfig') as string,
    });
  });

  test('that resumes never takes over, whatever else it requests', () => {
    const scene = new Scene();
    const before = scene.open(BIG2) as string;
    scene.open(MARS, { take: TAKE.OVER });
    expect(scene.open(BIG2, { resume: before, take: TAKE.FORCE })).toMatchObject({ status: STATUS.TAKEN });
    expect(scene.holders).toBe('mars');
  });

  test('that resumes a reader’s hold does not add a writer to others', () => {
    const scene = new Scene();
    const identity = scene.open(BIG2, { readonly: true }) as string;
    scene.open(MARS, { readonly: true });
    expect(scene.open(BIG2, { resume: identity, take: TAKE.OVER })).toMatchObject({ status: STATUS.HELD });
    expect(scene.holders).toBe('big-2 reads, mars reads');
  });

  test('of the loser names the client that took over, even if another client came later without taking over', () => {
    const scene = new Scene();
    const before = scene.open(BIG2) as string;
    scene.open(MARS, { take: TAKE.OVER });
    scene.close(MARS);
    scene.open({ ...MARS, node: 'venus' });
    expect(scene.open(BIG2, { resume: before })).toMatchObject({ sentence: expect.stringContaining('taken over by mars') as string });
  });

  test('of a volume that was shared until a restart gets no hold beside another writer', () => {
    const scene = new Scene();
    scene.open(BIG2, {}, SHARED);
    scene.open(MARS, { readonly: true }, SHARED);
    expect(scene.open(BIG2)).toMatchObject({ status: STATUS.HELD });
    expect(scene.open(BIG2, { readonly: true }), 'it would be the writer still').toMatchObject({ status: STATUS.HELD });
    expect(scene.open(MARS, { take: TAKE.OVER })).toBe('id.2');
    expect(scene.holders).toBe('mars');
  });

  test('by which a holder of a volume that was shared until a restart takes it over ends the holds of the others', () => {
    const scene = new Scene();
    scene.open(BIG2, {}, SHARED);
    scene.open(MARS, { readonly: true }, SHARED);
    scene.open(BIG2, { take: TAKE.OVER });
    expect(scene.holders).toBe('big-2');
  });

  test('that resumes a hold that is gone, but was not taken over, is refused with that reason', () => {
    const scene = new Scene();
    expect(scene.open(BIG2, { resume: 'id.9' })).toMatchObject({
      status: STATUS.TAKEN,
      sentence: expect.stringContaining('attach it again') as string,
    });
    scene.open(MARS);
    expect(scene.open(BIG2, { resume: 'id.9' })).toMatchObject({
      status: STATUS.TAKEN,
      sentence: expect.stringContaining('held by mars') as string,
    });
  });

  test("that takes over the client's own, a free or a shared volume is a plain OPEN", () => {
    const scene = new Scene();
    const first = scene.open(BIG2, { take: TAKE.OVER });
    expect(scene.open(BIG2, { take: TAKE.FORCE })).toBe(first);
    expect(scene.entry).toMatchObject({ epoch: 1, taken: null });
    const shared = new Scene();
    expect([shared.open(BIG2, {}, SHARED), shared.open(MARS, { take: TAKE.FORCE }, SHARED)]).toEqual(['id.shared.1', 'id.shared.2']);
    expect(shared.holders).toBe('big-2, mars');
    expect(shared.open(BIG2, { resume: 'id.shared.1' }, SHARED)).toBe('id.shared.1');
  });

  // Regression: after the hold of a client was released, a shared volume was rolled back. The client then overwrote the content with old
  // writes from its replay log.
  test('that resumes a hold on a shared volume which has ended is refused, also by a later hold of its own', () => {
    const scene = new Scene();
    scene.open(MARS, {}, SHARED);
    const before = scene.open(BIG2, {}, SHARED) as string;
    scene.close(BIG2);
    expect(scene.open(BIG2, { resume: before }, SHARED)).toMatchObject({ status: STATUS.TAKEN });
    expect(scene.open({ ...BIG2, node: 'venus' }, { resume: before }, SHARED)).toMatchObject({ status: STATUS.TAKEN });
    expect(scene.open(BIG2, {}, SHARED)).not.toBe(before);
    expect(scene.open(BIG2, { resume: before }, SHARED)).toMatchObject({ status: STATUS.TAKEN });
    expect(scene.holders).toBe('mars, big-2');
  });

  test('that resumes the hold that it has gets a volume that has become shared, and one that an earlier server called shared', () => {
    const scene = new Scene();
    const before = scene.open(BIG2) as string;
    expect(scene.open(BIG2, { resume: before }, SHARED), 'the client sees that it is shared, and waits').toBe('id.shared.1');
    expect(scene.open(BIG2, { resume: 'id.shared' }, SHARED), 'the client compares it with its own').toBe('id.shared');
    scene.close(BIG2);
    expect(scene.open(BIG2, { resume: 'id.shared' }, SHARED)).toMatchObject({ status: STATUS.TAKEN });
  });

  test('of a reader joins readers; a writer takes the volume from all of them', () => {
    const scene = new Scene();
    const reads = { readonly: true };
    const mine = scene.open(BIG2, reads) as string;
    scene.open(MARS, reads);
    expect(scene.holders).toBe('big-2 reads, mars reads');
    expect(scene.open(BIG2, { ...reads, resume: mine })).toBe(mine);
    expect(scene.open(BIG2)).toMatchObject({ status: STATUS.HELD, sentence: expect.stringContaining('held by mars') as string });
    expect(scene.open(BIG2, { take: TAKE.OVER }), 'it had it all the time').toBe(mine);
    expect(scene.holders).toBe('big-2');
    expect(scene.open(MARS, { ...reads, take: TAKE.OVER })).toBe('id.4');
    expect(scene.holders).toBe('mars reads');
  });

  test("of another instance replaces the older instance's hold, and syncs its writes", () => {
    const scene = new Scene();
    const before = scene.open(BIG2);
    const next = { ...BIG2, instance: 4 };
    expect(decideOpen(scene.entry, ORACLE, next, OPEN, LIFE, null)).toMatchObject({
      replaced: { instance: 3 },
      losers: [],
      needsSync: true,
    });
    expect(scene.open(next)).not.toBe(before);
    expect(scene.open(next, { resume: before as string }), 'no client resumes the hold of another instance').toMatchObject({
      status: STATUS.TAKEN,
    });
    expect(scene.entry.taken).toBeNull();
  });
});

describe('while the holder may have to rewrite what the storage has lost (H3)', () => {
  const lost = (): Scene => {
    const scene = new Scene();
    scene.open(BIG2);
    scene.life = LATER_LIFE;
    return scene;
  };

  test("a forced OPEN is refused too, unless the server's configuration allows it", () => {
    const scene = lost();
    expect(scene.open(MARS, { take: TAKE.FORCE }, { ...ORACLE, takeOverForce: false })).toMatchObject({
      status: STATUS.HELD,
      sentence: expect.stringMatching(
        /set take-over-force = yes in \[volume oracle\] of rssrvcfg, then rsconfig -a --take-over --force oracle$/,
      ) as string,
    });
    expect(scene.open(BIG2, { resume: 'id.1' })).toBe('id.1');
  });

  test.each([
    ['no section [rights]', null, true],
    ['use', 'use', false],
    ['manage', 'manage', false],
    ['admin', 'admin', true],
  ] as const)('a forced OPEN of a client with %s', (_right, role, may) => {
    const scene = lost();
    scene.role = role;
    expect(scene.open(MARS, { take: TAKE.FORCE }, { ...ORACLE, takeOverForce: false }), 'the volume must permit it too').toMatchObject({
      status: STATUS.HELD,
      sentence: expect.stringMatching(/set take-over-force = yes in \[volume oracle\] of rssrvcfg, then /) as string,
    });
    const outcome = scene.open(MARS, { take: TAKE.FORCE });
    if (may) expect(outcome).toBe('id.2');
    else
      expect(outcome).toMatchObject({
        status: STATUS.HELD,
        sentence: expect.stringMatching(
          new RegExp(`: rsadm client rights mars admin \\(its right is ${role}\\), then rsconfig -a --take-over --force oracle$`),
        ) as string,
      });
    expect(scene.holders).toBe(may ? 'mars' : 'big-2');
  });

  test('without force, no right is needed: a settled holder loses the volume to any client', () => {
    const scene = new Scene();
    scene.role = 'use';
    scene.open(BIG2);
    expect(scene.open(MARS, { take: TAKE.FORCE })).toBe('id.2');
  });

  test('a take-over is refused, and the refusal names what to do; a forced one is granted', () => {
    const scene = lost();
    expect(scene.open(MARS, { take: TAKE.OVER })).toMatchObject({
      status: STATUS.HELD,
      sentence: expect.stringMatching(/held by big-2 .* has not yet recovered .*: rsconfig -a --take-over --force oracle$/) as string,
    });
    expect(scene.open(MARS, { take: TAKE.FORCE })).toBe('id.2');
  });

  test('a take-over is granted once the holder has settled; resuming alone does not settle', () => {
    const scene = lost();
    expect(scene.open(BIG2, { resume: 'id.1' })).toBe('id.1');
    expect(scene.open(MARS, { take: TAKE.OVER })).toMatchObject({ status: STATUS.HELD });
    scene.entry = withSettled(scene.entry, BIG2, scene.entry.epoch, LATER_LIFE)!;
    expect(scene.entry.epoch, 'no hold has changed').toBe(1);
    expect(scene.open(MARS, { take: TAKE.OVER })).toBe('id.2');
  });

  test('a new OPEN of the holder has nothing to rewrite', () => {
    const scene = lost();
    expect(scene.open(BIG2)).toBe('id.1');
    expect(scene.open(MARS, { take: TAKE.OVER })).toBe('id.2');
  });

  test('readers have nothing to rewrite, and neither do holds from a file without incarnations', () => {
    const scene = new Scene();
    scene.open(BIG2, { readonly: true });
    scene.life = LATER_LIFE;
    expect(scene.open(MARS, { take: TAKE.OVER })).toBe('id.2');
    scene.entry = { ...scene.entry, holds: scene.entry.holds.map((hold) => ({ ...hold, life: null })) };
    scene.life = 'boot.1.0';
    expect(scene.open(BIG2, { take: TAKE.OVER })).toBe('id.3');
  });
});

test('a grant from before another hold of the same client neither releases nor settles that hold', () => {
  const scene = new Scene();
  scene.open(BIG2);
  const { epoch } = scene.entry;
  scene.open(MARS, { take: TAKE.OVER });
  scene.open(BIG2, { take: TAKE.OVER });
  expect(withRelease(scene.entry, BIG2, epoch)).toBe(scene.entry);
  expect(withSettled(scene.entry, BIG2, epoch, LATER_LIFE)).toBeNull();
  scene.close(BIG2);
  expect(scene.holders).toBe('');
});

test('holders stay in the order of their grants, whatever changes later', () => {
  const scene = new Scene();
  scene.open(BIG2, { readonly: true });
  scene.life = LATER_LIFE;
  scene.open(MARS, { readonly: true });
  scene.open(BIG2, { readonly: true });
  expect(scene.holders).toBe('big-2 reads, mars reads');
});

test('a reader from the first file format keeps its identity while it reads', () => {
  const hold: Hold = { ...BIG2, sinceMs: 0, readonly: true, epoch: 0, life: null };
  const scene = new Scene();
  scene.entry = { epoch: 5, holds: [hold], taken: null };
  expect(scene.open(BIG2, { readonly: true, resume: 'id.readonly' })).toBe('id.readonly');
  expect(scene.open(BIG2, { readonly: true }), 'a fresh OPEN').toBe('id.readonly');
  expect(scene.open(BIG2), 'as a writer it has one of its own').toBe('id.6');
});

const claimant = fc.record({
  node: fc.constantFrom('big-2', 'mars', 'venus'),
  machine: fc.constantFrom('m', 'n'),
  process: fc.constantFrom('p', 'q'),
  instance: fc.integer({ min: 1, max: 2 }),
  address: fc.constant('127.0.0.1'),
});
const step = fc.oneof(
  fc.record({
    kind: fc.constant('open' as const),
    client: claimant,
    readonly: fc.boolean(),
    take: fc.constantFrom(...Object.values(TAKE)),
    resume: fc.option(fc.oneof(fc.constant('own' as const), fc.nat({ max: 30 }))),
  }),
  fc.record({ kind: fc.constant('close' as const), client: claimant, back: fc.nat({ max: 3 }) }),
  fc.record({ kind: fc.constant('settle' as const), client: claimant, back: fc.nat({ max: 3 }) }),
  fc.record({ kind: fc.constant('crash' as const) }),
);

const ownerOf = ({ node, machine, instance, process }: Claimant): string => `${node} ${machine} ${instance} ${process}`;

describe.each([
  ['a volume', ORACLE],
  ['a shared volume', SHARED],
  ['a volume that is only read', { ...ORACLE, readonly: true }],
])('%s, whatever is asked', (_name, volume) => {
  test('has one writer or readers only, and each hold has its own identity', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let entry: VolumeHolds = NO_HOLDS;
        let incarnations = 0;
        const life = (): string => `life.${incarnations}`;
        /** Maps an identity to the client that got it, and to the range of epochs in which no other client had a hold. */
        const known = new Map<string, string>();
        const ended = new Set<string>();
        for (const one of steps) {
          const before = entry;
          if (one.kind === 'crash') incarnations++;
          if (one.kind === 'close') entry = withRelease(entry, one.client, entry.epoch - one.back);
          if (one.kind === 'settle') entry = withSettled(entry, one.client, entry.epoch - one.back, life()) ?? entry;
          if (one.kind === 'open') {
            const { client, readonly, take } = one;
            const own = entry.holds.find(({ node }) => node === client.node)?.epoch ?? 0;
            const epoch = one.resume === 'own' ? own : one.resume;
            const resume = epoch === null ? null : `id.${volume.shared ? 'shared.' : ''}${epoch}`;
            const opening = decideOpen(entry, volume, client, { ...OPEN, readonly, take, resume }, life(), null);
            if (opening.kind === 'refused') {
              expectOneOf([STATUS.HELD, STATUS.TAKEN], opening.status);
              if (take !== TAKE.NO && resume === null) {
                expectSame(take, TAKE.OVER, 'what is forced is not refused');
                expectSame(
                  before.holds.some((hold) => hold.life !== life()),
                  true,
                );
              }
              continue;
            }
            if (resume !== null || take === TAKE.NO) expectNone(opening.losers);
            const endsWriter = [...opening.losers, ...(opening.replaced === null ? [] : [opening.replaced])].some((hold) => !hold.readonly);
            expectSame(opening.needsSync, endsWriter);
            entry = withOpening(entry, opening, life(), 0);
            const grant = grantFor(entry, volume, opening);
            expect(grant, 'who is granted it holds it').not.toBeNull();
            if (resume !== null) expectSame(grant!.identity, resume);
            expectSame(ended.has(grant!.identity), false, 'a hold that has ended');
            expectSame(known.get(grant!.identity) ?? ownerOf(client), ownerOf(client));
            known.set(grant!.identity, ownerOf(client));
            if (!volume.shared && !readonly && !volume.readonly) expect(entry.holds.map(ownerOf)).toEqual([ownerOf(client)]);
          }
          if (!volume.shared) {
            const writers = entry.holds.filter((hold) => !hold.readonly).length;
            expectSame(writers === 0 || (writers === 1 && entry.holds.length === 1), true);
          }
          for (const hold of before.holds) {
            if (!entry.holds.some((now) => now.epoch === hold.epoch)) ended.add(`id.${volume.shared ? 'shared.' : ''}${hold.epoch}`);
          }
          expectSame(new Set(entry.holds.map(({ node }) => node)).size, entry.holds.length, 'one hold for each node');
          const sets = [before, entry].map(({ holds }) => holds.map((hold) => `${ownerOf(hold)} ${hold.epoch} ${hold.readonly}`).join());
          expectSame(entry.epoch > before.epoch, sets[0] !== sets[1]);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the volume that an OPEN means', () => {
  const [oracle, other] = [
    { id: 'a', name: 'oracle', universe: 0 },
    { id: 'b', name: 'other', universe: 0 },
  ];
  const meant = (name: string, resume: string | null, universe = 0) => meantVolume([oracle, other], { name, universe, resume });

  test('is the one of its name and universe', () => {
    expect([meant('oracle', null), meant('oracle', null, 1), meant('x', null)]).toEqual([oracle, null, null]);
  });

  test('is the one that the client had, if it resumes, whatever the name of that is now', () => {
    for (const hold of ['3', 'readonly', 'shared', 'shared.4']) expect(meant('other', `a.${hold}`), hold).toBe(oracle);
    expect(meant('oracle', 'gone.3'), 'one that is not there: whoever has the name is refused as taken').toBe(oracle);
    expect(meant('x', 'gone.3')).toBeNull();
  });
});

describe('a mistake of the server', () => {
  const held = (client: Claimant, epoch: number): Hold => ({ ...client, sinceMs: 1, readonly: false, epoch, life: LIFE });
  const before: VolumeHolds = { epoch: 5, holds: [held(BIG2, 3)], taken: null };

  test.each<readonly [string, VolumeHolds]>([
    ['The epoch of a volume falls', { ...before, epoch: 4 }],
    ['A hold is later than its volume', { ...before, epoch: 6, holds: [held(MARS, 7)] }],
    ['A node has two holds of one volume', { ...before, epoch: 6, holds: [held(BIG2, 3), held(BIG2, 6)] }],
    ['A hold begins at an epoch that was in use', { ...before, epoch: 6, holds: [held(BIG2, 3), held(MARS, 5)] }],
    ['A hold begins at an epoch that was in use', { ...before, epoch: 6, holds: [held({ ...BIG2, instance: 4 }, 3)] }],
    ['The holds of a volume change, and its epoch does not', { ...before, holds: [] }],
  ])('%s', (text, after) => {
    expect(() => checkHolds(before, after)).toThrow(new AssertionError(text));
  });

  test('no change, and a hold that begins, ends or recovers its writes, are none', () => {
    checkHolds(before, before);
    checkHolds(before, { ...before, epoch: 6, holds: [...before.holds, held(MARS, 6)] });
    checkHolds(before, { ...before, epoch: 6, holds: [] });
    checkHolds(before, { ...before, holds: [{ ...held(BIG2, 3), life: LATER_LIFE }] });
  });

  test('is looked for in time that grows with the number of holds, and not with its square', () => {
    let looks = 0;
    const watched = (hold: Hold): Hold => Object.defineProperty({ ...hold }, 'epoch', { get: () => (looks++, hold.epoch) });
    const holds = Array.from({ length: 100 }, (_unused, index) =>
      watched({ ...held(MARS, index + 1), node: `node${index}`, readonly: true }),
    );
    checkHolds({ epoch: 100, holds, taken: null }, { epoch: 101, holds: [...holds, held(BIG2, 101)], taken: null });
    expect(looks).toBeGreaterThan(0);
    expect(looks).toBeLessThan(10 * holds.length);
  });
});
