// Two equal servers for the drill of roles: each is a client and a peer of the other one, and has a client of its own. This file configures
// them, gives their orders, hashes what they have, and sets one of them back to an old image. Invariant: volumes are found by their ids,
// because the drill renames them.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import type { SnapshotView, ReplicationView } from '@rsio/api/views/views';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { makeReflinkDisk } from '../support/devices/reflink-disk.ts';
import { emptyRun, killServer } from '../support/faults/machine-crash.ts';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import type { Hosts } from '../support/hosts/hosts.ts';
import { runWell } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

export type Side = 0 | 1;
export const SIDES: readonly Side[] = [0, 1];
export const SERVERS = ['big-9', 'oslo-1'] as const;
const CLIENTS = ['big-2', 'venus'] as const;
const POOL = 'safe';
export const VOLUMES = 2;
export const VOLUME_BYTES = 2 * 1024 * 1024;
const [DISK_BYTES, WAIT_MS, IMAGES_MAX] = [3 * 1024 ** 3, 30_000, 3];
/** With the higher number, an old image has a moment that the other server still has. */
const [KEEP_MIN, KEEP_MAX] = [3, 40];

/** A copy of the pool and of the state of a server, of one moment. */
export interface Image {
  readonly folder: string;
  readonly round: number;
}

/** A snapshot of a volume with the checksum of its whole content. */
export interface Kept {
  readonly id: string;
  readonly name: string;
  readonly group: string;
  readonly sum: string;
}

interface Site {
  readonly host: Host;
  readonly client: Host;
  readonly disk: string;
  readonly images: Image[];
}

export function other(side: Side): Side {
  return side === 0 ? 1 : 0;
}

export class TwoSites {
  private readonly sites: readonly [Site, Site];
  /** Ids of the volumes of each server. */
  private readonly ids: [string[], string[]] = [[], []];
  private images = 0;
  /** Moments that both servers keep. */
  keep: number = KEEP_MAX;

  private constructor(sites: readonly [Site, Site]) {
    this.sites = sites;
  }

  static async start(hosts: Hosts): Promise<TwoSites> {
    const networks = [await hosts.network(1), await hosts.network(1)];
    const sites: Site[] = [];
    for (const side of SIDES) {
      const [host, client] = [hosts.host(), hosts.host()];
      const network = networks[side]!;
      const disk = makeReflinkDisk(hosts, host, DISK_BYTES);
      if (disk === null) throw new Error('Needs xfsprogs, and the right to mount a loop device with XFS (root)');
      const names = [CLIENTS[side]!, SERVERS[other(side)]!];
      const clients = Object.fromEntries(names.map((name) => [name, keyOf(name)]));
      const server = { serverid: String(side + 1) };
      host.writeConfig('rssrv', serverConfig(network, { name: SERVERS[side]!, server, volumes: {}, clients }));
      mkdirSync(path.join(disk, 'pool'));
      await host.start('rssrv');
      await host.rsadmWell('pool', 'add', POOL, path.join(disk, 'pool'), '--reserve', '0%');
      client.writeConfig('rsiod', clientConfig(network, { node: CLIENTS[side]!, defaults: { stall: 'forever' } }));
      await client.start('rsiod');
      sites.push({ host, client, disk, images: [] });
    }
    for (const side of SIDES) {
      const { host } = sites[side]!;
      const key = host.file('key');
      writeFileSync(key, keyOf(SERVERS[side]!));
      const { serverAddresses, port } = networks[other(side)]!;
      const address = `${serverAddresses[0]}:${port}`;
      await host.rsadmWell('peer', 'add', SERVERS[other(side)]!, '--address', address, '--key-file', key);
    }
    return new TwoSites(sites as unknown as [Site, Site]);
  }

  /** Makes the volumes at the first server, and waits for their followers. */
  async begin(): Promise<void> {
    for (let index = 0; index < VOLUMES; index++)
      await this.host(0).rsadmWell('volume', 'create', `v${index}`, '--size', String(VOLUME_BYTES));
    await this.learn(0);
    await this.host(0).rsadmWell(...(await this.replicating(0)));
    await waitFor(async () => (await this.learn(1)) === VOLUMES, WAIT_MS, 'The followers are made');
  }

  private async learn(side: Side): Promise<number> {
    const { volumes } = await callServer(this.host(side).rssrvPaths.controlSocket, 'volume-list', { pool: null });
    const ids = Array.from({ length: VOLUMES }, (_, index) => volumes.find(({ name }) => name === `v${index}`)?.id ?? null);
    this.ids[side] = ids.filter((id) => id !== null);
    return this.ids[side].length;
  }

  host(side: Side): Host {
    return this.sites[side].host;
  }

  client(side: Side): Host {
    return this.sites[side].client;
  }

  /** The present names of the volumes, in the order in which they were made. */
  async names(side: Side): Promise<readonly string[]> {
    const { volumes } = await callServer(this.host(side).rssrvPaths.controlSocket, 'volume-list', { pool: null });
    return this.ids[side].map((id) => {
      const found = volumes.find((one) => one.id === id);
      if (found === undefined) throw new Error(`${SERVERS[side]} has no volume ${id}`);
      return found.name;
    });
  }

  async replicating(side: Side): Promise<readonly string[]> {
    const peer = SERVERS[other(side)]!;
    const names = await this.names(side);
    return ['volume', 'replicate', ...names, '--to', peer, '--every', '1s', '--keep', String(this.keep), '--reversible', peer];
  }

  async views(side: Side): Promise<readonly ReplicationView[]> {
    return (await callServer(this.host(side).rssrvPaths.controlSocket, 'replication-list', {})).replications;
  }

  /** The snapshots of each volume, the oldest first. */
  async kept(side: Side): Promise<readonly (readonly Kept[])[]> {
    const all: Kept[][] = [];
    for (const [index, name] of (await this.names(side)).entries()) {
      const { snapshots } = await this.shown(side, name);
      const folder = path.join(this.folder(side, index), 'snapshots');
      // Retention may remove a moment meanwhile.
      const hashed = snapshots.flatMap(({ id, snapshot, group }: SnapshotView): Kept[] => {
        const sum = sumOf(path.join(folder, `${snapshot}.data`));
        return sum === null ? [] : [{ id, name: snapshot, group, sum }];
      });
      all.push(hashed);
    }
    return all;
  }

  /** Checksums of the files that clients read and write. */
  present(side: Side): readonly string[] {
    return this.ids[side].map((_id, index) => sumOf(this.dataOf(side, index)) ?? 'none');
  }

  dataOf(side: Side, index: number): string {
    return path.join(this.folder(side, index), 'data');
  }

  /** Returns true if the volumes of the server follow others. */
  async follows(side: Side): Promise<boolean> {
    const { volumes } = await callServer(this.host(side).rssrvPaths.controlSocket, 'volume-list', { pool: null });
    return volumes.some(({ id, follows }) => id === this.ids[side][0] && follows !== null && follows.promotedMs === null);
  }

  nodeOf(side: Side): string {
    return CLIENTS[side]!;
  }

  private folder(side: Side, index: number): string {
    return path.join(this.sites[side].disk, 'pool/volumes', this.ids[side][index]!);
  }

  async shown(side: Side, name: string) {
    return callServer(this.host(side).rssrvPaths.controlSocket, 'volume-show', { name, universe: 0 });
  }

  /** Stops the server, copies its pool and state, and starts it again. */
  async takeImage(side: Side, round: number): Promise<void> {
    const { host, disk, images } = this.sites[side];
    const folder = path.join(disk, `image-${++this.images}`);
    await host.stop('rssrv');
    await killServer(host);
    mkdirSync(folder);
    await runWell('cp', ['-a', '--reflink=always', path.join(disk, 'pool'), folder]);
    await runWell('cp', ['-a', host.rssrvPaths.stateDir, path.join(folder, 'state')]);
    images.push({ folder, round });
    while (images.length > IMAGES_MAX) rmSync(images.shift()!.folder, { recursive: true });
    await host.start('rssrv');
  }

  /** Chooses how many moments are kept from the next order on. */
  chooseKeep(random: SeededRandom): void {
    this.keep = random.pick([KEEP_MIN, KEEP_MAX]);
  }

  imagesOf(side: Side): readonly Image[] {
    return this.sites[side].images;
  }

  /** Sets the server back, as a restored backup of its disks does. */
  async setBack(side: Side, { folder }: Image): Promise<void> {
    const { host, disk } = this.sites[side];
    await killServer(host);
    const [pool, { stateDir }] = [path.join(disk, 'pool'), host.rssrvPaths];
    for (const place of [pool, stateDir]) for (const name of readdirSync(place)) rmSync(path.join(place, name), { recursive: true });
    await runWell('cp', ['-a', '--reflink=always', `${folder}/pool/.`, pool]);
    await runWell('cp', ['-a', `${folder}/state/.`, stateDir]);
    // As docs/OPERATING.md says of a restored server.
    rmSync(path.join(stateDir, 'identity.json'), { force: true });
    emptyRun(host);
    await host.start('rssrv');
  }

  logs(): string {
    return SIDES.map((side) => `--- ${SERVERS[side]}\n${this.host(side).log('rssrv').split('\n').slice(-80).join('\n')}\n`).join('');
  }
}

function sumOf(file: string): string | null {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16);
  } catch {
    return null;
  }
}
