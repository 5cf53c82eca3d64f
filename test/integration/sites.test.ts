// Two volumes are replicated from one server to another one while a client writes to both, over two encrypted paths. Each process is killed
// in turn: the listener of either server, and the process with the connection. Every moment of the followers must equal the moment of the
// source with the same group, and both volumes must be of one moment. Then a drill, and a promotion without the source. Skipped without
// root, loop devices or xfsprogs.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import type { SnapshotView } from '@rsio/api/views/views';
import { errnoName } from '@rsio/base/lib/errors';
import { expect, it, type TestContext } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const BLOCK_BYTES = 4096;
const WAIT_MS = 60_000;
const NAMES = ['db', 'log'] as const;
const [SOURCE, TARGET] = ['big-9', 'oslo-1'] as const;

const hosts = useHosts();

/** The source with a client that writes alternately to both volumes, and the server with the followers. */
class Sites {
  readonly source: Host;
  readonly target: Host;
  readonly folders: readonly [string, string];
  /** Number of the last write that was answered. */
  answered = 0;
  private isOver = false;
  private writing: Promise<void> = Promise.resolve();

  private constructor(source: Host, target: Host, folders: readonly [string, string]) {
    [this.source, this.target, this.folders] = [source, target, folders];
  }

  static async start(context: TestContext): Promise<Sites> {
    const [source, target] = [hosts.host(), hosts.host()];
    const network = await hosts.network(2);
    const folders = [source, target].map((host) => path.join(reflinkDisk(hosts, host, context), 'pool')) as [string, string];
    for (const folder of folders) mkdirSync(folder);
    const clients = { 'big-2': keyOf('big-2'), [TARGET]: keyOf(TARGET) };
    source.writeConfig('rssrv', serverConfig(network, { volumes: {}, clients, rights: { 'big-2': 'manage' }, tls: 'allow' }));
    await source.start('rssrv');
    await source.rsadmWell('pool', 'add', 'fast', folders[0], '--reserve', '0%');
    for (const name of NAMES) await source.rsadmWell('volume', 'create', name, '--size', '32m');
    source.writeConfig('rsiod', clientConfig(network, { defaults: { stall: 'forever' } }));
    await source.start('rsiod');
    await source.pathsUp(2);
    await source.rsconfigWell('-a', ...NAMES);

    const own = await hosts.network(1);
    target.writeConfig(
      'rssrv',
      serverConfig(own, { name: TARGET, server: { serverid: '2' }, volumes: {}, clients: { venus: keyOf('venus') } }),
    );
    await target.start('rssrv');
    await target.rsadmWell('pool', 'add', 'safe', folders[1], '--reserve', '0%');
    const key = target.file('key');
    writeFileSync(key, keyOf(TARGET));
    const address = network.serverAddresses.map((one) => `${one}:${network.port}`).join(',');
    await target.rsadmWell('peer', 'add', SOURCE, '--address', address, '--key-file', key, '--tls');
    // For an exchange of the roles, the source can become a client of the other server.
    const back = source.file('key');
    writeFileSync(back, keyOf(SOURCE));
    await target.rsadmWell('client', 'add', SOURCE, '--key-file', back);
    await source.rsadmWell('peer', 'add', TARGET, '--address', `${own.serverAddresses[0]}:${own.port}`, '--key-file', back);
    return new Sites(source, target, folders);
  }

  async beginWriting(): Promise<void> {
    const [db, log] = [await this.nbd('db'), await this.nbd('log')];
    this.writing = (async () => {
      while (!this.isOver) {
        const block = Buffer.alloc(BLOCK_BYTES);
        block.writeUInt32LE(this.answered + 1);
        const at = (1 + (this.answered % 4_000)) * BLOCK_BYTES;
        const volume = this.answered % 2 === 0 ? db : log;
        await volume.write(at, block);
        await volume.write(0, block);
        this.answered++;
      }
    })();
  }

  /** Writes a block with this number to each volume. */
  async write(number: number): Promise<void> {
    for (const name of NAMES) {
      const nbd = await this.nbd(name);
      const block = Buffer.alloc(BLOCK_BYTES);
      block.writeUInt32LE(number);
      await nbd.write(0, block);
      await nbd.flush();
      nbd.close();
    }
  }

  async detach(): Promise<void> {
    await waitFor(async () => (await this.source.rsconfig('-d', ...NAMES)).code === 0, WAIT_MS, 'The volumes are detached');
  }

  /** Numbers that were written last to the volumes of a server. */
  numbersAt(at: 0 | 1): Promise<readonly number[]> {
    return Promise.all(NAMES.map(async (name) => (await this.content(at, name, null)).readUInt32LE(0)));
  }

  async endWriting(): Promise<void> {
    this.isOver = true;
    await this.writing;
  }

  private async nbd(name: string): Promise<NbdIo> {
    const nbd = await NbdIo.open(this.source.rsiodPaths.nbdSocket, `osl/${name}`);
    hosts.onClean(() => nbd.close());
    return nbd;
  }

  /** Resolves when the followers of this server have a moment that began after this call. */
  async nextMoment(at: Host = this.target): Promise<void> {
    const nowMs = Date.now();
    const isNewer = async (): Promise<boolean> => {
      const { replications } = await callServer(at.rssrvPaths.controlSocket, 'replication-list', {}).catch(() => ({ replications: [] }));
      return replications.some(({ direction, momentMs, state }) => direction === 'in' && state !== 'promoted' && (momentMs ?? 0) > nowMs);
    };
    await waitFor(isNewer, WAIT_MS, 'The followers have a newer moment');
  }

  async snapshots(host: Host, name: string): Promise<readonly SnapshotView[]> {
    return (await callServer(host.rssrvPaths.controlSocket, 'volume-show', { name, universe: 0 })).snapshots;
  }

  async content(at: 0 | 1, name: string, snapshot: string | null): Promise<Buffer> {
    const host = at === 0 ? this.source : this.target;
    const { volume } = await callServer(host.rssrvPaths.controlSocket, 'volume-show', { name, universe: 0 });
    const folder = path.join(this.folders[at], 'volumes', volume.id ?? '');
    return readFileSync(snapshot === null ? path.join(folder, 'data') : path.join(folder, 'snapshots', `${snapshot}.data`));
  }

  /**
   * Compares the newest moment that both servers have. Returns the numbers that were written last to db and log. On a busy machine, later
   * moments may have replaced the moment before it is read: the next one is compared then.
   */
  async newestNumbers(): Promise<readonly number[]> {
    for (;;) {
      const numbers = await this.numbersNow().catch((error: unknown) => {
        if (errnoName(error) === 'ENOENT') return null;
        throw error;
      });
      if (numbers !== null) return numbers;
    }
  }

  private async numbersNow(): Promise<readonly number[]> {
    const numbers: number[] = [];
    const mine = await Promise.all(NAMES.map((name) => this.snapshots(this.target, name)));
    const theirs = await Promise.all(NAMES.map((name) => this.snapshots(this.source, name)));
    const groupsOf = (all: readonly SnapshotView[]): readonly string[] => all.map(({ group }) => group);
    const common = groupsOf(mine[0]!).filter((group) => [...mine, ...theirs].every((all) => groupsOf(all).includes(group)));
    for (const [index, name] of NAMES.entries()) {
      const nameOf = (all: readonly SnapshotView[] | undefined): string =>
        all?.find(({ group }) => group === common.at(-1))?.snapshot ?? '';
      const copy = await this.content(1, name, nameOf(mine[index]));
      expect(copy.equals(await this.content(0, name, nameOf(theirs[index]))), `${name} equals its moment`).toBe(true);
      numbers.push(copy.readUInt32LE(0));
    }
    return numbers;
  }
}

it('followers have only moments of their source, through every kill, and are promoted without it', {
  timeout: 5 * WAIT_MS,
}, async (context) => {
  const sites = await Sites.start(context);
  const { source, target } = sites;
  await sites.beginWriting();
  const refused = await source.rsadm('volume', 'replicate', 'db', '--to', 'oslo-2', '--every', '5s');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('oslo-2')]);
  await source.rsadmWell('volume', 'replicate', ...NAMES, '--to', `safe@${TARGET}`, '--every', '5s', '--keep', '2');
  await sites.nextMoment();
  for (const [index, kill] of [
    () => target.kill('rssrv').then(() => target.start('rssrv')),
    () => source.kill('rssrv').then(() => source.start('rssrv')),
    () => process.kill(target.processes().find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('rssrv: peer'))!, 'SIGKILL'),
  ].entries()) {
    await kill();
    const asked = sites.answered;
    await waitFor(() => sites.answered > asked + 10, WAIT_MS, 'Writes go on');
    await sites.nextMoment();
    const [db = 0, log = 0] = await sites.newestNumbers();
    expect([index, Math.abs(db - log), Math.min(db, log) >= asked]).toEqual([index, 1, true]);
  }
  expect((await sites.snapshots(target, 'db')).length).toBeLessThanOrEqual(3);
  // On a busy machine, a poll may fail, and the next one succeeds.
  const isOnTime = async (): Promise<boolean> =>
    /out +db@0,log@0 +oslo-1 +\d+s +5s +(waiting|copying)/.test((await source.rsadm('volume', 'replications')).stdout);
  await waitFor(isOnTime, WAIT_MS, 'The replication is on time');
  expect(await target.rsadmWell('volume', 'list')).toMatch(/db@0 .*follows db@0 of big-9, \dm old/);

  // A follower cannot be changed or opened.
  const grown = await target.rsadm('volume', 'grow', 'db', '64m');
  expect([grown.code, grown.stderr]).toEqual([2, expect.stringContaining('rsadm volume promote db')]);
  expect((await target.rsadm('volume', 'promote', 'db', '--yes')).stderr).toContain('name all of them');

  // While the source is connected, a promotion would split the replication, and needs consent.
  const split = await target.rsadm('volume', 'promote', ...NAMES);
  expect([split.code, split.stderr]).toEqual([2, expect.stringContaining('rsadm volume reverse db log makes')]);

  const drill = await target.rsadmWell('volume', 'promote', ...NAMES, '--drill');
  expect(drill).toMatch(/^db-drill@0, log-drill@0 made for a drill, with the content of/);
  const numbers = await Promise.all(NAMES.map(async (name) => (await sites.content(1, `${name}-drill`, null)).readUInt32LE(0)));
  expect(Math.abs(numbers[0]! - numbers[1]!)).toBe(1);
  await sites.nextMoment();

  const lasting = sites.answered;
  await sites.nextMoment();
  await sites.endWriting();
  await source.kill('rssrv');
  expect(await target.rsadmWell('volume', 'promote', ...NAMES)).toMatch(/^db@0, log@0 promoted, with the content of .*, \d+s old/);
  const promoted = await Promise.all(NAMES.map(async (name) => (await sites.content(1, name, null)).readUInt32LE(0)));
  expect(Math.abs(promoted[0]! - promoted[1]!)).toBe(1);
  expect(Math.min(...promoted)).toBeGreaterThanOrEqual(lasting);
  expect((await target.rsadm('volume', 'promote', ...NAMES)).stderr).toContain('promoted already');
  await target.rsadmWell('volume', 'grow', 'db', '64m');
  const { pools } = await callServer(target.rssrvPaths.controlSocket, 'pool-list', {});
  expect(pools).toMatchObject([{ state: 'ready', findings: [] }]);
});

it('two servers exchange their roles without loss, and after a disaster what would be lost is kept', {
  timeout: 5 * WAIT_MS,
}, async (context) => {
  const sites = await Sites.start(context);
  const { source, target } = sites;
  await source.rsadmWell('volume', 'replicate', ...NAMES, '--to', `safe@${TARGET}`, '--every', '1s', '--keep', '2');
  await sites.nextMoment();
  await sites.write(1);
  // Without the consent of a person at the source, no order of another server closes its volumes.
  expect((await target.rsadm('volume', 'reverse', ...NAMES)).stderr).toContain('--reversible PEER there allows it');
  const settings = ['--to', `safe@${TARGET}`, '--every', '1s', '--keep', '2'];
  await source.rsadmWell('volume', 'replicate', ...NAMES, ...settings, '--reversible', TARGET);
  // The target learns of the consent with its next poll.
  const isHeld = async (): Promise<boolean> => (await target.rsadm('volume', 'reverse', ...NAMES)).stderr.includes('big-2');
  await waitFor(isHeld, WAIT_MS, 'The refusal names the client that has the volumes');
  await sites.write(2);
  await sites.detach();
  // While the follower copies a moment, the order is refused.
  await waitFor(async () => (await target.rsadm('volume', 'reverse', ...NAMES)).code === 0, WAIT_MS, 'The roles are exchanged');
  expect((await source.rsconfig('-a', 'db')).stderr).toMatch(/handed over|follows a volume of server oslo-1/);
  await sites.nextMoment(source);
  expect(await sites.numbersAt(1)).toEqual([2, 2]);
  expect((await target.rsadm('volume', 'replications')).stdout).toMatch(/out +db@0,log@0 +big-9/);
  expect(await source.rsadmWell('volume', 'list')).toMatch(/db@0 .*follows db@0 of oslo-1/);

  // The other site is lost, and this one goes on.
  await target.kill('rssrv');
  expect(await source.rsadmWell('volume', 'promote', ...NAMES)).toMatch(/promoted, with the content of/);
  expect(await sites.numbersAt(0)).toEqual([2, 2]);
  await source.rsadmWell('volume', 'allow', 'db', 'big-2');
  await source.rsadmWell('volume', 'allow', 'log', 'big-2');
  await source.rsconfigWell('-a', ...NAMES);
  await sites.write(3);
  await target.start('rssrv');
  for (const name of NAMES) await source.rsadmWell('volume', 'allow', name, TARGET);
  await source.rsadmWell('volume', 'replicate', ...NAMES, '--to', TARGET, '--every', '1s', '--keep', '2');
  const why = async (): Promise<string> => (await target.rsadm('volume', 'replications')).stderr;
  await waitFor(async () => (await why()).includes('rsadm volume demote db log --for'), WAIT_MS, 'The old source says what to do');
  const demoted = await target.rsadmWell('volume', 'demote', ...NAMES, '--for', SOURCE, '--yes');
  expect(demoted).toMatch(/^db@0, log@0 follow server big-9; snapshot before-demotion-\S+ has the content, unchanged since/);
  await sites.nextMoment(target);
  expect(await sites.newestNumbers()).toEqual([3, 3]);
  expect((await sites.snapshots(target, 'db')).some(({ snapshot }) => snapshot.startsWith('before-demotion-'))).toBe(true);
});
