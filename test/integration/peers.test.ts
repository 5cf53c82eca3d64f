// A server is connected to another one as its client, with two paths, and pulls snapshots of a volume that a third party writes to. The
// process of the peer is killed, and the source crashes, during pulls. The test drives the class of the listener, because nothing else pulls
// yet. Skipped without root, loop devices or xfsprogs.

import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import { callServer } from '@rsio/api/rssrv/call-server';
import { systemClock } from '@rsio/base/lib/clock';
import type { RsError } from '@rsio/base/lib/errors';
import { quietLog } from '@rsio/base/log/log';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { nextIdentity } from '@rsio/protocol/client-identity';
import { OpenSnapshots } from '@rsio/rssrv/replication/peers/open-snapshots';
import { PeerProcesses } from '@rsio/rssrv/replication/peers/peer-processes';
import type { Pull, PullProgress } from '@rsio/rssrv/replication/peers/peers';
import { spawnPeerFrom } from '@rsio/rssrv/replication/peers/spawn-peer';
import { expect, it, type TestContext } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { launcher } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const [KIB, MIB] = [1024, 1024 ** 2];
const SIZE_BYTES = 64 * MIB;
const LONG_MS = 60_000;
const NODE = 'oslo-1';
const SOURCE = 'big-9';

const PEER_PROGRAM = path.join(path.dirname(launcher('rssrv')), '../packages/rssrv/dist/program/peer.js');

const hosts = useHosts();

/** The source with its volume, a client that writes to it, and the peers of a server `oslo-1`. */
class Scene {
  readonly source: Host;
  readonly network: TestNetwork;
  readonly folder: string;
  readonly nbd: NbdIo;
  readonly random = new SeededRandom(11);
  readonly peers: PeerProcesses;
  readonly pids: number[] = [];
  readonly progress: PullProgress[] = [];

  private constructor(source: Host, network: TestNetwork, folder: string, nbd: NbdIo) {
    [this.source, this.network, this.folder, this.nbd] = [source, network, folder, nbd];
    this.peers = new PeerProcesses({
      clock: systemClock,
      log: quietLog,
      connected: () => undefined,
      opens: new OpenSnapshots(source.file('oslo-1/open-snapshots.json')),
      identity: () => nextIdentity(path.dirname(source.file('oslo-1/state'))),
      instance: 'f'.repeat(32),
      unit: Math.random,
      spawn: (events) => {
        const child = spawnPeerFrom([PEER_PROGRAM], events);
        this.pids.push(child.pid);
        return child;
      },
      here: (all) => all,
      started: () => Promise.resolve(),
      ended: () => Promise.resolve(),
      note: (_, write) => write(),
    });
    hosts.onClean(() => void this.peers.stop());
  }

  static async start(context: TestContext): Promise<Scene> {
    const source = hosts.host();
    const network = await hosts.network(2);
    const pool = path.join(reflinkDisk(hosts, source, context), 'pool');
    mkdirSync(pool);
    const clients = { 'big-2': keyOf('big-2'), [NODE]: keyOf(NODE), 'oslo-2': keyOf('oslo-2') };
    source.writeConfig('rssrv', serverConfig(network, { volumes: {}, clients, rights: { 'big-2': 'manage' } }));
    await source.start('rssrv');
    await source.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '0%');
    await source.rsadmWell('volume', 'create', 'db', '--size', '64m');
    source.writeConfig('rsiod', clientConfig(network));
    await source.start('rsiod');
    await source.pathsUp(2);
    await source.rsconfigWell('-a', 'db');
    const nbd = await NbdIo.open(source.rsiodPaths.nbdSocket, 'osl/db');
    hosts.onClean(() => nbd.close());
    const { volume } = await callServer(source.rssrvPaths.controlSocket, 'volume-show', { name: 'db', universe: 0 });
    return new Scene(source, network, path.join(pool, 'volumes', volume.id ?? ''), nbd);
  }

  /** Connects to the source under this name of the peer. */
  follow(name: string, more = ''): void {
    const address = this.network.serverAddresses.map((one) => `${one}:${this.network.port}`).join(', ');
    const peer = `[peer ${name}]\naddress = ${address}\nnodekey = ${keyOf(NODE)}\n${more}`;
    const text = `[namespace osl]\nnamespaceid = 200\n[server ${NODE}]\nserverid = 2\n[interface if0]\naddress = 127.0.0.1\n${peer}`;
    this.peers.follow(parseRssrvConfig(text, 'rssrvcfg').peers);
  }

  async connected(): Promise<void> {
    await waitFor(() => this.peers.state(SOURCE)?.pathsUp === 2, LONG_MS, 'Both paths to the source are up');
  }

  async write(megabytes: number): Promise<void> {
    for (let left = megabytes; left > 0; left--)
      await this.nbd.write(this.random.int(0, SIZE_BYTES / (64 * KIB) - 17) * 64 * KIB, Buffer.alloc(MIB, this.random.bytes(8 * KIB)));
  }

  async snapshot(name: string): Promise<Pull['snapshot']> {
    await this.source.rsadmWell('volume', 'snapshot', `db@${name}`);
    const { snapshots } = await callServer(this.source.rssrvPaths.controlSocket, 'volume-show', { name: 'db', universe: 0 });
    return { name, id: snapshots.find((one) => one.snapshot === name)?.id ?? '' };
  }

  /** Pulls into the file. `limitBytes`: null for no limit. */
  pull(
    snapshot: Pull['snapshot'],
    file: string,
    since: string | null,
    limitBytes: number | null,
    cancel = new AbortController(),
    isCompared = false,
  ): Promise<void> {
    const order = {
      volume: { name: 'db', universe: 0 },
      snapshot,
      since,
      isCompared,
      file,
      sizeBytes: SIZE_BYTES,
      fromBytes: 0,
      limitBytes,
    };
    return this.peers.pull(SOURCE, order, (one) => this.progress.push(one), cancel.signal);
  }

  /** Bytes that the source has sent in answers to READs. */
  async readBytes(): Promise<number> {
    const { sessions } = await callServer(this.source.rssrvPaths.controlSocket, 'stats', {});
    return sessions.flatMap(({ client, volumes }) => (client === NODE ? volumes : [])).reduce((sum, one) => sum + one.readBytes, 0);
  }

  isEqual(snapshot: Pull['snapshot'], file: string): boolean {
    return readFileSync(path.join(this.folder, `snapshots/${snapshot.name}.data`)).equals(readFileSync(file));
  }

  emptyFile(name: string): string {
    const file = this.source.file(name);
    writeFileSync(file, '');
    truncateSync(file, SIZE_BYTES);
    return file;
  }
}

it('pulls a snapshot and then what has changed since, over two paths', { timeout: 3 * LONG_MS }, async (context) => {
  const scene = await Scene.start(context);
  const { peers, source } = scene;
  scene.follow(SOURCE, 'digest = on\n');
  await scene.write(20);
  const first = await scene.snapshot('s1');
  await scene.connected();
  expect(await peers.call(SOURCE, 'daemon', {}, LONG_MS)).toMatchObject({ nodename: SOURCE });
  await expect(peers.call(SOURCE, 'no-such-method', {}, LONG_MS)).rejects.toMatchObject({ code: 'E_USAGE' });
  const file = scene.emptyFile('copy');
  await scene.pull(first, file, null, null);
  expect(scene.isEqual(first, file)).toBe(true);
  const whole = scene.progress.at(-1)!;
  expect(whole).toEqual({ positionBytes: SIZE_BYTES, doneBytes: whole.totalBytes, totalBytes: whole.totalBytes });
  // A third of the volume was never written, and is not read.
  expect(whole.totalBytes).toBeLessThan(22 * MIB);
  expect(statSync(file).blocks * 512).toBeLessThan(22 * MIB);

  await scene.write(3);
  await scene.nbd.trim(8 * MIB, 4 * MIB);
  const second = await scene.snapshot('s2');
  await scene.pull(second, file, first.id, null);
  expect(scene.isEqual(second, file)).toBe(true);
  const { doneBytes } = scene.progress.at(-1)!;
  expect(doneBytes).toBeGreaterThan(MIB);
  expect(doneBytes).toBeLessThan(5 * MIB);
  await waitFor(async () => (await scene.readBytes()) >= whole.totalBytes + doneBytes, LONG_MS, 'The source has counted the READs');
  expect(await scene.readBytes()).toBeLessThan(whole.totalBytes + 5 * MIB);

  // A file of unknown content is compared, and only what differs is read.
  const before = await scene.readBytes();
  const carried = readFileSync(file);
  carried.fill(0xee, 5 * MIB, 5 * MIB + 100 * KIB);
  carried.fill(0xee, SIZE_BYTES - KIB);
  writeFileSync(file, carried);
  await scene.pull(second, file, null, null, new AbortController(), true);
  expect(scene.isEqual(second, file)).toBe(true);
  await waitFor(async () => (await scene.readBytes()) > before, LONG_MS, 'The source has counted the READs');
  expect((await scene.readBytes()) - before).toBeLessThanOrEqual(4 * 64 * KIB);

  // A snapshot with another id, or a base that is not there, is refused.
  const gone = { code: 'E_UNKNOWN_SNAPSHOT' };
  await expect(scene.pull({ ...second, id: first.id }, file, null, null)).rejects.toMatchObject(gone);
  await expect(scene.pull({ name: 's3', id: second.id }, file, null, null)).rejects.toMatchObject(gone);
  await expect(scene.pull(second, file, 'ffffffff-0000-0000-0000-000000000000', null)).rejects.toMatchObject(gone);
  await expect(scene.pull(second, `${file}.none`, null, null)).rejects.toMatchObject({ code: 'E_STORAGE' });
  await source.rsadmWell('volume', 'remove', 'db@s1', '--yes');
  await expect(scene.pull(second, file, first.id, null)).rejects.toMatchObject(gone);
});

it('a killed process and a killed source do not end with another content', { timeout: 3 * LONG_MS }, async (context) => {
  const scene = await Scene.start(context);
  const { peers, source, progress } = scene;
  scene.follow(SOURCE);
  await scene.write(24);
  const first = await scene.snapshot('s1');
  await scene.connected();
  const file = scene.emptyFile('copy');
  const begun = (): Promise<unknown> => waitFor(() => (progress.at(-1)?.doneBytes ?? 0) > 0, LONG_MS, 'The pull has begun');

  const codeOf = (pull: Promise<void>): Promise<string> =>
    pull.then(
      () => 'none',
      (error: RsError) => error.code,
    );

  const killed = codeOf(scene.pull(first, file, null, 16 * MIB));
  await begun();
  process.kill(scene.pids.at(-1)!, 'SIGKILL');
  expect(await killed).toBe('E_UNREACHABLE');
  expect(peers.state(SOURCE)?.isConnected).toBe(false);
  await scene.connected();
  expect(scene.pids).toHaveLength(2);

  progress.length = 0;
  const cancel = new AbortController();
  const cancelled = codeOf(scene.pull(first, file, null, 16 * MIB, cancel));
  await begun();
  cancel.abort();
  expect(await cancelled).toBe('E_RESET');

  progress.length = 0;
  const slow = scene.pull(first, file, null, 16 * MIB);
  await begun();
  await source.kill('rssrv');
  await source.start('rssrv');
  await slow;
  expect(scene.isEqual(first, file)).toBe(true);
  expect(scene.pids).toHaveLength(2);
  // The killed process has left nothing open, so that the source can remove the snapshot.
  await waitFor(async () => (await source.rsadm('volume', 'remove', 'db@s1', '--yes')).code === 0, LONG_MS, 'The snapshot is not held');

  progress.length = 0;
  const second = await scene.snapshot('s2');
  const left = codeOf(scene.pull(second, file, null, 16 * MIB));
  await begun();
  process.kill(scene.pids.at(-1)!, 'SIGKILL');
  expect(await left).toBe('E_UNREACHABLE');
  await waitFor(async () => (await source.rsadm('volume', 'remove', 'db@s2', '--yes')).code === 0, LONG_MS, 'The next process closes it');
});

it('rssrv follows its section, and refuses a server of another name', { timeout: 3 * LONG_MS }, async () => {
  const [source, server] = [hosts.host(), hosts.host()];
  const network = await hosts.network(2);
  source.writeConfig('rssrv', serverConfig(network, { volumes: {}, clients: { [NODE]: keyOf(NODE) }, tls: 'require' }));
  await source.start('rssrv');
  const own = await hosts.network(1);
  server.writeConfig('rssrv', serverConfig(own, { name: NODE, server: { serverid: '2' }, volumes: {}, clients: {} }));
  await server.start('rssrv');
  const key = server.file('key');
  writeFileSync(key, keyOf(NODE));
  const address = network.serverAddresses.map((one) => `${one}:${network.port}`).join(',');
  await server.rsadmWell('peer', 'add', 'big-1', '--address', address, '--key-file', key, '--tls');
  const list = async (): Promise<string> => await server.rsadmWell('peer', 'list', '--json');
  await waitFor(async () => (await list()).includes(`Server ${SOURCE} answers at`), LONG_MS, 'A server of another name is refused');
  await server.rsadmWell('peer', 'remove', 'big-1');
  await server.rsadmWell('peer', 'add', 'big-1', '--address', `${own.serverAddresses[0]}:${own.port}`, '--key-file', key);
  await waitFor(async () => (await list()).includes('This server itself answers at'), LONG_MS, 'The server itself is refused');
  await server.rsadmWell('peer', 'remove', 'big-1');
  await server.rsadmWell('peer', 'add', SOURCE, '--address', address, '--key-file', key, '--tls');
  const isUp = async (): Promise<boolean> => /connected\s+2 of 2/.test(await server.rsadmWell('peer', 'list'));
  await waitFor(isUp, LONG_MS, 'Both paths are up');
  const child = (): number | undefined =>
    server.processes().find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('rssrv: peer'));
  const before = child();
  process.kill(before!, 'SIGKILL');
  await waitFor(async () => child() !== before && (await isUp()), LONG_MS, 'Another process is connected');
  await server.kill('rssrv');
  await waitFor(() => child() === undefined, LONG_MS, 'The process ends with its listener');
  expect(server.log('rssrv')).not.toContain(keyOf(NODE));
});
