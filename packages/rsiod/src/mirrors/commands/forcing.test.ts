// Tests making a mirror by force on scripted servers: the reported losses, refusals, the old and the new mirror after the command, and a
// failure of each step at each server, before or after the server has executed the step. In every case, the volumes stay, and the error
// describes the state of each volume. test/integration/mirror-force.test.ts tests real servers. Rules: M21, G33.

import { RsError } from '@rsio/base/lib/errors';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Failure, ScriptedServer } from '../../testing/mirror-servers.ts';
import { createMirror } from './creation.ts';
import { surveyMirrors } from './survey.ts';
import { MirrorForcing } from './forcing.ts';

const OLD = 'a'.repeat(32);
const NEW = 'f'.repeat(32);
const GIB = 1024 ** 3;
const quiet = { info: () => undefined, warn: () => undefined };
const ASK = { namespace: null, name: 'db', universe: 0, servers: ['big-9'], stale: false, seen: null as string | null };

let servers: ScriptedServer[];
let big9: ScriptedServer;
let big8: ScriptedServer;
let pi1: ScriptedServer;
let steps: string[];
let fails: (step: string) => Failure | null;
let attached: string[];

beforeEach(() => {
  [steps, attached] = [[], []];
  fails = () => null;
  const script = (step: string): Failure | null => {
    steps.push(step);
    return fails(step);
  };
  servers = ['big-9', 'big-8', 'pi-1'].map((name, index) => new ScriptedServer(name, index + 1, script));
  [big9, big8, pi1] = servers as [ScriptedServer, ScriptedServer, ScriptedServer];
});

/** Makes the mirror on big-9 and big-8, with or without pi-1 as a witness. */
async function made(voters: readonly ScriptedServer[]): Promise<void> {
  const about = {
    namespace: 'osl',
    nodename: 'big-2',
    name: 'db',
    universe: 0,
    mirror: OLD,
    sizeBytes: GIB,
    blockSizeBytes: 512,
    pool: null,
    pools: new Map(),
  };
  await createMirror({ ...about, request: 'id-1', replicas: [big9, big8], voters, kept: null }, () => 'id-2', quiet);
  steps = [];
}

function forcing(): MirrorForcing {
  return new MirrorForcing({
    log: quiet,
    namespaces: () => [{ name: 'osl', nodename: 'big-2', servers, unreached: [] }],
    isAttached: (label) => attached.includes(label),
    newId: () => NEW,
  });
}

async function forced(ask: Partial<typeof ASK> = {}) {
  const { seen } = await forcing().force({ ...ASK, ...ask });
  return await forcing().force({ ...ASK, ...ask, seen });
}

function goesDown(...gone: readonly ScriptedServer[]): void {
  for (const server of gone) server.trouble = new RsError('E_NO_PATH', `Server ${server.name} of osl is not connected`);
}

/**
 * Simulates another client that continues to use the mirror: `voters` store a configuration in which only the replicas on `inSync` are in
 * sync.
 */
function goesOn(voters: readonly ScriptedServer[], inSync: readonly ScriptedServer[]): void {
  for (const { records } of voters) {
    const record = records.get(OLD)!;
    const term = { number: 7, node: 'big-6', instance: 5 };
    record.promise = term;
    const identities = inSync.map((server) => server.stock.get('db@0')!.mark!.identity);
    record.stored = { term, config: { ...record.stored!.config, clean: false, inSync: identities } };
  }
}

const markAt = (server: ScriptedServer): string | null => server.stock.get('db@0')?.mark?.mirror ?? null;
const configAt = (server: ScriptedServer) => server.records.get(NEW)?.stored?.config;

async function refusal(work: Promise<unknown>): Promise<RsError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof RsError) return error;
  throw new Error('The command succeeded');
}

test('of two servers that vote alone, the one that is left has everything, and becomes a mirror of its own', async () => {
  await made([big9, big8]);
  goesDown(big8);
  const plan = await forcing().force(ASK);
  expect(plan).toMatchObject({ mirror: null, replicas: [{ server: 'big-9', inSync: true }], voters: ['big-9'], missing: ['big-8'] });
  expect(plan.lost).toEqual([
    'big-9 has every write that was acknowledged, because the mirror could not go on without it',
    'big-8 must be off for good: a client that reaches only it may still use the old mirror there, and neither mirror has what is written to the other',
  ]);
  expect(steps.filter((step) => !/ (record|volume-show)$/.test(step))).toEqual([]);
  expect(await forcing().force({ ...ASK, seen: plan.seen })).toMatchObject({ mirror: NEW, left: [] });
  expect([...big9.records.keys()]).toEqual([NEW]);
  expect(markAt(big9)).toBe(NEW);
  const identity = big9.stock.get('db@0')?.mark?.identity;
  expect(configAt(big9)).toMatchObject({
    k: 1,
    clean: true,
    inSync: [identity],
    sizeBytes: GIB,
    nextVoters: null,
    members: [{ identity, serverid: 1, volume: 'db' }],
    voters: [{ voter: big9.records.get(NEW)?.voter, serverid: 1 }],
  });
});

test('what comes back of the old mirror is another mirror, which the new one has no part in', async () => {
  await made(servers);
  goesDown(big8, pi1);
  await forced();
  big8.trouble = null;
  pi1.trouble = null;
  const surveys = await surveyMirrors('osl', servers);
  const known = surveys.map(({ mirror, listed, stored }) => [
    mirror,
    listed.map(({ server }) => server.name),
    stored?.config.voters.length,
  ]);
  expect(known.toSorted(([a], [b]) => String(a).localeCompare(String(b)))).toEqual([
    [OLD, ['big-8'], 3],
    [NEW, ['big-9'], 1],
  ]);
  const voters = surveys.find(({ mirror }) => mirror === OLD)?.stored?.config.voters ?? [];
  expect(voters.map(({ voter }) => servers.some(({ records }) => records.get(OLD)?.voter === voter))).toEqual([false, true, true]);
});

test('voters that are a majority may have gone on without the replica that is left, and the command says so', async () => {
  await made(servers);
  goesDown(big8, pi1);
  const { lost } = await forcing().force(ASK);
  expect(lost[0]).toBe(
    'big-8 and pi-1 are a majority of the voters and may have let the mirror go on without big-9: all that was written after that is lost',
  );
});

test('a holder that has not detached is named', async () => {
  await made([big9, big8]);
  goesOn([big9, big8], [big9, big8]);
  goesDown(big8);
  const { lost } = await forcing().force(ASK);
  expect(lost[1]).toBe('Client big-6 has not detached the mirror: its I/O fails, and what it has not flushed may be lost');
  await forced();
  expect(big9.records.get(NEW)?.promise).toMatchObject({ node: 'big-2' });
});

test('two replicas that are left are both in sync, and the next holder makes them equal', async () => {
  await made(servers);
  servers.push(new ScriptedServer('big-7', 4, () => null));
  const [, , , big7] = servers;
  // The mirror also has a replica on big-7. Of the mirror's three voters, only big-9 is left; the other two are servers that do not exist.
  const record = big9.records.get(OLD)!;
  record.stored = {
    ...record.stored!,
    config: {
      ...record.stored!.config,
      voters: [record.stored!.config.voters[0]!, { voter: 'e'.repeat(32), serverid: 8 }, { voter: 'd'.repeat(32), serverid: 9 }],
    },
  };
  record.promise = { number: 5, node: 'big-2', instance: 1 };
  record.stored = { ...record.stored, term: record.promise };
  const result = await forced({ servers: ['big-9', 'big-8', 'big-7'] });
  expect(result).toMatchObject({ voters: ['big-9', 'big-8', 'big-7'], missing: ['server 8', 'server 9'] });
  expect(result.warnings).toEqual([expect.stringContaining('The replicas may differ') as string]);
  const config = configAt(big9);
  expect([config?.clean, config?.inSync.length, config?.members.length, config?.voters.length]).toEqual([false, 2, 2, 3]);
  for (const server of [big9, big8, big7!]) expect(configAt(server)).toEqual(config);
});

// Regression: the new mirror got either the voter's size or the replica's size, whichever was smaller, so that written data was cut off.
test('the mirror is as large as the largest replica that is taken, whatever the voter that is left knows', async () => {
  await made(servers);
  Object.assign(big9.stock.get('db@0')!, { sizeBytes: 2 * GIB });
  goesDown(big8, pi1);
  const { lost } = await forced();
  expect(lost).not.toContainEqual(expect.stringContaining('what is beyond'));
  expect(configAt(big9)?.sizeBytes).toBe(2 * GIB);
});

describe('a replica that is not in sync', () => {
  beforeEach(async () => {
    await made(servers);
    goesOn(servers, [big8]);
    goesDown(big8);
  });

  test('is refused by default, and named', async () => {
    const error = await refusal(forcing().force(ASK));
    expect(error.code).toBe('E_VOLUME');
    expect(error.message).toMatch(/^No replica of mirror osl:db@0 on big-9 is in sync: .*in sync on big-8; --stale uses that on big-9/);
  });

  test('is used with --stale, which says that writes are lost', async () => {
    const { lost } = await forcing().force({ ...ASK, stale: true });
    expect(lost[0]).toMatch(/^The replica on big-9 is not in sync: all that was written/);
    expect(await forced({ stale: true })).toMatchObject({ mirror: NEW, replicas: [{ server: 'big-9', inSync: true }] });
    expect(configAt(big9)?.inSync).toEqual([big9.stock.get('db@0')?.mark?.identity]);
  });

  test('and has not grown with the mirror: what is beyond its end is said to be lost', async () => {
    const { stored } = big9.records.get(OLD)!;
    big9.records.get(OLD)!.stored = { ...stored!, config: { ...stored!.config, sizeBytes: 2 * GIB } };
    const { lost } = await forced({ stale: true });
    expect(lost).toContain(`The volume gets ${GIB} bytes, not ${2 * GIB}: what is beyond is lost`);
    expect(configAt(big9)?.sizeBytes).toBe(GIB);
  });
});

describe('is refused', () => {
  test('if a client can attach the mirror without it', async () => {
    await made(servers);
    goesDown(pi1);
    const error = await refusal(forcing().force(ASK));
    expect(error).toMatchObject({ code: 'E_USAGE', message: expect.stringContaining('needs no force') as string });
  });

  test.each<[string, Partial<typeof ASK>, string, RegExp]>([
    ['a server that is down', { servers: ['big-9', 'big-8'] }, 'E_NO_PATH', /big-8 of osl is not connected/],
    ['a server that is not known', { servers: ['big-5'] }, 'E_USAGE', /No server "big-5"/],
    ['a server twice', { servers: ['big-9', 'big-9'] }, 'E_USAGE', /named twice/],
    ['no server', { servers: [] }, 'E_USAGE', /1 to 3 servers, not 0/],
    ['a server without a replica', { servers: ['pi-1'] }, 'E_USAGE', /None of the servers pi-1 has a replica/],
    ['another name', { name: 'dc' }, 'E_UNKNOWN_VOLUME', /No connected server lists/],
  ])('%s', async (_, ask, code, message) => {
    await made([big9, big8]);
    goesDown(big8);
    expect(await refusal(forcing().force({ ...ASK, ...ask }))).toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  test('if a client has a snapshot of the replica attached, before anything is changed', async () => {
    await made([big9, big8]);
    goesDown(big8);
    big9.snapshots = [
      { snapshot: 'sunday', readers: 0 },
      { snapshot: 'monday', readers: 1 },
    ];
    await expect(forcing().force(ASK)).rejects.toMatchObject({
      code: 'E_HELD',
      message: expect.stringMatching(
        /^Nothing was changed of mirror osl:db@0: snapshot osl:db@0@monday on server big-9 is attached; detach it first/,
      ),
    });
    expect(steps.filter((step) => !/ (record|volume-show)$/.test(step))).toEqual([]);
    big9.snapshots = [];
    await expect(forcing().force(ASK)).resolves.toMatchObject({ mirror: null });
  });

  test('if the mirror is attached here', async () => {
    await made([big9, big8]);
    goesDown(big8);
    attached = ['osl:db@0'];
    expect(await refusal(forcing().force(ASK))).toMatchObject({ code: 'E_IN_USE' });
  });

  test('if the data of the server is not that of the mirror', async () => {
    await made([big9, big8]);
    goesDown(big8);
    big9.stock.get('db@0')!.mark = { mirror: OLD, identity: '9'.repeat(32) };
    expect((await refusal(forcing().force(ASK))).message).toMatch(/on server big-9 cannot be used: its data is not that/);
  });

  test('if the mirror has changed since it was seen', async () => {
    await made([big9, big8]);
    goesDown(big8);
    const { seen } = await forcing().force(ASK);
    goesOn([big9], [big9]);
    expect(await refusal(forcing().force({ ...ASK, seen }))).toMatchObject({ code: 'E_BUSY' });
    expect(markAt(big9)).toBe(OLD);
  });
});

const BOTH = ['big-9', 'pi-1'];
const CHANGES = ['big-9 claim', 'big-9 found', 'pi-1 found', 'big-9 unplace', 'big-9 place', 'big-9 config', 'pi-1 config'];

describe.each(CHANGES)('%s fails', (failing) => {
  // The first `claim` at a server claims the old mirror, and the second claims the new mirror.
  test.each<[Failure, boolean]>([
    ['refused', false],
    ['lost', false],
    ['refused', true],
    ['lost', true],
  ])('%s, and all after it: %s: the data stays, and the error says what there is', async (failure, isAll) => {
    await made([big9, big8]);
    goesDown(big8);
    const { seen } = await forcing().force({ ...ASK, servers: BOTH });
    let hasFailed = false;
    fails = (step) => {
      if (hasFailed) return isAll ? 'refused' : null;
      hasFailed = step === failing;
      return hasFailed ? failure : null;
    };
    steps = [];
    const { message } = await refusal(forcing().force({ ...ASK, servers: BOTH, seen }));
    if (failing === 'big-9 claim') expect(steps).not.toContain('pi-1 claim');
    expect(big9.stock.has('db@0')).toBe(true);
    if (message.includes('nothing was changed') || message.includes('the old mirror is as it was')) {
      expect([markAt(big9), big9.records.has(OLD)]).toEqual([OLD, true]);
      const left = [big9, pi1].filter(({ records }) => records.has(NEW)).map(({ name }) => name);
      for (const name of left) expect(message).toContain(`on ${name} (`);
      fails = () => null;
      if (left.length === 0) expect(await forced({ servers: BOTH })).toMatchObject({ mirror: NEW });
    } else if (message.includes('as a plain volume')) {
      expect([markAt(big9), big9.records.size, pi1.records.size]).toEqual([null, 0, 0]);
    } else if (message.includes('may still have a replica')) {
      expect(message).toContain('on it, rsadm volume split db makes it a plain volume');
    } else {
      expect(message).toContain('rsconfig -a osl:db@0 attaches it as soon as most of its servers have stored that');
      expect(markAt(big9)).toBe(NEW);
    }
  });
});

test('a record of the old mirror that cannot be removed is named', async () => {
  await made([big9, big8]);
  goesDown(big8);
  fails = (step) => (step === 'big-9 dismiss' ? 'refused' : null);
  const { left, mirror } = await forced();
  expect(mirror).toBe(NEW);
  expect(left).toEqual([expect.stringContaining(`on it, rsadm witness remove ${OLD} --force removes it`) as string]);
});
