// Tests a volume that changes during an OPEN. The grant describes the volume as served at the time of the answer, a refused OPEN leaves no
// hold, and the session counts as a user of the volume during the OPEN. The holds are real; the test simulates the served volumes and their
// changes. Rules: H1.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientRole } from '@rsio/common/config/schema/types';
import { TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import type { Grant, ClientIdentity } from './grants.ts';
import { BIG2, MARS, OPEN, OVER, QUIET, VOLUME } from '../../testing/contenders.ts';
import { Holds } from './holds.ts';
import { FORMER_USES_MAX, OPEN_TRIES_MAX } from '../limits.ts';
import { Opens, type OpensPorts } from './opens.ts';
import { VolumeUses } from './volume-uses.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { NO_LEDGER } from '../../testing/no-ledgers.ts';

const GONE: Grant = { granted: false, status: STATUS.VOLUME_UNAVAILABLE, sentence: 'It is shorter than it was', holders: [] };

let folder = '';
let served: ServedVolume | null = VOLUME;
let life = 'life';
/** Called when a hold has been saved. */
let saved: () => void = () => undefined;
let uses: VolumeUses;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-opens-'));
  [served, life, saved, uses] = [VOLUME, 'life', () => undefined, new VolumeUses()];
});

afterEach(() => removeFolder(folder));

const file = (): string => join(folder, 'holders.json');

function holdsOf(): Holds {
  const holds = new Holds(file(), () => 1, QUIET, NO_LEDGER);
  const state: { save(): Promise<void> } = Reflect.get(holds, 'file');
  const save = state.save.bind(state);
  state.save = async () => {
    await save();
    saved();
  };
  return holds;
}

function opensOf(holds: Holds, ports: Partial<OpensPorts> = {}): Opens {
  return new Opens(holds, {
    find: () => served,
    notServed: () => GONE,
    role: () => null,
    incarnation: () => life,
    revokeHold: () => Promise.resolve(true),
    sync: () => Promise.resolve(),
    incarnationEnded: () => Promise.resolve(),
    promiseOf: () => null,
    tookOver: () => undefined,
    disputedMs: () => 0,
    pause: () => Promise.resolve(),
    ...ports,
  });
}

const session = (client: ClientIdentity = BIG2): Parameters<Opens['grant']>[0] => ({
  client,
  uses,
  isEnding: () => false,
  ending: null,
  usedBeside: () => null,
  dataProcess: 0,
});

async function afterRestart(): Promise<string[]> {
  const holds = new Holds(file(), () => 1, QUIET, NO_LEDGER);
  await holds.load();
  return holds.holdersOf('id').map(({ node }) => node);
}

test.each([
  [{ dataProcess: 2, isEnding: false }, 'Volume oracle is open in data process 2 of this client: detach it there first'],
  [{ dataProcess: 0, isEnding: true }, 'Volume oracle is open in the main process of this client, whose session is ending: try again'],
])('a volume that another data process of the client uses is refused, and its hold stays: %j', async (other, sentence) => {
  const holds = holdsOf();
  const opens = opensOf(holds);
  const first = await opens.grant(session(), OPEN);
  for (const request of [OPEN, OVER, { ...OPEN, take: TAKE.FORCE }, { ...OPEN, resume: first.granted ? first.identity : '' }]) {
    const own = new VolumeUses();
    const second = { ...session(), uses: own, usedBeside: (id: string) => (id === 'id' ? other : null) };
    expect(await opens.grant(second, request)).toEqual({ granted: false, status: STATUS.BESIDE, sentence, holders: [] });
    expect(own.has('id')).toBe(false);
  }
  expect([holds.epochOf('id'), await afterRestart()]).toEqual([1, ['big-2']]);
});

test('a replica is opened only by the data process that has claimed the term', async () => {
  served = { ...VOLUME, replica: { mirror: 'm', identity: 'i', mapPath: '/map' } };
  const promise = { number: 5, node: BIG2.node, instance: BIG2.instance };
  const opens = opensOf(holdsOf(), { promiseOf: () => ({ name: 'db', promise, dataProcess: 2 }) });
  const request = { ...OPEN, mirror: { mirror: 'm', number: 5 } };
  expect(await opens.grant(session(), request)).toMatchObject({ granted: false, status: STATUS.UNCLAIMED });
  expect(await opens.grant({ ...session(), dataProcess: 2 }, request)).toMatchObject({ granted: true });
  // Other clients learn that a higher term was claimed.
  const lower = { ...OPEN, mirror: { mirror: 'm', number: 4 } };
  for (const client of [MARS, { ...BIG2, instance: BIG2.instance + 1 }])
    expect(await opens.grant(session(client), lower)).toMatchObject({ granted: false, status: STATUS.TAKEN });
  for (const known of [null, { name: 'db', promise: null, dataProcess: 2 }])
    expect(await opensOf(holdsOf(), { promiseOf: () => known }).grant(session(), request)).toMatchObject({ status: STATUS.UNCLAIMED });
});

test('a forced take-over is decided with the right that the node has when its turn comes', async () => {
  const roles: Record<string, ClientRole | null> = { mars: 'manage' };
  const asked: string[] = [];
  const opens = opensOf(holdsOf(), {
    role: (node) => {
      asked.push(node);
      return roles[node] ?? null;
    },
  });
  await opens.grant(session(), OPEN);
  life = 'next';
  const force = { ...OPEN, take: TAKE.FORCE };
  expect(await opens.grant(session(MARS), force)).toMatchObject({
    granted: false,
    status: STATUS.HELD,
    sentence: expect.stringContaining('rsadm client rights mars admin') as string,
  });
  expect(await afterRestart()).toEqual(['big-2']);
  roles['mars'] = 'admin';
  expect(await opens.grant(session(MARS), force)).toMatchObject({ granted: true });
  expect([await afterRestart(), new Set(asked)]).toEqual([['mars'], new Set(['big-2', 'mars'])]);
});

test('a volume that is granted as it was before a change is granted again as it is', async () => {
  saved = () => {
    served = { ...VOLUME, sizeBytes: 2 * VOLUME.sizeBytes, takeOver: ['mars'] };
    saved = () => undefined;
  };
  expect(await opensOf(holdsOf()).grant(session(), OPEN)).toMatchObject({ granted: true, volume: served!, epoch: 1 });
  expect([served?.takeOver, uses.isGranted('id')]).toEqual([['mars'], true]);
});

test('a new incarnation that begins while the hold is saved is the incarnation of the grant and of the hold', async () => {
  saved = () => {
    life = 'next';
    saved = () => undefined;
  };
  const holds = holdsOf();
  expect(await opensOf(holds).grant(session(), OPEN)).toMatchObject({ granted: true, incarnation: 'next' });
  // A take-over is refused while the holder has not recovered its writes in the current incarnation.
  expect(await opensOf(holds).grant(session(MARS), OVER)).toMatchObject({ granted: true });
});

test('an OPEN whose volume is gone when its hold has been saved is refused, and leaves no hold behind, in the file too', async () => {
  saved = () => {
    served = null;
  };
  const holds = holdsOf();
  expect(await opensOf(holds).grant(session(), OPEN)).toEqual(GONE);
  expect([holds.holdersOf('id'), await afterRestart(), uses.has('id')]).toEqual([[], [], false]);
});

test('a client that has the volume already keeps its hold when another OPEN of it is refused', async () => {
  const holds = holdsOf();
  await opensOf(holds).grant(session(), { ...OPEN, readonly: true });
  saved = () => {
    served = null;
  };
  expect(await opensOf(holds).grant(session(), OPEN)).toEqual(GONE);
  expect([holds.holdersOf('id').length, await afterRestart()]).toEqual([1, ['big-2']]);
});

test('an OPEN that waited for its turn meets the volume that has the name by then', async () => {
  const other = { ...VOLUME, id: 'other', shared: true };
  const holds = holdsOf();
  const opens = opensOf(holds);
  const first = opens.grant(session(MARS), OPEN);
  const second = opens.grant(session(), OPEN);
  served = other;
  expect(await second).toMatchObject({ granted: true, volume: { id: 'other' } });
  expect(await first).toMatchObject({ granted: true, volume: { id: 'other' } });
  expect([holds.holdersOf('id'), holds.holdersOf('other').length]).toEqual([[], 2]);
});

test('a volume that changes during every attempt is refused, and leaves no hold behind', async () => {
  let changes = 0;
  const holds = holdsOf();
  const incarnation = (): string => String(changes++);
  expect(await opensOf(holds, { incarnation }).grant(session(), OPEN)).toMatchObject({ granted: false, status: STATUS.HELD });
  expect([holds.holdersOf('id'), await afterRestart(), changes > OPEN_TRIES_MAX]).toEqual([[], [], true]);
});

test('a name that means another volume at every attempt is refused after a bounded number of them', async () => {
  let finds = 0;
  const holds = holdsOf();
  const opens = opensOf(holds, { find: () => ({ ...VOLUME, id: `id-${finds++}` }) });
  const sentence = expect.stringContaining('changes again and again') as string;
  expect(await opens.grant(session(), OPEN)).toMatchObject({ granted: false, status: STATUS.HELD, sentence, holders: [] });
  expect(finds).toBeLessThan(4 * OPEN_TRIES_MAX);
});

test.each([
  [TAKE.OVER, 'refused'],
  [TAKE.NO, 'granted'],
])('of a session that ends, an OPEN with take %i is %s', async (take, expected) => {
  const holds = holdsOf();
  if (take === TAKE.OVER) await opensOf(holds).grant(session(MARS), OPEN);
  let end = (): void => undefined;
  const ending = new Promise<void>((resolve) => (end = resolve));
  const opening = opensOf(holds, { revokeHold: () => new Promise(() => undefined) }).grant({ ...session(), ending }, { ...OPEN, take });
  end();
  const refusal = { status: STATUS.SHUTTING_DOWN, sentence: 'The session ended before volume oracle was taken over', holders: [] };
  expect(await opening).toMatchObject(expected === 'granted' ? { granted: true } : { granted: false, ...refusal });
});

test('a session remembers a bounded number of volumes that it has closed', () => {
  for (let index = 0; index <= FORMER_USES_MAX; index++) {
    uses.add(`id-${index}`);
    uses.delete(`id-${index}`);
  }
  expect(['id-0', 'id-1', `id-${FORMER_USES_MAX}`].map((id) => uses.wasGranted(id))).toEqual([false, true, true]);
  expect([uses.losesFormer('id-1'), uses.losesFormer('id-1'), uses.losesFormer('id-0')]).toEqual([true, false, false]);
  expect(uses.wasGranted('id-0')).toBe(false);
});

test('a session counts as a user of the volume while it opens it, also while it waits for a take-over', async () => {
  const holds = holdsOf();
  await opensOf(holds).grant(session(MARS), OPEN);
  uses = new VolumeUses();
  let revoked: (isFlushed: boolean) => void = () => undefined;
  const revokeHold = (): Promise<boolean> =>
    new Promise((resolve) => {
      revoked = resolve;
    });
  const opening = opensOf(holds, { revokeHold }).grant(session(), { ...OPEN, take: TAKE.OVER });
  expect([uses.has('id'), uses.isGranted('id'), [...uses]]).toEqual([true, false, []]);
  revoked(true);
  expect(await opening).toMatchObject({ granted: true });
  expect([uses.has('id'), [...uses]]).toEqual([true, ['id']]);
  uses.delete('id');
  expect(uses.has('id')).toBe(false);
});
