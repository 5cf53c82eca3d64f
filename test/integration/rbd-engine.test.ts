// The engine of farms for Ceph RBD, on a cluster of this test: the test suite that all engines share, and tests for Ceph alone. The tests
// freeze and kill daemons, and use a user with too few rights. Rules: F1, F4, F7 in test/models/README.md.

import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { RbdEngine } from '@rsio/rssrv/farm/engines/rbd';
import { firstRecord } from '@rsio/rssrv/farm/farm-record';
import { engineSuite, stampAt, write, WriteLoop } from '@rsio/rssrv/testing/engine-suite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '../support/programs/wait-for.ts';
import { CephCluster, missingForCeph } from '../support/devices/ceph.ts';

const IMAGE = 'farm';
const LIMIT_MS = 120_000;
const MIB = 1 << 20;
const WAIT_MS = 10_000;
const missing = missingForCeph();

engineSuite('an engine for Ceph RBD', missing, async () => {
  const cluster = await CephCluster.start();
  await create(cluster, IMAGE);
  return {
    engine: (server) => engineIn(cluster, server),
    damage: async (text) => void (await cluster.run('rados', '-p', 'rbd', 'setomapval', `rsio.pool.${IMAGE}`, 'record', text)),
    forget: () => forget(cluster, IMAGE),
    read: (positionBytes, lengthBytes) => read(cluster, positionBytes, lengthBytes),
    hang: () => cluster.hang(),
    resume: () => cluster.resume(),
    remove: () => cluster.remove(),
  };
});

describe('a pool on Ceph RBD', () => {
  let cluster: CephCluster;
  const engines: RbdEngine[] = [];
  const engine = (server: string, image = IMAGE, environment = cluster.environment): RbdEngine => {
    const made = engineIn(cluster, server, image, environment);
    engines.push(made);
    return made;
  };
  beforeAll(async () => {
    if (missing !== null) return;
    cluster = await CephCluster.start();
    // A section of the Ceph user. The settings of the daemon must override the settings of this section.
    appendFileSync(cluster.conf, '[client.admin]\nrbd_skip_partial_discard = true\ndebug_ms = 0/0\n');
    await create(cluster, IMAGE);
  }, LIMIT_MS);
  beforeEach((context) => context.skip(missing !== null, missing ?? ''));
  afterEach(async () => {
    if (missing !== null) return;
    cluster.resume();
    for (const one of engines.splice(0)) {
      await one.clear();
      await one.close();
    }
    await forget(cluster, IMAGE);
  }, LIMIT_MS);
  afterAll(async () => {
    if (missing === null) await cluster.remove();
  }, LIMIT_MS);

  it('writes of a frozen client never reach the image after the fence (F4)', { timeout: LIMIT_MS }, async () => {
    const old = engine('big-9');
    const client = await old.connect(1);
    const oldDevice = await client.open();
    const loop = new WriteLoop(oldDevice);
    await loop.acknowledged(20);
    const daemon = daemonIn(cluster, 'big-9');
    process.kill(daemon, 'SIGSTOP');
    const taker = engine('big-8');
    const next = await taker.connect(2);
    await taker.fence({ generation: 1, server: 'big-9', client: client.name });
    const { epoch } = JSON.parse(await cluster.run('ceph', 'osd', 'stat', '--format', 'json')) as { epoch: number };
    const device = await next.open();
    // The new client sends no request to an OSD before its map contains the fence.
    expect(await mapOf(cluster, 'big-8')).toBeGreaterThanOrEqual(epoch);
    expect(Number(await stampAt({ read: (at, length) => read(cluster, at, length) }, 0))).toBeGreaterThanOrEqual(loop.last);
    expect(await write(device, 0, 'next')).toBe(true);
    process.kill(daemon, 'SIGCONT');
    await loop.ended;
    expect(await stampAt({ read: (at, length) => read(cluster, at, length) }, 0)).toBe('next');
    const uses = [oldDevice, device].map(useOf);
    await next.close();
    await client.cut();
    await client.close();
    expect(uses.some((use) => use === useOf(oldDevice) || use === useOf(device))).toBe(false);
    expect(await fencedUntil(cluster, client.name)).toBeGreaterThan(Date.now() + 9 * 365 * 86_400_000);
  });

  it('an entry of another program that ends soon is no fence, and the error says what to do', { timeout: LIMIT_MS }, async () => {
    const client = '127.0.0.1:0/4242';
    await cluster.run('ceph', 'osd', 'blocklist', 'add', client, '3600');
    const fence = engine('big-8').fence({ generation: 1, server: 'big-9', client });
    await expect(fence).rejects.toMatchObject({ code: 'E_FENCE', message: expect.stringContaining(`ceph osd blocklist rm ${client}`) });
    await cluster.run('ceph', 'osd', 'blocklist', 'rm', client);
    await engine('big-7').fence({ generation: 1, server: 'big-9', client });
    expect(await fencedUntil(cluster, client)).toBeGreaterThan(Date.now() + 9 * 365 * 86_400_000);
  });

  it('a note without a form is none, and hinders no server', { timeout: LIMIT_MS }, async () => {
    const one = engine('big-9');
    await one.swap(null, firstRecord(['big-9', 'big-8'], 0));
    const note = { generation: 0, count: 1, wants: null, refusal: null };
    await one.post(note);
    for (const [server, text] of [
      ['big-8', JSON.stringify({ ...note, load: -5 })],
      ['big-7', '{'],
    ] as const)
      await cluster.run('rados', '-p', 'rbd', 'setomapval', `rsio.pool.${IMAGE}`, `note.${server}`, text);
    expect([...(await one.look()).notes]).toEqual([['big-9', note]]);
  });

  it('an address of IPv6 is fenced', { timeout: LIMIT_MS }, async () => {
    await engine('big-8').fence({ generation: 1, server: 'big-9', client: '[fd00::9]:0/4294967295' });
    expect(await fencedUntil(cluster, '[fd00::9]:0/4294967295')).toBeGreaterThan(Date.now());
  });

  it.each([
    '10.0.0.1:0/0',
    '10.0.0.1:6800/7',
    '10.0.0.1:0/4294967296',
    '10.0.0.999:0/7',
    'v2:10.0.0.1:0/7',
    '[10.0.0.1]:0/7',
    '10.0.0.0/8',
  ])('the address %s is refused', async (client) => {
    await expect(engine('big-8').fence({ generation: 1, server: 'big-9', client })).rejects.toMatchObject({ code: 'E_FENCE' });
  });

  it('zeros are zeros, discards and all, and the device grows with the image', { timeout: LIMIT_MS }, async () => {
    await create(cluster, 'growing');
    const owner = engine('big-9', 'growing');
    const client = await owner.connect(1);
    const device = await client.open();
    for (const block of [0, 1, 2]) expect(await write(device, block, 'data')).toBe(true);
    expect(spawnSync('fallocate', ['--punch-hole', '--offset', '4096', '--length', '4096', device]).status).toBe(0);
    const bytes = await read(cluster, 0, 12_288, 'growing');
    expect([0, 4_096, 8_192].map((at) => bytes.toString('latin1', at, at + 4))).toEqual(['data', '\0\0\0\0', 'data']);
    const queue = (name: string): string => readFileSync(device.replace('/dev/', '/sys/block/') + name, 'latin1').trim();
    expect(['/loop/dio', '/loop/partscan', '/queue/write_cache'].map(queue)).toEqual(['1', '0', 'write back']);
    expect(await client.grow()).toBe(64 * MIB);
    await cluster.run('rbd', 'resize', 'rbd/growing', '--size', '96M', '--no-progress');
    expect(await client.grow()).toBe(96 * MIB);
    expect(await write(device, 95 * 256, 'end')).toBe(true);
    expect(await client.grow()).toBe(96 * MIB);
    const next = await engine('big-8', 'growing').connect(2);
    await cluster.run('rbd', 'resize', 'rbd/growing', '--size', '128M', '--no-progress');
    await client.close();
    expect(await write(await next.open(), 127 * 256, 'end')).toBe(true);
    await next.close();
  });

  it('images with a feature or a setting that is not safe are refused with the command that ends it', { timeout: LIMIT_MS }, async () => {
    await cluster.run('rbd', 'create', 'rbd/locked', '--size', '8M');
    const refusal: unknown = await engine('big-9', 'locked')
      .connect(1)
      .catch((thrown: unknown) => thrown);
    expect(refusal).toMatchObject({ code: 'E_STORAGE', message: expect.stringContaining('exclusive-lock') });
    await cluster.run('sh', '-c', (refusal as Error).message.split(': run ').at(-1) ?? '');
    await (await engine('big-9', 'locked').connect(1)).close();
    await create(cluster, 'set');
    await cluster.run('rbd', 'config', 'image', 'set', 'rbd/set', 'rbd_skip_partial_discard', 'true');
    await expect(engine('big-9', 'set').connect(1)).rejects.toMatchObject({
      code: 'E_STORAGE',
      message: expect.stringContaining('rbd config image rm'),
    });
    await expect(engine('big-9', 'nothing').connect(1)).rejects.toMatchObject({
      code: 'E_STORAGE',
      message: expect.stringContaining('rbd info'),
    });
  });

  it('an image with content is not prepared, and one that was prepared is, whatever it has', { timeout: LIMIT_MS }, async () => {
    await create(cluster, 'full');
    const file = path.join(cluster.folder, 'content');
    writeFileSync(file, 'content');
    await cluster.run('rbd', 'import', '--image-feature', 'layering', file, 'rbd/used');
    await expect(engine('big-9', 'used').prepare()).rejects.toMatchObject({ code: 'E_EXISTS' });
    await engine('big-9', 'full').prepare();
    expect(await engine('big-9', 'full').look()).toEqual({ record: null, notes: new Map() });
    const client = await engine('big-9', 'full').connect(1);
    expect(await write(await client.open(), 0, 'half')).toBe(true);
    await client.close();
    await engine('big-8', 'full').prepare();
    expect(await engine('big-8', 'full').swap(null, firstRecord(['big-8'], 1))).toBe(true);
    await engine('big-9', 'full').prepare();
    expect(await engine('big-9', 'full').swap(null, firstRecord(['big-9'], 1))).toBe(false);
  });

  it('images of the same name in two pools have two records', { timeout: LIMIT_MS }, async () => {
    await cluster.run('ceph', 'osd', 'pool', 'create', 'other', '1');
    const other = new RbdEngine({ ...portsIn(cluster, 'big-9', IMAGE, cluster.environment), pool: 'other' });
    engines.push(other);
    expect(await engine('big-9').swap(null, firstRecord(['big-9'], 1))).toBe(true);
    expect(await other.swap(null, firstRecord(['big-8'], 1))).toBe(true);
    expect((await engine('big-8').look()).record?.owners).toEqual(['big-9']);
  });

  it('a user without rights is told which rights are missing', { timeout: LIMIT_MS }, async () => {
    const keys = path.join(cluster.folder, 'weak.keyring');
    await cluster.run('ceph', 'auth', 'get-or-create', 'client.weak', 'mon', 'allow r', 'osd', 'allow r', '-o', keys);
    const weak = engine('big-9', IMAGE, { ...cluster.environment, CEPH_ARGS: `--id weak --keyring=${keys}` });
    await expect(weak.swap(null, firstRecord(['big-9'], 1))).rejects.toMatchObject({
      message: expect.stringContaining('ceph auth caps client.weak'),
    });
    const fence = weak.fence({ generation: 1, server: 'big-8', client: '127.0.0.1:0/77' });
    await expect(fence).rejects.toMatchObject({
      code: 'E_FENCE',
      message: expect.stringContaining('ceph osd blocklist add 127.0.0.1:0/77'),
    });
    await cluster.run('ceph', 'auth', 'caps', 'client.weak', 'mon', 'profile rbd', 'osd', 'profile rbd pool=rbd');
    const owner = engine('big-8', IMAGE, { ...cluster.environment, CEPH_ARGS: `--id weak --keyring=${keys}` });
    expect(await owner.swap(null, firstRecord(['big-9'], 1))).toBe(true);
    await owner.fence({ generation: 1, server: 'big-8', client: '127.0.0.1:0/77' });
    const client = await owner.connect(1);
    expect(await write(await client.open(), 0, 'weak')).toBe(true);
    await client.close();
  });

  it('a helper that was killed or hangs fails its calls, and the next call starts another', { timeout: LIMIT_MS }, async () => {
    const one = engine('big-9');
    await one.look();
    const helper = childrenOf(process.pid, 'farm-rbd.py').at(-1) ?? 0;
    process.kill(helper, 'SIGSTOP');
    const calls = [one.swap(null, firstRecord(['big-9'], 1)), one.look()];
    process.kill(helper, 'SIGKILL');
    expect((await Promise.allSettled(calls)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await one.look();
    process.kill(childrenOf(process.pid, 'farm-rbd.py').at(-1) ?? 0, 'SIGSTOP');
    await expect(one.look()).rejects.toMatchObject({ code: 'E_STORAGE', message: expect.stringContaining('5000 ms') });
    expect((await one.look()).record).toBe(null);
  });

  it('a cluster that is down is E_STORAGE with a remedy, and a monitor that hangs hinders no look', { timeout: LIMIT_MS }, async () => {
    const one = engine('big-9');
    await one.look();
    cluster.hangMonitor();
    await expect(one.connect(1)).rejects.toMatchObject({ code: 'E_STORAGE', message: expect.stringContaining('ceph -s') });
    expect((await one.look()).record).toBe(null);
    await expect(engine('big-8').look()).rejects.toMatchObject({ code: 'E_STORAGE', message: expect.stringContaining('ceph -s') });
    const nowhere = engine('big-7', IMAGE, { ...cluster.environment, CEPH_CONF: '/nowhere/ceph.conf' });
    await expect(nowhere.look()).rejects.toMatchObject({ code: 'E_STORAGE', message: expect.stringContaining('/nowhere/ceph.conf') });
  });

  it('a loop device is found after its daemon has ended by itself, and unmounted its file', { timeout: LIMIT_MS }, async () => {
    const device = await (await engine('big-9').connect(1)).open();
    const use = useOf(device);
    process.kill(daemonIn(cluster, 'big-9'), 'SIGTERM');
    await waitFor(async () => !(await write(device, 0, 'ended')), WAIT_MS, 'The daemon has ended');
    expect(useOf(device)).toBe(use);
    await engine('big-9').clear();
    expect(useOf(device)).not.toBe(use);
  });

  it('a daemon of another folder is not ended, and nobody else sees the exported file', { timeout: LIMIT_MS }, async () => {
    await create(cluster, 'second');
    const [one, other] = [engine('big-9'), engine('big-8', 'second')];
    const clients = [await one.connect(1), await other.connect(1)];
    const devices = [await clients[0]?.open(), await clients[1]?.open()];
    const [ended = '', alive = ''] = devices;
    const use = useOf(ended);
    await engine('big-9').clear();
    // The test writes nothing to the ended loop device, because the kernel may give it to another program at once.
    expect(useOf(ended)).not.toBe(use);
    expect(await write(alive, 0, 'alive')).toBe(true);
    const folder = path.join(cluster.folder, 'big-8', 'client');
    expect(statSync(folder).mode & 0o77).toBe(0);
    expect(spawnSync('setpriv', ['--reuid=65534', '--clear-groups', 'cat', path.join(folder, 'disk')]).status).not.toBe(0);
    await clients[1]?.close();
    expect(existsSync(folder)).toBe(false);
  });
});

function create(cluster: CephCluster, image: string): Promise<string> {
  return cluster.run('rbd', 'create', `rbd/${image}`, '--size', '64M', '--image-feature', 'layering');
}

function portsIn(cluster: CephCluster, server: string, image: string, environment: Record<string, string>) {
  return { pool: 'rbd', image, server, folder: path.join(cluster.folder, server), clock: systemClock, environment };
}

function engineIn(cluster: CephCluster, server: string, image = IMAGE, environment = cluster.environment): RbdEngine {
  return new RbdEngine(portsIn(cluster, server, image, environment));
}

async function forget(cluster: CephCluster, image: string): Promise<void> {
  await cluster.run('rados', '-p', 'rbd', 'rm', `rsio.pool.${image}`).catch(() => undefined);
}

async function read(cluster: CephCluster, positionBytes: number, lengthBytes: number, image = IMAGE): Promise<Buffer> {
  const file = path.join(cluster.folder, 'read');
  await cluster.run('rbd', 'export', '--no-progress', `rbd/${image}`, file);
  const bytes = readFileSync(file).subarray(positionBytes, positionBytes + lengthBytes);
  rmSync(file);
  return bytes;
}

async function fencedUntil(cluster: CephCluster, client: string): Promise<number> {
  const line = (await cluster.run('ceph', 'osd', 'blocklist', 'ls')).split('\n').find((one) => one.startsWith(`${client} `));
  return Date.parse(line?.split(' ')[1]?.replace('+0000', 'Z') ?? '');
}

/** Returns the version of the cluster map that the storage client of a server has. */
async function mapOf(cluster: CephCluster, server: string): Promise<number> {
  const socket = path.join(cluster.folder, server, 'client', 'rados');
  const counters = await cluster.run('ceph', '--admin-daemon', socket, 'perf', 'dump', 'objecter', 'map_epoch');
  return (JSON.parse(counters) as { objecter: { map_epoch: number } }).objecter.map_epoch;
}

/** Identifies the present use of a loop device. */
function useOf(device: string): string {
  const folder = device.replace('/dev/', '/sys/block/');
  return existsSync(`${folder}/loop`) ? `${device} ${readFileSync(`${folder}/diskseq`, 'latin1')}` : 'none';
}

function daemonIn(cluster: CephCluster, server: string): number {
  return childrenOf(process.pid, path.join(cluster.folder, server, 'client', 'qmp')).at(-1) ?? 0;
}

/** Returns the pids of the children whose arguments contain the text, in the order of their start. */
function childrenOf(parent: number, text: string): number[] {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const own = all.filter((name) => {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      return (
        stat.slice(stat.lastIndexOf(')')).split(' ')[2] === String(parent) && readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(text)
      );
    } catch {
      return false;
    }
  });
  return own.map(Number).sort((a, b) => a - b);
}
