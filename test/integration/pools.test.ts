// Pools and the volumes that rsadm manages in them, with real daemons: the commands from an empty server to a volume in use; kills during
// changes; pools that are missing, locked by another server, renamed, or removed from the configuration; and two volumes with the same
// name. Tests in packages/rssrv/src/pools cover the steps of each change on disk. All tests except the first share one server and one
// client. Each test begins with its own configuration and a pool with a new volume oracle as its only volume.

import { removedWhenFree } from '../support/hosts/removed-when-free.ts';
import { mkdirSync, readdirSync, renameSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { callServer } from '@rsio/api/rssrv/call-server';
import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { fileSystemOf } from '@rsio/rssrv/machine/file-system';
import { expect, it } from 'vitest';
import { JUDGED_BYTES, JudgedLoad } from '../support/drills/judged-load.ts';
import { serverConfig, startClient, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { run } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { waitFor } from '../support/programs/wait-for.ts';

type Listed = ServerMethods['volume-list']['result'];

const MIB = 1024 * 1024;
const EXPORT = 'osl/oracle';
/** Within this time, a client learns of changes at a server, or reconnects to a server that has returned. */
const KNOWN_MS = 10_000;
const COMES_BACK_MS = 30_000;
/** Pause of each lane of judged I/O. */
const PAUSE_MS = 8;
/** Number of judged reads and writes that show that I/O continues. */
const JUDGED_IOS = 100;

const hosts = useHosts();
const shared = useHosts('file');
let begun: Promise<{ readonly server: Host; readonly client: Host; readonly network: TestNetwork; readonly pool: string }> | undefined;
let server: Host;
let client: Host;
let network: TestNetwork;

/** Makes an empty directory below the root of the server. */
function directory(name = 'pool'): string {
  const folder = path.join(server.root, name);
  mkdirSync(folder);
  return folder;
}

/**
 * Starts the server with pool `fast` and these volumes, and the client, which attaches volume oracle of the pool. Returns the directory of
 * the pool.
 */
async function startWithOracle(volumes: Parameters<typeof serverConfig>[1]['volumes'] = {}): Promise<string> {
  begun ??= begin();
  const { pool, ...daemons } = await begun;
  ({ server, client, network } = daemons);
  // The daemons of the previous test have ended and have released their locks.
  server.writeConfig('rssrv', serverConfig(network, { volumes, pools: { fast: { path: pool } } }));
  if (server.processes().length === 0) await server.start('rssrv');
  await client.pathsUp(network.subnets.length, COMES_BACK_MS);
  await client.rsconfigWell('-d', '--force');
  await server.rsadmWell('reload');
  for (const { name } of (await listed()).volumes.filter((one) => one.pool === 'fast')) await removedWhenFree(server, name);
  await server.rsadm('volume', 'purge', '--yes');
  await server.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
  await attachWhenListed('oracle');
  return pool;
}

async function begin() {
  [server, client, network] = [shared.host(), shared.host(), await shared.network(2)];
  const pool = await emptyPool(server);
  await startServer(server, network, { volumes: {}, pools: { fast: { path: pool } } });
  await startClient(client, network);
  return { server, client, network, pool };
}

/** Starts judged I/O on a volume of this client. The I/O continues until it is stopped or the test ends. */
async function judged(): Promise<JudgedLoad> {
  const aborter = new AbortController();
  hosts.onClean(() => aborter.abort());
  return JudgedLoad.start(client, EXPORT, { beginBytes: 0, flushes: true, pauseMs: PAUSE_MS }, aborter.signal);
}

async function goesOn(judge: JudgedLoad): Promise<void> {
  const before = judge.answered;
  const isOn = (): boolean => judge.answered >= before + JUDGED_IOS || judge.errors.length > 0;
  await waitFor(isOn, COMES_BACK_MS, 'I/O goes on');
  expect(judge.errors).toEqual([]);
}

/** Repeats `-a` until it succeeds, because a change of the server reaches the client a moment later. */
async function attachWhenListed(name: string): Promise<void> {
  await waitFor(async () => (await client.rsconfig('-q')).stdout.includes(name), KNOWN_MS, `The client sees ${name}`);
  await client.rsconfigWell('-a', name);
}

/** Repeats `-d` until it succeeds, because rsiod notices the end of a connection a moment later. */
async function detach(name: string): Promise<void> {
  await waitFor(() => client.rsconfigWell('-d', name), KNOWN_MS, `${name} is detached`);
}

async function expectIntact(judge: JudgedLoad, host = client, name = EXPORT): Promise<void> {
  const nbd = await openNbd(host, name);
  await judge.compare(`read as ${name}`, (offset, lengthBytes) => nbd.read(offset, lengthBytes));
  nbd.close();
  expect(judge.breaches).toEqual([]);
  expect(judge.errors).toEqual([]);
}

async function openNbd(host: Host, name = EXPORT): Promise<NbdIo> {
  const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, name);
  hosts.onClean(() => nbd.close());
  return nbd;
}

/** Output of `rsadm volume list --json`. */
async function listed(host = server): Promise<Listed> {
  return JSON.parse(await host.rsadmWell('volume', 'list', '--json')) as Listed;
}

/** Returns the list without the used space of the volumes, which I/O changes. */
function settled({ volumes, removed }: Listed): Listed {
  return { volumes: volumes.map((volume) => ({ ...volume, usedBytes: null })), removed };
}

async function poolsOf(host = server): Promise<ServerMethods['pool-list']['result']['pools']> {
  return (await callServer(host.rssrvPaths.controlSocket, 'pool-list', {})).pools;
}

/** Every file and folder with its size. */
function contentOf(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names.map((name) => `${name} ${statSync(path.join(folder, name)).size}`).toSorted();
}

it("a newcomer's way: pool, client and volume by rsadm, growth under I/O, and what a client in use forbids", async (context) => {
  [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  const disk = directory('disk');
  context.skip((await fileSystemOf(disk)) !== 'other', 'needs a directory on a disk for temporary files: set TMPDIR');
  await startServer(server, network, { volumes: {}, clients: {} });
  await server.rsadmWell('pool', 'add', 'fast', disk, '--limit', '1g');
  const key = (await server.rsadmWell('client', 'add', 'big-2')).trim().split('\n').at(-1) ?? '';
  expect(await server.rsadmWell('volume', 'create', 'oracle', '--size', '16m', '--clients', 'big-2')).toContain('created in pool fast');
  expect(await server.rsadm('status')).toMatchObject({ code: 0, stdout: expect.not.stringContaining('Warning') as string });

  await startClient(client, network, { key });
  expect(await client.rsconfigWell('-q')).toMatch(/^ {6}0 {2}oracle /m);
  await client.rsconfigWell('-a', 'oracle');
  const judge = await judged();
  const old = await openNbd(client);
  expect(old.sizeBytes).toBe(16 * MIB);
  await old.verify(16 * MIB - 65536, 65536);
  await expect(old.read(16 * MIB, 4096)).rejects.toThrow(/Errno/);
  await goesOn(judge);
  await server.rsadmWell('volume', 'grow', 'oracle', '32m');
  await waitFor(() => old.verify(32 * MIB - 65536, 65536).then(() => true), KNOWN_MS, 'The new size can be used by whoever was connected');
  const sizeNow = async (): Promise<boolean> => {
    const anew = await NbdIo.open(client.rsiodPaths.nbdSocket, EXPORT);
    anew.close();
    return anew.sizeBytes === 32 * MIB;
  };
  await waitFor(sizeNow, KNOWN_MS, 'A new connection is told the new size');
  await goesOn(judge);

  const before = await listed();
  const changes = [
    ['volume', 'rename', 'oracle', 'sybase'],
    ['volume', 'remove', 'oracle', '--yes'],
    ['volume', 'set', 'oracle', 'readonly=yes'],
  ];
  for (const change of changes) {
    const refused = await server.rsadm(...change);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/big-2 at 127\.\S+ has held it since .*rsconfig -d oracle.*\[E_HELD\]/s);
  }
  expect(settled(await listed())).toEqual(settled(before));
  await goesOn(judge);
  await judge.stop();
  await expectIntact(judge);
  old.close();
  await detach('oracle');

  await server.rsadmWell('volume', 'rename', 'oracle', 'sybase');
  await server.rsadmWell('volume', 'set', 'sybase', 'readonly=yes');
  await attachWhenListed('sybase');
  const readonly = await openNbd(client, 'osl/sybase');
  await expect(readonly.write(0, Buffer.alloc(4096))).rejects.toThrow(/Errno/);
  readonly.close();
  await expectIntact(judge, client, 'osl/sybase');
  await detach('sybase');

  await server.rsadmWell('volume', 'remove', 'sybase', '--yes');
  expect(await listed()).toMatchObject({ volumes: [], removed: [{ name: 'sybase', by: null }] });
  const isGone = async (): Promise<boolean> => !(await client.rsconfigWell('-q')).includes('sybase');
  await waitFor(isGone, KNOWN_MS, 'The client no longer sees the removed volume');
  await server.rsadmWell('volume', 'restore', 'sybase');
  await attachWhenListed('sybase');
  await expectIntact(judge, client, 'osl/sybase');
  expect(await server.rsadm('status')).toMatchObject({ code: 0 });
});

interface Volume {
  readonly name: string;
  readonly sizeBytes: number;
  /** Id of the volume. UNKNOWN_ID: the test has not yet got an answer with the id. */
  readonly id: string;
}

/** Expected output of `volume list`. */
interface State {
  readonly volumes: readonly Volume[];
  readonly removed: readonly Volume[];
}

interface Change {
  readonly what: string;
  readonly after: State;
  /**
   * Requests the change. When the server has made the change, resolves with the expected state. A further call sends the same request id,
   * and gets the same answer.
   */
  send(): Promise<State>;
}

const UNKNOWN_ID = '?';
const KILLS = 6;
/** Longest time from sending a change to a kill. */
const KILL_WITHIN_MS = 150;
const SCRIPT_VOLUMES_MAX = 6;

/** Returns the next change. Seed and state determine the next change. */
function nextChange({ volumes, removed }: State, random: SeededRandom): Change {
  const mine = volumes.filter(({ name }) => name !== 'oracle');
  const restorable = removed.filter(({ name }) => !volumes.some((one) => one.name === name));
  const kind = random.pick(['create', 'grow', 'grow', 'rename', 'remove', 'restore', 'restore'] as const);
  const request = random.bytes(16).toString('hex');
  const fresh = `tvol${random.int(1, 1_000_000)}`;
  const replaced = (was: Volume, now: Volume): State => ({ removed, volumes: volumes.map((one) => (one === was ? now : one)) });
  const change = <M extends ChangeMethod>(
    method: M,
    was: Volume,
    after: State,
    more: Omit<ServerMethods[M]['params'], NamingKey>,
  ): Change => ({
    what: `${method} ${was.name}`,
    after,
    send: async () => {
      const params = { ...more, name: was.name, universe: 0, request } as ServerMethods[M]['params'];
      await callServer(server.rssrvPaths.controlSocket, method, params);
      return after;
    },
  });
  if (kind === 'grow') {
    const was = random.pick(volumes);
    const sizeBytes = was.sizeBytes + random.int(1, 8) * 4096;
    return change('volume-grow', was, replaced(was, { ...was, sizeBytes }), { sizeBytes });
  }
  if (kind === 'rename' && mine.length > 0) {
    const was = random.pick(mine);
    return change('volume-rename', was, replaced(was, { ...was, name: fresh }), { newName: fresh, newUniverse: 0 });
  }
  if (kind === 'restore' && restorable.length > 0) {
    const was = random.pick(restorable);
    return change('volume-restore', was, { volumes: [...volumes, was], removed: removed.filter((one) => one !== was) }, {});
  }
  if ((kind === 'remove' && mine.length > 0) || mine.length >= SCRIPT_VOLUMES_MAX) {
    const was = random.pick(mine);
    return change('volume-remove', was, { volumes: volumes.filter((one) => one !== was), removed: [...removed, was] }, {});
  }
  return creation({ volumes, removed }, { name: fresh, sizeBytes: random.int(1, 64) * 4096, thick: random.chance(0.3), request });
}

type ChangeMethod = 'volume-grow' | 'volume-rename' | 'volume-remove' | 'volume-restore';
type NamingKey = 'name' | 'universe' | 'request';

function creation(
  { volumes, removed }: State,
  wanted: { readonly name: string; readonly sizeBytes: number; readonly thick: boolean; readonly request: string },
): Change {
  const { name, sizeBytes } = wanted;
  const others = { universe: 0, blockSizeBytes: 512, pool: 'fast', readonly: false, shared: false };
  const rights = { clients: null, takeOver: null, takeOverForce: false };
  const withId = (id: string): State => ({ removed, volumes: [...volumes, { name, sizeBytes, id }] });
  return {
    what: `volume-create ${name}`,
    after: withId(UNKNOWN_ID),
    send: async () => {
      const { volume } = await callServer(server.rssrvPaths.controlSocket, 'volume-create', { ...wanted, ...others, ...rights });
      return withId(volume.id ?? '');
    },
  };
}

/** Returns lines that can be compared. The lines omit ids that `known` does not contain. */
function linesOf({ volumes, removed }: State, known: ReadonlySet<string>): string[] {
  const line = (what: string, { name, sizeBytes, id }: Volume): string =>
    `${what} ${name}: ${sizeBytes} bytes, id ${known.has(id) ? id : UNKNOWN_ID}`;
  return [...volumes.map((one) => line('volume', one)), ...removed.map((one) => line('removed', one))].toSorted();
}

it('kill -9 in the middle of changes: each change is made or not, the pool explains everything, and no data are wrong', async () => {
  const seed = 20_261_118;
  const random = new SeededRandom(seed);
  const pool = await startWithOracle();
  const judge = await judged();
  let state = await stateNow(pool);
  const count = { acknowledged: 0, 'interrupted before': 0, 'interrupted after': 0 };
  for (let kill = 0; kill < KILLS; kill++) {
    await goesOn(judge);
    const [pid, worker] = [server.pid('rssrv'), server.worker('big-2')];
    const victims = random.chance(0.5) ? [pid] : [pid, worker];
    let isKilled = false;
    const killing = sleep(random.unit() * KILL_WITHIN_MS).then(() => {
      isKilled = true;
      for (const victim of victims) process.kill(victim, 'SIGKILL');
    });
    let underWay: Change;
    for (;;) {
      underWay = nextChange(state, random);
      try {
        state = await underWay.send();
      } catch (error) {
        if (!isKilled) throw new Error(`${underWay.what} failed`, { cause: error });
        break;
      }
      count.acknowledged++;
    }
    await killing;
    await server.start('rssrv');
    const known = new Set([...state.volumes, ...state.removed].map(({ id }) => id));
    const found = linesOf(await stateNow(pool), known);
    const [before, after] = [linesOf(state, known), linesOf(underWay.after, known)];
    const isMade = isDeepStrictEqual(found, after);
    if (!isMade) expect(found, `after kill ${kill} in ${underWay.what}`).toEqual(before);
    count[isMade ? 'interrupted after' : 'interrupted before']++;
    // If the answer was lost, the test sends the request again. The server must make the change only once.
    await underWay.send();
    state = await stateNow(pool);
    expect(linesOf(state, known), `${underWay.what} again`).toEqual(after);
  }
  report(`kill -9 of rssrv in ${KILLS} changes, seed ${seed}`, count);
  await goesOn(judge);
  await judge.stop();
  await expectIntact(judge);
});

/**
 * Returns the state of the pool in this directory. Expects that all volumes of the pool are served, and that the pool has no other files.
 */
async function stateNow(folder: string): Promise<State> {
  const { volumes, removed } = await callServer(server.rssrvPaths.controlSocket, 'volume-list', { pool: null });
  expect(await poolsOf()).toMatchObject([{ name: 'fast', state: 'ready', reason: null, findings: [], volumes: volumes.length }]);
  const facts = ({ name, sizeBytes, id }: { name: string; sizeBytes: number | null; id: string | null }): Volume => ({
    name,
    sizeBytes: sizeBytes ?? 0,
    id: id ?? '',
  });
  expect(volumes.filter(({ state }) => state !== 'served')).toEqual([]);
  const state = { volumes: volumes.map(facts), removed: removed.map(facts) };
  const filesOf = (place: string, ids: readonly Volume[], names: readonly string[]): string[] =>
    ids.flatMap(({ id }) => ['', ...names].map((name) => path.join(place, id, name)));
  const files = [
    ...['ledger.json', 'ledger.spare', 'pool.json', 'volumes', 'removed', ...filesOf('volumes', state.volumes, ['data', 'volume.json'])],
    ...filesOf('removed', state.removed, ['data', 'removed.json', 'volume.json']),
  ];
  const present = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => !/^spare(\/|$)/.test(name));
  expect(present.toSorted()).toEqual(files.toSorted());
  return state;
}

it('a pool whose pool.json is missing is left alone, and served again after a reload; its client waits meanwhile', async () => {
  const pool = await startWithOracle({ other: { type: 'memory', size: '1m' } });
  await client.rsconfigWell('-a', 'other');
  const judge = await judged();
  await goesOn(judge);
  await server.stop('rssrv');
  const file = path.join(pool, 'pool.json');
  renameSync(file, path.join(server.root, 'away.json'));
  const before = contentOf(pool);

  await server.start('rssrv');
  const reason = `Pool fast cannot be used: ${file} does not exist: mount the file system of the pool`;
  const status = await server.rsadm('status');
  expect(status.code).toBe(1);
  expect(status.stdout).toContain(`Warning: ${reason}`);
  expect(await poolsOf()).toMatchObject([{ name: 'fast', state: 'unavailable', volumes: 0 }]);
  await waitFor(() => client.pathsUp(2).then(() => true), COMES_BACK_MS, 'The client is back');
  const other = await openNbd(client, 'osl/other');
  await other.verify(0, 4096);
  const waits = async (): Promise<boolean> => (await client.call('status', {})).waiting.some(({ volume }) => volume === 'osl:oracle@0');
  await waitFor(waits, COMES_BACK_MS, 'The volume waits');
  const created = await server.rsadm('volume', 'create', 'spare', '--size', '1m', '--pool', 'fast');
  expect(created).toMatchObject({ code: 1, stdout: '' });
  expect(created.stderr).toContain(reason);
  await server.rsadmWell('reload');
  expect(contentOf(pool)).toEqual(before);

  renameSync(path.join(server.root, 'away.json'), file);
  expect(await server.rsadmWell('reload')).toContain('volume oracle is served');
  await goesOn(judge);
  await judge.stop();
  await expectIntact(judge);
  expect(await server.rsadm('status')).toMatchObject({ code: 0 });
});

it('an empty pool.json, and later an empty ledger.json, are mended by the command that the warning names', async () => {
  const pool = await startWithOracle();
  const judge = await judged();
  await goesOn(judge);
  const emptied = async (name: string): Promise<string> => {
    await server.stop('rssrv');
    truncateSync(path.join(pool, name));
    await server.start('rssrv');
    return (await server.rsadm('status')).stdout;
  };
  expect(await emptied('pool.json')).toContain(`pool.json is empty: rsadm pool add NAME ${pool} writes it again`);
  const mended = await server.rsadmWell('pool', 'add', 'fast', pool);
  expect(mended).toContain('volume oracle is served');
  await goesOn(judge);
  expect((await server.rsadm('pool', 'add', 'fast', pool)).stderr, 'a pool that is well').toContain('already is pool fast');
  await judge.stop();
  await expectIntact(judge);
  await detach('oracle');
  expect(await emptied('ledger.json')).toContain('has ended: rsadm pool add NAME PATH --no-holders');
  expect(await server.rsadm('pool', 'add', 'fast', pool), 'without the word').toMatchObject({ code: 1 });
  await server.rsadmWell('pool', 'add', 'fast', pool, '--no-holders');
  expect(await server.rsadm('status')).toMatchObject({ code: 0 });
  await client.rsconfigWell('-a', 'oracle', '--wait');
  await expectIntact(judge);
});

it('of two servers with one pool, the second serves nothing of it until the first has ended and it is reloaded', async () => {
  const pool = await startWithOracle();
  const judge = await judged();
  await goesOn(judge);
  const [second, elsewhere] = [hosts.host(), await hosts.network(2)];
  await startServer(second, elsewhere, { volumes: {}, pools: { fast: { path: pool } } });
  const locked = `Pool fast cannot be used: ${path.join(pool, 'pool.json')} is locked, because another rssrv or another section [pool] uses the pool: stop that rssrv, or remove that section`;
  const status = await second.rsadm('status');
  expect(status.code).toBe(1);
  expect(status.stdout).toContain(`Warning: ${locked}`);
  expect((await listed(second)).volumes).toEqual([]);
  await second.rsadm('reload');
  expect((await listed(second)).volumes).toEqual([]);
  expect((await second.rsadm('volume', 'create', 'spare', '--size', '1m')).stderr).toContain(locked);
  await goesOn(judge);
  await judge.stop();
  await detach('oracle');

  await server.stop('rssrv');
  expect(await second.rsadmWell('reload')).toContain('volume oracle is served');
  expect(await second.rsadm('status')).toMatchObject({ code: 0 });
  const taker = hosts.host();
  await startClient(taker, elsewhere, { node: 'venus' });
  await taker.rsconfigWell('-a', 'oracle');
  await expectIntact(judge, taker);
  await (await openNbd(taker)).verify(0, JUDGED_BYTES / 8);
  // The first server must not take the pool back.
  await server.start('rssrv');
  expect((await server.rsadm('status')).stdout).toContain(`Warning: ${locked}`);
  expect((await listed()).volumes).toEqual([]);
  // The pool keeps its holders: volumes that this client still held would also be held at the first server.
  await taker.rsconfigWell('-d', '--force', 'oracle');
});

it('a reload without the section of a pool is refused while a client holds a volume of it, and changes nothing', async () => {
  const pool = await startWithOracle();
  const judge = await judged();
  await goesOn(judge);
  const [before, pools] = [await listed(), await poolsOf()];
  const without = serverConfig(network, { volumes: { other: { type: 'memory', size: '1m' } } });
  server.writeConfig('rssrv', without);
  const refused = await server.rsadm('reload');
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toMatch(/Volume oracle of pool fast is in use: node big-2 at 127\.\S+ has held it since .*rsconfig -d oracle/s);
  expect(settled(await listed())).toEqual(settled(before));
  expect((await poolsOf()).map(({ name, state, volumes }) => ({ name, state, volumes }))).toEqual(
    pools.map(({ name, state, volumes }) => ({ name, state, volumes })),
  );
  await goesOn(judge);
  await server.rsadmWell('volume', 'grow', 'oracle', '17m');
  await judge.stop();
  await expectIntact(judge);
  await detach('oracle');

  expect(await server.rsadmWell('reload')).toMatch(/volume oracle is no longer served/);
  expect(await poolsOf()).toEqual([]);
  expect(await run('flock', ['--nonblock', path.join(pool, 'pool.json'), 'true'])).toMatchObject({ code: 0 });
  server.writeConfig('rssrv', serverConfig(network, { volumes: {}, pools: { fast: { path: pool } } }));
  await server.rsadmWell('reload');
  await attachWhenListed('oracle');
  await expectIntact(judge);
});

it('a pool that gets another name and another spelling of its path stays open, while a client uses a volume of it', async () => {
  const pool = await startWithOracle();
  const judge = await judged();
  await goesOn(judge);
  for (const [name, spelling] of [
    ['quick', pool],
    ['fast', `${pool}/`],
  ] as const) {
    server.writeConfig('rssrv', serverConfig(network, { volumes: {}, pools: { [name]: { path: spelling } } }));
    await server.rsadmWell('reload');
    expect(await poolsOf()).toMatchObject([{ name, path: spelling, state: 'ready', reason: null, volumes: 1 }]);
    expect((await listed()).volumes).toMatchObject([{ name: 'oracle', pool: name, state: 'served', holders: [{ node: 'big-2' }] }]);
    await goesOn(judge);
  }
  await server.rsadmWell('volume', 'grow', 'oracle', '17m');
  await judge.stop();
  await expectIntact(judge);
});

it('a volume whose name a section has taken says so, and no change of it touches the volume of that section', async () => {
  const pool = await startWithOracle();
  const kept = await openNbd(client);
  await kept.write(0, Buffer.alloc(4096, 7));
  kept.close();
  await detach('oracle');
  const file = path.join(server.root, 'section.img');
  const pools = { fast: { path: pool } };
  server.writeConfig('rssrv', serverConfig(network, { volumes: { oracle: { path: file, size: '16m' } }, pools }));
  await server.rsadmWell('reload');
  const ofSection = { name: 'oracle', pool: null, state: 'served', sizeBytes: 16 * MIB };
  const reason = expect.stringMatching(/^Another volume has its name: rename one of them$/) as string;
  expect((await listed()).volumes).toMatchObject([ofSection, { name: 'oracle', pool: 'fast', state: 'unavailable', reason }]);
  expect((await server.rsadm('status')).stdout).toMatch(/^Warning: Volume oracle@0 is not served: Another volume/m);

  await attachWhenListed('oracle');
  const judge = await judged();
  await goesOn(judge);
  const holders = [{ node: 'big-2' }];
  expect(await server.rsadm('volume', 'grow', 'oracle', '32m')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Another volume oracle is configured: rename one of them') as string,
  });
  expect((await listed()).volumes).toMatchObject([
    { ...ofSection, holders },
    { pool: 'fast', state: 'unavailable', sizeBytes: 16 * MIB },
  ]);
  expect(statSync(file).size).toBe(16 * MIB);
  await server.rsadmWell('volume', 'remove', 'oracle', '--yes');
  expect((await listed()).volumes).toMatchObject([{ ...ofSection, holders }]);
  expect((await server.rsadm('volume', 'restore', 'oracle')).code).toBe(1);
  server.writeConfig('rssrv', serverConfig(network, { volumes: { other: { path: file, size: '16m' } }, pools }));
  expect((await server.rsadm('reload')).code).toBe(1);
  await goesOn(judge);
  await judge.stop();
  await expectIntact(judge);
  await detach('oracle');

  await server.rsadmWell('reload');
  await server.rsadmWell('volume', 'restore', 'oracle');
  await attachWhenListed('oracle');
  const again = await openNbd(client);
  expect(again.sizeBytes).toBe(16 * MIB);
  expect((await again.read(0, 4096)).equals(Buffer.alloc(4096, 7))).toBe(true);
});
