// Tests when a lost replica is rebuilt on a spare: each doubt keeps it from being rebuilt, and over random facts, a replacement is only for
// a replica that was lost long enough, never takes the last readable copy, and never goes to a server of the mirror. Rules: G57.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type HealingFacts, type HealingReplica, nextHealing } from './healing-plan.ts';

const HOUR_MS = 3_600_000;
const NOW_MS = 10 * HOUR_MS;

function replica(serverid: number, changes: Partial<HealingReplica> = {}): HealingReplica {
  return { identity: `r${serverid}`, serverid, server: `s${serverid}`, isInSync: true, isOpen: true, lostSinceMs: null, ...changes };
}

const LOST = replica(2, { isInSync: false, isOpen: false, lostSinceMs: NOW_MS - HOUR_MS });

function facts(changes: Partial<HealingFacts> = {}): HealingFacts {
  const servers = [1, 2, 3, 4].map((serverid) => ({
    name: `s${serverid}`,
    serverid,
    isConnected: serverid !== 2,
    canBeAsked: serverid !== 2,
  }));
  const known = {
    nowMs: NOW_MS,
    replaceAfterMs: HOUR_MS,
    spares: ['s3', 's4'],
    isServing: true,
    isPending: false,
    unreached: 0,
    copied: null,
  };
  return { ...known, replicas: [replica(1), LOST], voters: [1, 2, 3], servers, refused: new Set(), ...changes };
}

const away = (...ids: readonly number[]) =>
  facts().servers.map((one) => ({ ...one, isConnected: !ids.includes(one.serverid), canBeAsked: !ids.includes(one.serverid) }));

test('a replica that was lost for long enough goes to the first spare that neither votes nor has a replica', () => {
  expect(nextHealing(facts())).toEqual({ kind: 'replace', lost: LOST, spare: 's4' });
  expect(nextHealing(facts({ voters: [1, 2] }))).toMatchObject({ kind: 'replace', spare: 's3' });
});

test.each([
  ['it is off', { replaceAfterMs: null }],
  ['there is no spare', { spares: [] }],
  ['the mirror does not serve', { isServing: false }],
  ['nothing is lost', { replicas: [replica(1), replica(2)] }],
  ['a server answers, and only its replica does not', { replicas: [replica(1), replica(2, { isInSync: false, isOpen: false })] }],
])('nothing is planned if %s', (_, changes) => expect(nextHealing(facts(changes))).toEqual({ kind: 'idle' }));

test.each<[string, Partial<HealingFacts>, RegExp | null]>([
  ['its time is not over', { replicas: [replica(1), { ...LOST, lostSinceMs: NOW_MS - HOUR_MS + 1 }] }, null],
  ['no other replica has every write', { replicas: [replica(1, { isInSync: false }), LOST] }, /no other replica with every write/],
  ['the other replica in sync cannot be read', { replicas: [replica(1, { isOpen: false }), LOST] }, /no other replica with every write/],
  ['another replica is being copied', { replicas: [replica(1), LOST, replica(3, { isInSync: false })] }, /s3 lacks writes/],
  ['voters change', { isPending: true }, /not finished/],
  ['most servers are away', { servers: away(2, 3) }, /reaches only 2 of 4 servers/],
  ['servers were never reached', { unreached: 2 }, /reaches only 3 of 6 servers/],
  ['the spare is away', { servers: away(2, 4), unreached: 0, spares: ['s4'], voters: [1, 2] }, /reaches only 2 of 4|no spare/],
  ['another mirror is being copied', { copied: 'osl:www@0' }, /mirror osl:www@0 is copied first/],
  ['the spare has refused', { refused: new Set(['s4']) }, /no spare .*s4 has refused/],
  ['all spares vote', { spares: ['s3'] }, /no spare is connected and free/],
  [
    'two servers have one name',
    { servers: [...facts().servers, { name: 's4', serverid: 9, isConnected: true, canBeAsked: true }] },
    /two servers are called s4/,
  ],
  ['the spare knows no mirrors', { servers: facts().servers.map((one) => ({ ...one, canBeAsked: false })) }, /no spare/],
  ['the spare is unknown', { spares: ['s9'] }, /no spare/],
])('it waits while %s', (_, changes, why) => {
  const step = nextHealing(facts(changes));
  expect(step.kind).toBe('waits');
  if (step.kind === 'waits') expect(step.doubt?.sentence ?? '-').toMatch(why ?? /^-$/);
});

const anyReplica = fc.record({
  serverid: fc.integer({ min: 1, max: 6 }),
  isInSync: fc.boolean(),
  isOpen: fc.boolean(),
  lostSinceMs: fc.option(fc.integer({ min: 0, max: NOW_MS })),
});

test('over random facts, only a lost replica is replaced, by a free server, and the copies that are left stay', () => {
  const anyFacts = fc.record({
    all: fc.uniqueArray(anyReplica, { selector: ({ serverid }) => serverid, minLength: 1, maxLength: 4 }),
    connected: fc.subarray([1, 2, 3, 4, 5, 6], { minLength: 2 }),
    voters: fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { maxLength: 3 }),
    spares: fc.uniqueArray(fc.integer({ min: 1, max: 6 })),
    refused: fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { maxLength: 2 }),
    isPending: fc.boolean(),
    unreached: fc.integer({ min: 0, max: 2 }),
    replaceAfterMs: fc.integer({ min: 60_000, max: NOW_MS / 2 }),
  });
  let replaced = 0;
  fc.assert(
    fc.property(anyFacts, ({ all, connected, voters, spares, refused, ...more }) => {
      // A replica is lost only if neither it nor its server is there.
      const replicas = all.map((one) =>
        replica(one.serverid, { ...one, lostSinceMs: one.isOpen || connected.includes(one.serverid) ? null : one.lostSinceMs }),
      );
      const servers = [1, 2, 3, 4, 5, 6].map((serverid) => {
        const isConnected = connected.includes(serverid);
        return { name: `s${serverid}`, serverid, isConnected, canBeAsked: isConnected };
      });
      const names = (ids: readonly number[]): string[] => ids.map((id) => `s${id}`);
      const given = facts({ ...more, replicas, servers, voters, spares: names(spares), refused: new Set(names(refused)) });
      const step = nextHealing(given);
      if (step.kind !== 'replace') return;
      replaced++;
      const { lost, spare } = step;
      const id = Number(spare.slice(1));
      expect(lost.isOpen).toBe(false);
      expect(connected).not.toContain(lost.serverid);
      expect(NOW_MS - (lost.lostSinceMs ?? NOW_MS)).toBeGreaterThanOrEqual(given.replaceAfterMs ?? 0);
      expect(replicas.some((one) => one !== lost && one.isInSync && one.isOpen)).toBe(true);
      expect(connected).toContain(id);
      expect([...voters, ...replicas.map(({ serverid }) => serverid)]).not.toContain(id);
      expect(2 * connected.length).toBeGreaterThan(6 + given.unreached);
      expect(given.isPending || refused.includes(id)).toBe(false);
    }),
    { numRuns: 20_000 },
  );
  expect(replaced).toBeGreaterThan(20);
});
