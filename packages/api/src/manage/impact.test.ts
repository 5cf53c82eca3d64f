// Tests what is said to stop, to move and to lose redundancy. `npm run drill -- impact` compares it with what happens to real daemons.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { replication, sharedPool, volume } from '../testing/server-views.ts';
import type { MirrorSummary } from '../views/mirror-views.ts';
import { type Impact, IMPACT_EFFECTS, type ImpactFacts, impactOf, type ImpactServer, impactText, type SwitchedOff } from './impact.ts';

const NAMES = ['big-9', 'big-8', 'big-7'];

function server(name: string, changes: Partial<ImpactServer> = {}): ImpactServer {
  return { namespace: 'osl', server: name, trouble: null, volumes: [], shared: [], replications: [], ...changes };
}

function facts(changes: Partial<ImpactFacts> = {}): ImpactFacts {
  return { servers: NAMES.map((name) => server(name)), mirrors: [], gaps: [], paths: [], gates: [], applications: [], ...changes };
}

function off(servers: readonly string[], changes: Partial<SwitchedOff> = {}): SwitchedOff {
  return { namespace: 'osl', servers: new Set(servers), clients: new Set(), pools: new Set(), isCut: () => false, ...changes };
}

/** A mirror with replicas on these servers, and all as voters. `lagging`: replicas that lack writes. */
function mirror(
  replicas: readonly string[],
  witness: string | null,
  changes: Partial<MirrorSummary> = {},
  lagging: readonly string[] = [],
): MirrorSummary {
  const voters = [...replicas, ...(witness === null ? [] : [witness])];
  return {
    namespace: 'osl',
    name: 'db',
    universe: 0,
    mirror: 'm1',
    state: 'known',
    sizeBytes: 1,
    replicas: replicas.map((one, index) => ({
      ...{ server: one, serverid: index, volume: 'db', universe: 0, inSync: !lagging.includes(one) },
      ...{ isReachable: true, isSilent: false, copy: null },
    })),
    voters: voters.map((one, index) => ({ server: one, serverid: index, answers: true, isSilent: false, trouble: null })),
    majority: Math.floor(voters.length / 2) + 1,
    holder: 'big-2',
    ...changes,
  };
}

const short = (impacts: readonly Impact[]): string[] =>
  impacts.map(({ effect, kind, name, to }) => `${effect} ${kind} ${name}${to === null ? '' : ` ${to}`}`);
const held = { holders: [{ node: 'big-2' }] } as unknown as Partial<ImpactServer['volumes'][number]>;

test('a volume stops with its only server, and moves where another server offers the same one', () => {
  const db = volume({ name: 'db', id: 'v1', pool: 'fast', ...held });
  const same = volume({ name: 'lun', id: 'v2', pool: null });
  const all = facts({
    servers: [server('big-9', { volumes: [db, same] }), server('big-8', { volumes: [same] }), server('big-7', { volumes: [same] })],
  });
  expect(short(impactOf(all, off(['big-9'])))).toEqual(['stops volume osl:db@0', 'degraded volume osl:lun@0 big-8']);
  expect(short(impactOf(all, off(['big-9', 'big-8'])))).toEqual(['stops volume osl:db@0', 'moves volume osl:lun@0 big-7']);
  expect(impactOf(all, off(['big-9']))[0]).toMatchObject({ users: ['big-2'], first: 'detach it at big-2, or move it' });
  expect(short(impactOf(all, off([], { pools: new Set(['big-9/fast']) })))).toEqual(['stops volume osl:db@0']);
  expect(short(impactOf(all, off([], { clients: new Set(['big-2']) })))).toEqual([]);
  expect(impactOf(all, off(['big-7']))).toMatchObject([{ effect: 'degraded' }]);
});

test('a server that is cut from this machine counts as off', () => {
  const path = (name: string, localAddress: string, address: string) => ({ namespace: 'osl', server: name, localAddress, address });
  const all = facts({
    servers: [server('big-9', { volumes: [volume({ id: 'v1' })] })],
    paths: [path('big-9', '10.0.0.2', '10.0.0.9'), path('big-9', '10.0.1.2', '10.0.1.9')],
  });
  const cut = (...addresses: readonly string[]): Impact[] => impactOf(all, off([], { isCut: (address) => addresses.includes(address) }));
  expect(cut('10.0.0.9')).toEqual([]);
  expect(short(cut('10.0.0.9', '10.0.1.2'))).toEqual(['stops volume osl:oracle@0']);
});

test.each([
  ['a shared pool moves to its next owner', {}, ['big-9'], ['moves pool fast big-8', 'moves volume osl:oracle@0 big-8']],
  ['the next owner is off, too', {}, ['big-9', 'big-8'], ['stops pool fast', 'stops volume osl:oracle@0']],
  ['another owner is lost', {}, ['big-8'], ['degraded pool fast', 'degraded volume osl:oracle@0']],
  ['only a command moves it', { takeOverMs: null, next: null }, ['big-9'], ['stops pool fast', 'stops volume osl:oracle@0']],
  ['no server serves it', { state: 'interrupted' as const }, ['big-7'], ['stops pool fast', 'stops volume osl:oracle@0']],
] as const)('%s', (_, changes, servers, expected) => {
  const volumes = [volume({ id: 'v1', pool: 'fast' })];
  // Another pool of this name, which is no shared one.
  const local = server('big-7', { volumes: [volume({ name: 'other', id: 'v2', pool: 'fast' })] });
  const all = facts({
    servers: [
      server('big-9', { volumes, shared: [sharedPool(changes)] }),
      server('big-8', { shared: [sharedPool({ ...changes, isHere: false })] }),
      local,
    ],
  });
  expect(short(impactOf(all, off(servers))).filter((one) => !one.includes('osl:other'))).toEqual(expected);
  expect(short(impactOf(all, off(['big-9']))).join()).not.toContain('osl:other');
});

test.each([
  ['two replicas and a witness: one replica is lost', mirror(['big-9', 'big-8'], 'big-7'), ['big-9'], 'degraded'],
  ['the witness is lost', mirror(['big-9', 'big-8'], 'big-7'), ['big-7'], 'degraded'],
  ['a replica and the witness are lost', mirror(['big-9', 'big-8'], 'big-7'), ['big-9', 'big-7'], 'stops'],
  ['two replicas without a witness', mirror(['big-9', 'big-8'], null), ['big-8'], 'stops'],
  ['the other replica lacks writes', mirror(['big-9', 'big-8'], 'big-7', {}, ['big-8']), ['big-9'], 'stops'],
  [
    'a replica that lacks writes is lost with the witness: the holder goes on',
    mirror(['big-9', 'big-8'], 'big-7', {}, ['big-8']),
    ['big-8', 'big-7'],
    'degraded',
  ],
  ['the same without a holder', mirror(['big-9', 'big-8'], 'big-7', { holder: null }, ['big-8']), ['big-8', 'big-7'], 'stops'],
  ['three replicas: one is left', mirror(NAMES, null), ['big-9', 'big-8'], 'stops'],
  ['its voters do not tell', mirror(NAMES, null, { state: 'unknown' }), ['big-9'], 'unknown'],
] as const)('a mirror: %s', (_, one, servers, effect) => {
  expect(short(impactOf(facts({ mirrors: [one] }), off(servers)))).toEqual([`${effect} mirror osl:db@0`]);
  expect(impactOf(facts({ mirrors: [one] }), off(['big-1']))).toEqual([]);
});

test('a mirror loses the replica in a pool that is off, and its server still votes', () => {
  const replica = volume({ name: 'db', id: 'r1', pool: 'fast', mirror: 'm1' });
  const two = facts({ servers: [server('big-9', { volumes: [replica] }), server('big-8')], mirrors: [mirror(['big-9', 'big-8'], null)] });
  const pools = new Set(['big-9/fast']);
  expect(short(impactOf(two, off([], { pools })))).toEqual(['degraded mirror osl:db@0']);
  expect(short(impactOf(two, off(['big-8'], { pools })))).toEqual(['stops mirror osl:db@0']);
});

test('what a server that does not answer has is unknown', () => {
  const all = facts({ servers: [server('big-9', { trouble: 'Connection refused' }), server('big-8')], gaps: ['big-9 does not answer'] });
  expect(short(impactOf(all, off(['big-8'])))).toEqual(['unknown server big-9', 'unknown mirror -']);
});

test('replications, gates and applications follow what they need', () => {
  const mirrors = [mirror(['big-9', 'big-8'], null)];
  const gate = { name: 'esx', hosts: ['iqn.a'], volumes: [{ label: 'osl:db@0' }] } as unknown as ImpactFacts['gates'][number];
  const application = {
    name: 'shop',
    on: 'big-2',
    nodes: ['big-2', 'venus'],
    next: 'venus',
    volumes: ['db'],
  } as unknown as ImpactFacts['applications'][number];
  const servers = [server('big-9', { replications: [replication({ direction: 'out', peer: 'oslo-1' })] })];
  const all = facts({ servers, mirrors, gates: [gate], applications: [application] });
  expect(short(impactOf(all, off(['big-9'])))).toEqual([
    'stops mirror osl:db@0',
    expect.stringMatching(/^stops replication .* to oslo-1$/),
    'stops gate esx',
    'stops application shop',
  ]);
  expect(short(impactOf(all, off([], { clients: new Set(['big-2']) })))).toEqual(['moves application shop venus']);
  expect(short(impactOf(all, off([], { clients: new Set(['big-2', 'venus']) })))).toEqual(['stops application shop']);
});

test('an application stops if most voters of its mirror are off, although the mirror goes on', () => {
  const mirrors = [mirror(['big-9', 'big-8'], 'big-7', {}, ['big-8'])];
  const application = { name: 'shop', on: 'big-2', nodes: ['big-2'], next: null } as const;
  const of = (changes: Partial<ImpactFacts>, ...servers: readonly string[]): Impact[] =>
    impactOf(facts({ mirrors, ...changes }), off(servers)).filter(({ kind }) => kind !== 'server');
  const on = (...volumes: readonly string[]): Partial<ImpactFacts> => ({
    applications: [{ ...application, volumes }] as unknown as ImpactFacts['applications'],
  });
  const two = of(on('db'), 'big-8', 'big-7');
  expect(short(two)).toEqual(['stops application shop', 'degraded mirror osl:db@0']);
  expect(two[0]?.why).toBe('its volume osl:db@0 goes on, but with 1 of 3 votes, and rsapp needs 2 (on-isolation = stop)');
  expect(short(of(on('db'), 'big-7'))).toEqual(['degraded mirror osl:db@0']);
  expect(short(of(on('other', 'db'), 'big-8', 'big-7')), 'rsapp asks the voters of the first volume only').toEqual([
    'degraded mirror osl:db@0',
  ]);
  const unknown = [mirror(['big-9', 'big-8'], 'big-7', { state: 'unknown' })];
  expect(short(of({ ...on('db'), mirrors: unknown }, 'big-7'))).toEqual(['unknown mirror osl:db@0', 'unknown application shop']);
});

test('volumes that nobody uses are one line', () => {
  const volumes = ['a', 'b'].map((name) => volume({ name, id: name, holders: [] }));
  expect(impactText(impactOf(facts({ servers: [server('big-9', { volumes })] }), off(['big-9'])))).toEqual([
    ['stops', 'volume', '2 volumes', '-', '-', 'no client has them attached'],
  ]);
});

test('switching more off never makes anything better', () => {
  const some = fc.subarray(NAMES);
  const picture = fc.record({
    mirrors: fc.array(fc.tuple(fc.subarray(NAMES, { minLength: 2 }), fc.constantFrom(null, 'big-7'), some, fc.boolean()), { maxLength: 4 }),
    there: some,
    first: some,
    more: some,
  });
  const rank = (impacts: readonly Impact[], name: string): number => {
    const found = impacts.find((one) => one.name === name);
    return found === undefined ? IMPACT_EFFECTS.length : IMPACT_EFFECTS.indexOf(found.effect);
  };
  fc.assert(
    fc.property(picture, ({ mirrors, there, first, more }) => {
      const owners = NAMES.map((name) => ({ server: name, isThere: there.includes(name) || name === 'big-9' }));
      const all = facts({
        servers: NAMES.map((name) =>
          server(name, {
            shared: [sharedPool({ owners, isHere: name === 'big-9', next: null })],
            volumes: [volume({ name, id: name, pool: null })],
          }),
        ),
        mirrors: mirrors.map(([replicas, witness, lagging, isHeld], index) =>
          mirror(
            replicas,
            replicas.includes(witness ?? '') ? null : witness,
            { name: `m${index}`, holder: isHeld ? 'big-2' : null },
            lagging.slice(1),
          ),
        ),
      });
      const [less, all_] = [impactOf(all, off(first)), impactOf(all, off([...first, ...more]))];
      for (const { name } of less) expect(rank(all_, name)).toBeLessThanOrEqual(rank(less, name));
    }),
    { seed: 1, numRuns: 500 },
  );
});
