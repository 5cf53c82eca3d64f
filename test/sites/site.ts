// Two servers with pools on XFS: the source of a replication, and the server with the followers. This file configures them, waits for
// moments, makes and removes clones for a drill, and compares files. Invariant: contents are compared as files of the pools, so that neither
// a cache of a client nor a protocol is between them.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import type { ReplicationView } from '@rsio/api/views/views';
import { makeReflinkDisk } from '../support/devices/reflink-disk.ts';
import { keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import type { Hosts, TestNetwork } from '../support/hosts/hosts.ts';
import { run, runWell } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

export const [SOURCE, TARGET] = ['big-9', 'oslo-1'] as const;
/** The clients of the source and of the other server. */
export const [CLIENT, FAR_CLIENT] = ['big-2', 'venus'] as const;
const [POOL, SUFFIX] = ['safe', '-drill'] as const;
const SUM_MS = 600_000;
export const MOMENT_MS = 60_000;

export interface SitesParts {
  readonly source: Host;
  readonly target: Host;
  /** Addresses of the servers. */
  readonly network: Pick<TestNetwork, 'port' | 'serverAddresses'>;
  readonly ownNetwork: Pick<TestNetwork, 'port' | 'serverAddresses'>;
  /** Addresses of the source for the other server, such as those of proxies. */
  readonly peerAddresses: readonly string[];
  readonly diskBytes: number;
  readonly tls: boolean;
}

/** The clones of a drill. `group`: their moment. */
export interface Clones {
  readonly group: string;
  /** By the clock of the source. */
  readonly momentMs: number;
}

export class Sites {
  readonly source: Host;
  readonly target: Host;
  /** Mount points of the disks with the pools. */
  readonly disks: readonly [string, string];
  names: readonly string[] = [];

  private constructor({ source, target }: SitesParts, disks: readonly [string, string]) {
    [this.source, this.target, this.disks] = [source, target, disks];
  }

  /** Throws if this machine can mount no file system with reflink. */
  static async start(hosts: Hosts, parts: SitesParts): Promise<Sites> {
    const { source, target, network, ownNetwork, peerAddresses, diskBytes, tls } = parts;
    const disks = [source, target].map((host) => makeReflinkDisk(hosts, host, diskBytes)) as [string | null, string | null];
    if (disks[0] === null || disks[1] === null) throw new Error('Needs xfsprogs, and the right to mount a loop device with XFS (root)');
    const clients = { [CLIENT]: keyOf(CLIENT), [TARGET]: keyOf(TARGET) };
    source.writeConfig('rssrv', serverConfig(network, { volumes: {}, clients, ...(tls ? { tls: 'allow' } : {}) }));
    const far = { name: TARGET, server: { serverid: '2' }, volumes: {}, clients: { [FAR_CLIENT]: keyOf(FAR_CLIENT) } };
    target.writeConfig('rssrv', serverConfig(ownNetwork, far));
    for (const [index, host] of [source, target].entries()) {
      const folder = path.join(disks[index] ?? '', 'pool');
      mkdirSync(folder);
      await host.start('rssrv');
      await host.rsadmWell('pool', 'add', POOL, folder, '--reserve', '0%');
    }
    const key = target.file('key');
    writeFileSync(key, keyOf(TARGET));
    const address = peerAddresses.map((one) => `${one}:${network.port}`).join(',');
    await target.rsadmWell('peer', 'add', SOURCE, '--address', address, '--key-file', key, ...(tls ? ['--tls'] : []));
    return new Sites(parts, disks as [string, string]);
  }

  async create(names: readonly string[], size: string): Promise<void> {
    for (const name of names) await this.source.rsadmWell('volume', 'create', name, '--size', size);
    this.names = [...this.names, ...names];
  }

  async replicate(...options: readonly string[]): Promise<void> {
    await this.source.rsadmWell('volume', 'replicate', ...this.names, '--to', `${POOL}@${TARGET}`, ...options);
  }

  async view(): Promise<ReplicationView | undefined> {
    return (await callServer(this.target.rssrvPaths.controlSocket, 'replication-list', {})).replications[0];
  }

  /** Resolves with the newest moment of the followers once it is newer than this time. */
  newerMoment(thanMs: number, withinMs = MOMENT_MS): Promise<number> {
    const newer = async (): Promise<number | null> => {
      const momentMs = (await this.view())?.momentMs ?? 0;
      return momentMs > thanMs ? momentMs : null;
    };
    return waitFor(newer, withinMs, 'The followers have a newer moment').catch(async (error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(await this.view().catch(String))}`);
    });
  }

  /** Makes the clones. Returns the reason if the command fails. */
  async drill(): Promise<Clones | string> {
    const { code, stdout, stderr } = await this.target.rsadm('volume', 'promote', ...this.names, '--drill', '--json');
    if (code !== 0) return stderr;
    const { momentMs } = JSON.parse(stdout) as { readonly momentMs: number };
    return { momentMs, group: await this.groupAt(momentMs) };
  }

  /** Removes all clones of drills for good. */
  async removeClones(): Promise<void> {
    const { volumes, removed } = await callServer(this.target.rssrvPaths.controlSocket, 'volume-list', { pool: null });
    const clones = (all: readonly { readonly name: string }[]): string[] =>
      all.map(({ name }) => name).filter((one) => one.endsWith(SUFFIX));
    for (const name of clones(volumes)) await this.target.rsadmWell('volume', 'remove', name, '--yes');
    const gone = new Set([...clones(volumes), ...clones(removed)]);
    for (const name of gone) await this.target.rsadmWell('volume', 'purge', name, '--yes');
  }

  /** Returns a problem for each volume whose content at the target is not that of the source at this moment. `suffix`: of the clones. */
  async compare(group: string, suffix: string = SUFFIX): Promise<string[]> {
    const theirs = await Promise.all(this.names.map((name) => this.file('source', name, group)));
    const mine = await Promise.all(this.names.map((name) => this.file('target', name + suffix)));
    const [wanted, found] = await Promise.all([sums(theirs), sums(mine)]);
    return this.names.filter((_, index) => wanted[index] !== found[index]).map((name) => `${name}${suffix} differs from ${name}, ${group}`);
  }

  /** The file of a volume, or of its snapshot of this group. */
  async file(at: 'source' | 'target', name: string, group?: string): Promise<string> {
    const { volume, snapshots } = await this.shown(at, name);
    const folder = path.join(this.disks[at === 'source' ? 0 : 1], 'pool/volumes', volume.id ?? '');
    if (group === undefined) return path.join(folder, 'data');
    const snapshot = snapshots.find((one) => one.group === group);
    if (snapshot === undefined) throw new Error(`${name} of the ${at} has no snapshot of group ${group}`);
    return path.join(folder, 'snapshots', `${snapshot.snapshot}.data`);
  }

  /** Time at which the source made this moment. */
  async madeMs(group: string): Promise<number> {
    return (await this.shown('source', this.names[0]!)).snapshots.find((one) => one.group === group)?.createdMs ?? 0;
  }

  /** What the servers say about damage in their pools. */
  async findings(): Promise<string[]> {
    const all: string[] = [];
    for (const host of [this.source, this.target]) {
      const { pools } = await callServer(host.rssrvPaths.controlSocket, 'pool-list', {});
      for (const { state, findings } of pools)
        if (state !== 'ready' || findings.length > 0) all.push(`${state}: ${JSON.stringify(findings)}`);
    }
    return all;
  }

  /** Used bytes of the disk of the target. */
  async usedBytes(): Promise<number> {
    await run('sync', ['-f', this.disks[1]]);
    return Number(await runWell('sh', ['-ec', `df --output=used -B1 "$1" | tail -1`, 'sh', this.disks[1]]));
  }

  logs(): string {
    return [this.source, this.target].map((host) => `--- ${host.root}\n${host.log('rssrv').split('\n').slice(-60).join('\n')}\n`).join('');
  }

  private async groupAt(momentMs: number): Promise<string> {
    const group = (await this.shown('target', this.names[0]!)).snapshots.find((one) => one.createdMs === momentMs)?.group;
    if (group === undefined) throw new Error(`The target has no moment of ${momentMs}`);
    return group;
  }

  private shown(at: 'source' | 'target', name: string) {
    return callServer(this[at].rssrvPaths.controlSocket, 'volume-show', { name, universe: 0 });
  }
}

async function sums(files: readonly string[]): Promise<string[]> {
  const text = await runWell('sha256sum', files, { timeoutMs: SUM_MS });
  return text
    .trim()
    .split('\n')
    .map((line) => line.slice(0, 64));
}
