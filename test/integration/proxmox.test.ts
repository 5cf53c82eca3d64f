// The plugin for Proxmox VE with a real server and two nodes, each with its rsiod: the disk of a guest from its creation to its removal, and
// a guest that moves between the nodes. A stub takes the place of Proxmox VE's base class. Skipped without perl or a file system with reflink.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { needPrograms } from '@rsio/base/testing/needs';
import { beforeEach, expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { keyOf, startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { launcher, run } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const PLUGIN = fileURLToPath(new URL('../../packaging/RSIOPlugin.pm', import.meta.url));
const DRIVE = fileURLToPath(new URL('../support/proxmox/drive.pl', import.meta.url));
const NODES = ['pve1', 'pve2'] as const;
const CALL_MS = 120_000;
const TEST_MS = 240_000;
const MIB = 1024 ** 2;
const STORAGE = 'fast';
const DISK = 'vm-100-disk-0';
const BASIC = { 'rsio-namespace': 'osl', 'rsio-pool': 'fast', 'rsio-nodes': 'pve1,pve2' };

const hosts = useHosts('file');
let scene: Promise<Scene> | undefined;

interface Scene {
  readonly server: Host;
  readonly nodes: readonly [PveNode, PveNode];
}

/** A node of Proxmox VE: its rsiod, and the folder with the configurations of the guests that it runs. */
class PveNode {
  readonly host: Host;
  private readonly guests: string;

  constructor(host: Host) {
    this.host = host;
    this.guests = mkdtempSync(path.join(host.root, 'guests-'));
  }

  /** Calls a method of the plugin. Returns the first value of its answer; throws its sentence if it died. */
  async call(method: string, ...args: readonly unknown[]): Promise<unknown> {
    return (await this.callAll(method, ...args))[0];
  }

  async callAll(method: string, ...args: readonly unknown[]): Promise<readonly unknown[]> {
    const env = { RSIO_ROOT: this.host.root, RSIO_RSCONFIG: launcher('rsconfig'), RSIO_PVE_GUESTS: this.guests };
    const { code, stdout, stderr } = await run('perl', [DRIVE, PLUGIN, method, JSON.stringify(args)], { timeoutMs: CALL_MS, env });
    if (code !== 0) throw new Error(`${method}: ${stderr}`);
    const answer = JSON.parse(stdout) as { result?: readonly unknown[]; died?: string };
    if (answer.result === undefined) throw new Error(answer.died);
    return answer.result;
  }

  activate(disk: string, storage: object = BASIC): Promise<unknown> {
    return this.call('activate_volume', STORAGE, storage, disk, null, {});
  }

  deactivate(disk: string, storage: object = BASIC): Promise<unknown> {
    return this.call('deactivate_volume', STORAGE, storage, disk, null, {});
  }

  /** Gives the guest to this node, as the cluster does when it moves the file of the guest. */
  has(guest: number, isHere: boolean): void {
    const file = path.join(this.guests, `${guest}.conf`);
    if (isHere) writeFileSync(file, '');
    else rmSync(file, { force: true });
  }

  async io(disk: string): Promise<NbdIo> {
    const nbd = await NbdIo.open(this.host.rsiodPaths.nbdSocket, `osl/${disk}`);
    hosts.onClean(() => nbd.close());
    return nbd;
  }
}

async function start(context: Parameters<typeof reflinkDisk>[2]): Promise<Scene> {
  const server = hosts.host();
  const network = await hosts.network(1);
  const pool = path.join(reflinkDisk(hosts, server, context), 'pool');
  mkdirSync(pool);
  const clients = Object.fromEntries(NODES.map((node) => [node, keyOf(node)]));
  await startServer(server, network, { volumes: {}, clients, rights: Object.fromEntries(NODES.map((node) => [node, 'manage'])) });
  await server.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '0%');
  // As rsadm init writes it: a disk belongs to the node that makes it, unless the storage names the others.
  await server.rsadmWell('namespace', 'set', 'tenants=yes');
  const [one, other] = [hosts.host(), hosts.host()];
  await startClient(one, network, { node: NODES[0], client: 0 });
  await startClient(other, network, { node: NODES[1], client: 1 });
  return { server, nodes: [new PveNode(one), new PveNode(other)] };
}

let server: Host;
let first: PveNode;
let second: PveNode;

beforeEach(async (context) => {
  needPrograms(context, 'perl');
  scene ??= start(context);
  ({
    server,
    nodes: [first, second],
  } = await scene);
});

async function heldBy(disk: string): Promise<string[]> {
  const shown = JSON.parse(await server.rsadmWell('volume', 'show', disk, '--json')) as { volume: { holders: { node: string }[] } };
  return shown.volume.holders.map(({ node }) => node);
}

it('the life of a disk: made, listed, activated, grown, snapshotted, rolled back, removed', { timeout: TEST_MS }, async () => {
  expect(await first.call('alloc_image', STORAGE, BASIC, 100, 'raw', null, 8 * 1024)).toBe(DISK);
  expect(await second.call('list_images', STORAGE, BASIC, 100, null, {})).toEqual([
    expect.objectContaining({ volid: `${STORAGE}:${DISK}`, format: 'raw', size: 8 * MIB, vmid: '100' }),
  ]);
  expect(await first.callAll('volume_size_info', BASIC, STORAGE, DISK)).toEqual([8 * MIB, 'raw', expect.any(Number), null]);
  const [total, free, used, active] = (await first.callAll('status', STORAGE, BASIC, {})) as number[];
  expect([active, total! - free!, free! > 0]).toEqual([1, used, true]);

  await first.activate(DISK);
  await first.activate(DISK);
  expect(await heldBy(DISK)).toEqual(['pve1']);
  expect(await first.call('path', BASIC, DISK, STORAGE, null)).toMatch(/^nbd\+unix:\/\/\/osl\/vm-100-disk-0\?socket=/);
  let nbd = await first.io(DISK);
  await nbd.write(0, Buffer.alloc(MIB, 1));
  await nbd.flush();
  await first.call('volume_snapshot', BASIC, STORAGE, DISK, 'monday');
  await nbd.write(0, Buffer.alloc(MIB, 2));
  await nbd.flush();
  await first.call('volume_resize', BASIC, STORAGE, DISK, 12 * MIB, 1);
  expect(await first.call('volume_size_info', BASIC, STORAGE, DISK)).toBe(12 * MIB);
  await expect(first.call('volume_resize', BASIC, STORAGE, DISK, 4 * MIB, 1)).rejects.toThrow('no volume smaller');
  const info = (await second.call('volume_snapshot_info', BASIC, STORAGE, DISK)) as Record<string, { timestamp: number }>;
  expect(Object.keys(info)).toEqual(['monday']);
  nbd.close();

  await first.call('volume_snapshot_rollback', BASIC, STORAGE, DISK, 'monday');
  expect(Object.keys((await first.call('volume_snapshot_info', BASIC, STORAGE, DISK)) as object)).toEqual(['monday']);
  await second.activate(DISK);
  nbd = await second.io(DISK);
  expect((await nbd.read(0, MIB)).equals(Buffer.alloc(MIB, 1))).toBe(true);
  nbd.close();
  await expect(first.call('free_image', STORAGE, BASIC, DISK, 0, 'raw')).rejects.toThrow(/pve2/);
  await second.call('volume_snapshot_delete', BASIC, STORAGE, DISK, 'monday', 0);
  await second.call('free_image', STORAGE, BASIC, DISK, 0, 'raw');
  expect(await first.call('list_images', STORAGE, BASIC, 100, null, {})).toEqual([]);
});

it('a template and its linked clones, which need the template no longer', { timeout: TEST_MS }, async () => {
  expect(await first.call('alloc_image', STORAGE, BASIC, 200, 'raw', 'vm-200-disk-1', 4 * 1024)).toBe('vm-200-disk-1');
  await first.activate('vm-200-disk-1');
  const nbd = await first.io('vm-200-disk-1');
  await nbd.write(MIB, Buffer.alloc(MIB, 7));
  await nbd.flush();
  nbd.close();
  expect(await first.call('create_base', STORAGE, BASIC, 'vm-200-disk-1')).toBe('base-200-disk-1');
  // An administrator whose node crashed during the call repeats the call.
  expect(await first.call('create_base', STORAGE, BASIC, 'vm-200-disk-1')).toBe('base-200-disk-1');
  expect(await second.call('clone_image', BASIC, STORAGE, 'base-200-disk-1', 201, null)).toBe('vm-201-disk-0');
  await first.call('free_image', STORAGE, BASIC, 'base-200-disk-1', 1, 'raw');
  await second.activate('vm-201-disk-0');
  const clone = await second.io('vm-201-disk-0');
  expect((await clone.read(MIB, MIB)).equals(Buffer.alloc(MIB, 7))).toBe(true);
  clone.close();
  await second.deactivate('vm-201-disk-0');
  expect(await second.call('rename_volume', BASIC, STORAGE, 'vm-201-disk-0', 202, null)).toBe(`${STORAGE}:vm-202-disk-0`);
  await second.call('free_image', STORAGE, BASIC, 'vm-202-disk-0', 0, 'raw');
});

it('a disk is at one node, moves with its guest, and a stopped node writes nothing after it', { timeout: TEST_MS }, async () => {
  const disk = 'vm-300-disk-0';
  await first.call('alloc_image', STORAGE, BASIC, 300, 'raw', disk, 4 * 1024);
  first.has(300, true);
  await first.activate(disk);
  const old = await first.io(disk);
  await old.write(0, Buffer.alloc(4096, 1));
  await old.flush();
  // Live migration: the guest is still at the first node.
  await expect(second.activate(disk)).rejects.toThrow(/held by pve1.*live migration needs rsio-shared 1/);
  expect(await heldBy(disk)).toEqual(['pve1']);

  // The first node stops for a while, and the cluster gives the guest to the second one.
  const frozen = first.host.processes();
  for (const pid of frozen) process.kill(pid, 'SIGSTOP');
  const late = old.write(0, Buffer.alloc(4096, 2)).then(
    () => 'done',
    () => 'failed',
  );
  try {
    second.has(300, true);
    await second.activate(disk);
    const taken = await second.io(disk);
    expect((await taken.read(0, 4096)).equals(Buffer.alloc(4096, 1))).toBe(true);
    await taken.write(0, Buffer.alloc(4096, 3));
    await taken.flush();
    for (const pid of frozen) process.kill(pid, 'SIGCONT');
    expect(await late).toBe('failed');
    await first.host.logged('rsiod', /vm-300-disk-0 was taken over by pve2/);
    expect((await taken.read(0, 4096)).equals(Buffer.alloc(4096, 3))).toBe(true);
    taken.close();
  } finally {
    for (const pid of frozen) {
      try {
        process.kill(pid, 'SIGCONT');
      } catch {
        // The process has ended.
      }
    }
    old.close();
  }
  first.has(300, false);
  await waitFor(async () => (await first.host.call('local', {})).attachments.length === 0, 20_000, 'The first node has no disk');
  await second.deactivate(disk);
  await second.call('free_image', STORAGE, BASIC, disk, 0, 'raw');
});

it('with rsio-shared, two nodes have a disk for a live migration', { timeout: TEST_MS }, async () => {
  const storage = { ...BASIC, 'rsio-shared': 1, 'rsio-prefix': 'lab-' };
  const disk = String(await first.call('alloc_image', STORAGE, storage, 400, 'raw', null, 4 * 1024));
  await first.activate(disk, storage);
  await second.activate(disk, storage);
  expect((await heldBy(`lab-${disk}`)).toSorted()).toEqual(['pve1', 'pve2']);
  await first.deactivate(disk, storage);
  await second.call('free_image', STORAGE, storage, disk, 0, 'raw');
});

it.each([
  ['parse_volname', ['../etc/passwd'], 'cannot parse the name'],
  ['parse_volname', ['vm-7-disk-0@x'], 'cannot parse the name'],
  ['alloc_image', [STORAGE, BASIC, 100, 'qcow2', null, 1024], 'format raw only'],
  ['alloc_image', [STORAGE, BASIC, 100, 'raw', 'vm-101-disk-0', 1024], 'must begin with vm-100-'],
  ['alloc_image', [STORAGE, { ...BASIC, 'rsio-pool': 'absent' }, 100, 'raw', null, 1024], 'no such pool'],
  ['activate_volume', [STORAGE, BASIC, 'vm-999-disk-0', 'monday', {}], 'cannot be attached'],
  ['volume_snapshot', [BASIC, STORAGE, DISK, 'before-rollback-1'], 'used by RSIO itself'],
  ['status', [STORAGE, { 'rsio-namespace': 'nowhere' }, {}], 'no namespace "nowhere"'],
])('%s %j: %s', { timeout: TEST_MS }, async (method, args, sentence) => {
  await expect(first.call(method, ...args)).rejects.toThrow(sentence);
});
