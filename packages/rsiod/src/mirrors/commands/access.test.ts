// Tests, on scripted servers, how a mirror is taken away from a client or a client is allowed to attach it: what counts as done and as
// proven. test/integration/volume-revoke.test.ts tests real servers. Rules: H6, M15, G44.

import { RsError } from '@rsio/base/lib/errors';
import { beforeEach, expect, test } from 'vitest';
import { type Failure, ScriptedServer } from '../../testing/mirror-servers.ts';
import { MirrorAccessOrders } from './access.ts';
import { MirrorManagement } from './management.ts';

const WISH = {
  namespace: null,
  name: 'db',
  universe: 0,
  sizeBytes: 2 ** 30,
  blockSizeBytes: 512,
  pool: null,
  request: 'id-1',
  servers: ['big-9', 'big-8'],
  witness: 'pi-1',
};
const ORDER = { namespace: null, name: 'db', universe: 0, client: 'venus', endClaim: true };

let servers: ScriptedServer[];
let fails: (step: string) => Failure | null;
let steps: string[];
let access: MirrorAccessOrders;

beforeEach(async () => {
  fails = () => null;
  steps = [];
  servers = ['big-9', 'big-8', 'pi-1'].map(
    (name, index) =>
      new ScriptedServer(name, index + 1, (step) => {
        steps.push(step);
        return fails(step);
      }),
  );
  const management = new MirrorManagement({
    log: { info: () => undefined, warn: () => undefined },
    namespaces: () => [{ name: 'osl', nodename: 'big-2', servers, unreached: [] }],
    isAttached: () => false,
    mirrors: { serving: () => null },
    statusAt: () => null,
    newId: () => 'id',
  });
  access = new MirrorAccessOrders({ log: { info: () => undefined, warn: () => undefined }, newId: () => 'id', management });
  await management.create(WISH);
  attachedBy('venus');
  steps = [];
});

/** A client attaches the mirror: it claims the mirror at all voters and stores a configuration. `inSync`: the servers in sync. */
function attachedBy(node: string, inSync = ['big-9', 'big-8']): void {
  for (const { records } of servers)
    for (const record of records.values()) {
      const term = { number: (record.promise?.number ?? 0) + 1, node, instance: 5 };
      const { config } = record.stored!;
      const synced = config.members.filter(({ serverid }) => inSync.includes(servers[serverid - 1]!.name));
      record.promise = term;
      record.stored = { term, config: { ...config, clean: false, inSync: synced.map(({ identity }) => identity) } };
    }
}

function named(name: string): ScriptedServer {
  return servers.find((one) => one.name === name)!;
}

function goesDown(name: string): void {
  named(name).trouble = new RsError('E_NO_PATH', `Server ${name} of osl is not connected`);
}

/** The clients whose terms the voters have promised. */
const promised = (): (string | undefined)[] => servers.map(({ records }) => [...records.values()][0]?.promise?.node);
const claims = (): string[] => steps.filter((step) => step.endsWith(' claim'));

test('all servers with a replica execute the order, and then the claim of the client is ended, once', async () => {
  const done = await access.revoke(ORDER);
  expect(done).toMatchObject({ servers: ['big-9', 'big-8'], wasHeld: true, isProven: true, stillHolds: null, left: [] });
  expect(servers.map(({ revoked }) => [...revoked])).toEqual([['venus'], ['venus'], []]);
  expect(steps.slice(-3).toSorted()).toEqual(['big-8 claim', 'big-9 claim', 'pi-1 claim']);
  expect(promised()).toEqual(['big-2', 'big-2', 'big-2']);
  steps = [];
  expect(await access.revoke(ORDER)).toMatchObject({ isProven: true, stillHolds: null });
  expect(claims()).toEqual([]);
  expect(await access.allow(ORDER)).toMatchObject({ servers: ['big-9', 'big-8'], isProven: false, left: [] });
  expect(servers.map(({ revoked }) => revoked.size)).toEqual([0, 0, 0]);
});

test.each<[string, () => void, RegExp]>([
  ['is down', () => goesDown('big-8'), /not connected/],
  ['hides its replica from this client', () => (named('big-8').hides = true), /shows this client no replica/],
  ['does not answer', () => (fails = (step) => (/big-8 volume-(revoke|allow)/.test(step) ? 'refused' : null)), /did not answer/],
])('a server that %s does not count as done; a majority of the voters proves the order', async (_what, prepare, reason) => {
  prepare();
  // An order of a person, too, needs the voters here.
  const done = await access.revoke({ ...ORDER, endClaim: false });
  expect(done).toMatchObject({ servers: ['big-9'], isProven: true, left: [{ server: 'big-8' }] });
  expect(done.left[0]?.reason).toMatch(reason);
  expect(claims()).toEqual(expect.arrayContaining(['big-9 claim', 'pi-1 claim']));
  expect(await access.allow(ORDER)).toMatchObject({ isProven: false, left: [{ server: 'big-8' }] });
});

test.each<[string, () => void]>([
  ['the witness is away, too', () => goesDown('pi-1')],
  ['only the missing replica is in sync, so that the client may go on there', () => attachedBy('venus', ['big-8'])],
  ['a voter has another record than the configuration names', () => Object.assign([...named('pi-1').records.values()][0]!, { voter: 'x' })],
  ['no server has executed it', () => (fails = (step) => (step === 'big-9 volume-revoke' ? 'refused' : null))],
])('nothing is proven if a server is missing and %s', async (_what, prepare) => {
  prepare();
  goesDown('big-8');
  for (const endClaim of [true, false]) expect((await access.revoke({ ...ORDER, endClaim })).isProven).toBe(false);
});

test('an order of a person leaves the claim, if all servers with a replica execute it', async () => {
  expect(await access.revoke({ ...ORDER, endClaim: false })).toMatchObject({ isProven: true, stillHolds: null, left: [] });
  expect([claims(), promised()]).toEqual([[], ['venus', 'venus', 'venus']]);
});

test.each([true, false])('a repeated order takes nothing from the client that has the mirror by now (all servers: %s)', async (isWhole) => {
  attachedBy('mars');
  if (!isWhole) goesDown('big-8');
  expect(await access.revoke(ORDER)).toMatchObject({ isProven: true, stillHolds: null });
  expect([claims(), promised()]).toEqual([[], ['mars', 'mars', 'mars']]);
});

test('an order that was interrupted after its first claim is repeated', async () => {
  fails = (step) => (step.endsWith(' claim') && step !== 'big-9 claim' ? 'refused' : null);
  expect(await access.revoke(ORDER)).toMatchObject({ isProven: true, stillHolds: expect.stringMatching(/no majority.*big-8/) });
  expect(promised()).toEqual(['big-2', 'venus', 'venus']);
  fails = () => null;
  expect(await access.revoke(ORDER)).toMatchObject({ isProven: true, stillHolds: null });
  expect(promised()).toEqual(['big-2', 'big-2', 'big-2']);
});

test('without a majority of the voters, the client still holds the mirror, although all servers with a replica have agreed', async () => {
  goesDown('pi-1');
  Object.assign([...named('big-8').records.values()][0]!, { voter: 'x' });
  expect(await access.revoke(ORDER)).toMatchObject({ isProven: true, stillHolds: expect.stringContaining('no majority') });
  expect(promised()).toEqual(['venus', 'venus', 'venus']);
});

test('only the mirror with the id of the order is taken away, and not another one of the same name', async () => {
  await expect(access.revoke({ ...ORDER, id: '9'.repeat(32) })).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
  expect([steps.filter((step) => / (claim|volume-revoke)$/.test(step)), promised()]).toEqual([[], ['venus', 'venus', 'venus']]);
  const id = [...servers[0]!.records.keys()][0]!;
  expect(await access.revoke({ ...ORDER, id })).toMatchObject({ mirror: id, stillHolds: null });
});

test('an order that every server would refuse is given once, and a mirror that no server shows is unknown', async () => {
  fails = (step) => {
    if (step.endsWith('volume-revoke')) throw new RsError('E_USAGE', 'All clients may attach it');
    return null;
  };
  await expect(access.revoke(ORDER)).rejects.toMatchObject({ code: 'E_USAGE', message: 'Server big-9: All clients may attach it' });
  expect(steps.filter((step) => step.endsWith('volume-revoke'))).toEqual(['big-9 volume-revoke']);
  for (const server of servers) server.hides = true;
  await expect(access.revoke(ORDER)).rejects.toMatchObject({ code: 'E_UNKNOWN_VOLUME' });
});

test('without a configuration, it is unknown which servers have a replica, and nothing is changed', async () => {
  for (const { records } of servers) records.clear();
  await expect(access.revoke(ORDER)).rejects.toMatchObject({ code: 'E_NO_PATH' });
  expect(steps.filter((step) => step.endsWith('volume-revoke'))).toEqual([]);
});
