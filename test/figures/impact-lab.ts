// `npm run drill -- impact`: random volumes, mirrors, gates and applications on four servers, some in the shared pools of a farm. Asks
// `rsconfig impact` what stops if some of the servers are switched off, cuts their power, and compares it with what has stopped (G55). In
// some rounds, a server is away before, so that replicas lack writes. impact-probes.ts has the writes.
// Invariants: a thing counts as stopped only if a write to it was not done within its bound; each round begins with all servers, and each
// shared pool has all of its owners then.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { SharedPoolView } from '@rsio/api/views/views';
import { APP_METHODS } from '@rsio/api/rsapp/app-methods';
import { callServer } from '@rsio/api/rssrv/call-server';
import type { Impact } from '@rsio/api/manage/impact';
import { daemonPaths } from '@rsio/common/config/root-paths';
import { callMethod } from '@rsio/common/control/control-client';
import { defineDrill } from '../support/drills/harness.ts';
import { CGROUPS, program, ROOT_USER, XFS } from '../support/drills/needs.ts';
import { count, seed } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { launcher, wellOf } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { kill, removeAppGroups } from '../support/scenes/app-site.ts';
import { FarmScene } from '../support/scenes/farm-scene.ts';
import { APP_SILENT, applicationProbe, gateProbe, type Probe, volumeProbe, written } from './impact-probes.ts';

const NAMES = ['big-9', 'big-8', 'big-7', 'big-6'];
/** The shared pools, with their owners. */
const SHARED: Readonly<Record<string, readonly string[]>> = { duo: ['big-9', 'big-8'], trio: ['big-8', 'big-7', 'big-6'] };
const CLIENT = 'big-2';
const WRITER = path.join(launcher('..'), 'test/dist/support/io/app-writer.js');
const TOLD_MS = 1_000;
const BACK_MS = 120_000;
const SETTLES_MS = 60_000;
const REMOVE_MS = 60_000;
const ENDS_MS = 20_000;

/** What was made in a round. */
interface Made {
  readonly names: string[];
  readonly mirrors: string[];
  readonly gates: string[];
  readonly applications: string[];
  readonly probes: Probe[];
}

type Use = 'device' | 'gate' | 'application';

class ImpactLab {
  private readonly on: Scene;
  private farm!: FarmScene;
  private client!: Host;
  private readonly away = new Set<string>();
  private readonly figures = new Map<string, { compared: number; stopped: number }>();

  constructor(on: Scene) {
    this.on = on;
  }

  async play(rounds: number): Promise<void> {
    const { on } = this;
    on.atEnd(() =>
      [...this.figures].map(([what, { compared, stopped }]) => `${what}: ${compared} compared, of which ${stopped} had stopped`),
    );
    await this.start();
    for (let round = 1; round <= rounds && !on.isEnding; round++) {
      on.round(`round ${round}`);
      await this.round(`r${round}`);
    }
  }

  private async start(): Promise<void> {
    const { hosts } = this.on;
    const pools = Object.entries(SHARED).map(([name, owners]) => ({ name, owners }));
    const client = { defaults: { stall: 'forever' } };
    this.farm = await FarmScene.startOnFiles(hosts, { names: NAMES, pools, program: 'rssrv', server: { processes: '1' }, client });
    this.client = this.farm.holder;
    for (const server of this.farm.servers) {
      await server.rsadmWell('client', 'rights', CLIENT, 'admin');
      await server.rsadmWell('pool', 'add', 'local', await emptyPool(server), '--reserve', '0%');
    }
    hosts.onClean(async () => {
      kill(this.client, 'SIGKILL');
      await waitFor(() => this.client.processes().length === 0, ENDS_MS, 'The client has ended');
      removeAppGroups();
    });
    wellOf('rsapp', await this.client.run('rsapp'));
  }

  private async round(prefix: string): Promise<void> {
    const { client } = this;
    const { random } = this.on;
    await this.settled();
    const made = await this.make(prefix);
    const { probes } = made;
    const before = random.int(0, 2) === 0 ? this.pick(1) : [];
    await this.cutPower(before);
    const usable = before.length === 0 ? probes : await written(probes);
    const off = this.pick(
      1 + random.int(0, 1),
      NAMES.filter((one) => !before.includes(one)),
    );
    await this.settled();
    // The state of a mirror is known to its voters when its holder has told them.
    if (before.length > 0) await pause(TOLD_MS);
    const { impacts } = JSON.parse((await client.rsconfig('impact', '--off', off.join(','), '--json')).stdout) as { impacts: Impact[] };
    await this.cutPower(off);
    const went = new Set(await written(usable));
    await this.settled();
    const when = `away before: ${before.join() || '-'}, off: ${off.join()}`;
    for (const probe of usable) this.compare(probe, went.has(probe), impacts, when);
    await this.comparePlaces(impacts, when);
    for (const probe of probes) probe.close();
    await this.back();
    await this.remove(made);
  }

  private pick(count_: number, from: readonly string[] = NAMES): string[] {
    const left = [...from];
    return Array.from({ length: count_ }, () => left.splice(this.on.random.int(0, left.length - 1), 1)[0]!);
  }

  // --- What a round has

  private async make(prefix: string): Promise<Made> {
    const { random } = this.on;
    const made: Made = { names: [], mirrors: [], gates: [], applications: [], probes: [] };
    const uses: Use[] = [random.int(0, 1) === 0 ? 'gate' : 'device', random.int(0, 1) === 0 ? 'application' : 'device', 'device', 'device'];
    for (const [index, use] of uses.slice(0, 2 + random.int(0, 2)).entries()) {
      const name = `${prefix}-${index}`;
      // The volume of a gate has no device. The gate must therefore be there when the volume is attached.
      const port = use === 'gate' ? await this.addGate(name) : 0;
      const { kind, pool } = await this.makeVolume(name, use === 'application' ? ['--size', '16m'] : ['--size', '1m', '--attach']);
      made.names.push(name);
      if (kind === 'mirror') made.mirrors.push(name);
      if (use === 'gate') made.gates.push(name);
      if (use === 'application') made.applications.push(`app-${name}`);
      made.probes.push(
        use === 'gate'
          ? await gateProbe(this.client, name, port, pool)
          : use === 'application'
            ? await this.application(`app-${name}`, name, pool)
            : await volumeProbe(this.client, kind, name, pool),
      );
    }
    return made;
  }

  /** Makes a volume of a single server, a volume in a shared pool, or a mirror. */
  private async makeVolume(
    name: string,
    options: readonly string[],
  ): Promise<{ readonly kind: 'volume' | 'mirror'; readonly pool: string | null }> {
    const { client } = this;
    const { random } = this.on;
    const what = random.pick(['lone', 'shared', 'mirror', 'mirror'] as const);
    if (what !== 'mirror') {
      const pool = what === 'shared' ? random.pick(Object.keys(SHARED)) : null;
      const server = pool === null ? this.pick(1)[0]! : (await this.ownerOf(pool))!;
      await client.rsconfigWell('volume', 'create', name, ...options, '--server', server, '--pool', pool ?? 'local');
      return { kind: 'volume', pool };
    }
    const [first, ...others] = this.pick(3);
    const kind = random.int(0, 2);
    const replicas = [first, ...(kind === 2 ? others : others.slice(0, 1))].join(',');
    const witness = kind === 1 ? ['--witness', others[1]!] : [];
    await client.rsconfigWell('mirror', 'create', name, ...options, '--servers', replicas, ...witness, '--pool', 'local');
    return { kind: 'mirror', pool: null };
  }

  /** Adds a gate for a volume of the same name. Returns its port. */
  private async addGate(name: string): Promise<number> {
    const port = await freePort('127.0.0.1');
    await this.client.rsconfigWell('gate', 'add', name, `127.0.0.1:${port}`, '--hosts', 'all', '--iscsi', '--offers', name, '--reload');
    return port;
  }

  /** Adds and starts an application whose program writes to the volume. */
  private async application(name: string, volume: string, pool: string | null): Promise<Probe> {
    const { client } = this;
    const report = client.file(`app/${name}-report`);
    writeFileSync(report, '');
    const start = client.file(`app/${name}`);
    const writer = `exec ${process.execPath} ${WRITER} ${client.rsiodPaths.nbdSocket} osl/${volume} ${report} ${CLIENT}`;
    writeFileSync(start, `#!/bin/sh\n${writer}\n`, { mode: 0o755 });
    await client.rsconfigWell('app', 'add', name, '--on', volume, '--nodes', CLIENT, '--program', start);
    const { configFile } = client.rsiodPaths;
    writeFileSync(configFile, `${readFileSync(configFile, 'utf8').trimEnd()}\nsilent = ${APP_SILENT}\n`);
    const reload = () => callMethod(APP_METHODS, daemonPaths(client.root, 'rsapp').controlSocket, 'reload', {}, {});
    // rsapp refuses a change of an application that it looks at just then.
    await waitFor(reload, SETTLES_MS, `Application ${name} has its keys`);
    await client.rsconfigWell('app', 'start', name);
    return applicationProbe(name, report, pool);
  }

  // --- What is compared

  /** Compares what impact has said of a thing, and of the shared pool of its volume, with what has happened. */
  private compare(probe: Probe, went: boolean, impacts: readonly Impact[], when: string): void {
    const { kind, label, pool } = probe;
    const claims = [[kind, label] as const, ...(pool === null ? [] : [['pool', pool] as const])];
    this.note(pool === null ? kind : `${kind} in a shared pool`, went);
    for (const [its, name] of claims) {
      const said = impacts.find((one) => one.kind === its && one.name === name);
      if (said?.effect !== 'unknown' && (said?.effect === 'stops') === !went) continue;
      const what = said === undefined ? 'stays' : `${said.effect}: ${said.why}`;
      this.on.problem(`${kind} ${label} ${went ? 'went on' : 'has stopped'}, and impact had said "${what}" of ${its} ${name}; ${when}`);
    }
  }

  private note(what: string, went: boolean): void {
    const { compared, stopped } = this.figures.get(what) ?? { compared: 0, stopped: 0 };
    this.figures.set(what, { compared: compared + 1, stopped: stopped + (went ? 0 : 1) });
  }

  /** Compares where impact has said that shared pools go with the servers that serve them. */
  private async comparePlaces(impacts: readonly Impact[], when: string): Promise<void> {
    for (const { name, to, effect } of impacts.filter(({ kind }) => kind === 'pool')) {
      if (effect !== 'moves') continue;
      const server = await this.ownerOf(name);
      if (server !== to)
        this.on.problem(`Pool ${name} has moved to ${server ?? 'no server'}, and impact had said ${to ?? 'nowhere'}; ${when}`);
    }
  }

  // --- Servers

  /** Ends these servers as a power cut does. */
  private async cutPower(names: readonly string[]): Promise<void> {
    for (const name of names) this.away.add(name);
    await Promise.all(names.map((name) => this.farm.cutPower(this.farm.serverOf(name))));
  }

  /** Starts all servers that are away. */
  private async back(): Promise<void> {
    const { away, client } = this;
    for (const name of away) await this.powerOn(name);
    away.clear();
    const isWhole = async (): Promise<boolean> => {
      for (const name of NAMES.filter((one) => this.isFenced(one))) if (await this.mayReturn(name)) await this.powerOn(name);
      return !NAMES.some((one) => this.isFenced(one)) && (await this.areSettled());
    };
    await waitFor(isWhole, BACK_MS, 'All owners of the shared pools are back');
    await client.pathsUp(NAMES.length, BACK_MS);
  }

  /** Starts a server. An owner that takes a pool of the server may end it at once by the fence command. */
  private async powerOn(name: string): Promise<void> {
    const { farm } = this;
    try {
      await farm.revive(farm.serverOf(name));
    } catch (error) {
      if (!this.isFenced(name)) throw error;
    }
  }

  private isFenced(name: string): boolean {
    return this.farm.fenceOf(this.farm.serverOf(name)) !== 'none';
  }

  /**
   * False while another owner may still be taking a pool of this fenced server. The return of the server would then hide its end from the
   * fence command, which would end the server once more.
   */
  private async mayReturn(name: string): Promise<boolean> {
    if (this.farm.fenceOf(this.farm.serverOf(name)) !== 'ended') return false;
    for (const [pool, owners] of Object.entries(SHARED)) {
      if (!owners.includes(name) || owners.every((one) => this.isFenced(one))) continue;
      if ((await this.ownerOf(pool)) === null) return false;
    }
    return true;
  }

  /** Waits until each shared pool that has an owner is served, and its server knows which owners are there. */
  private async settled(): Promise<void> {
    await waitFor(() => this.areSettled(), SETTLES_MS, 'The shared pools are served');
  }

  private async areSettled(): Promise<boolean> {
    for (const [name, owners] of Object.entries(SHARED)) {
      const left = owners.filter((one) => !this.away.has(one));
      const views = await Promise.all(left.map((one) => this.poolAt(one, name)));
      const view = views.find((one) => one?.isHere === true && one.state === 'serving');
      if (left.length > 0 && view?.owners.every(({ server, isThere }) => isThere === left.includes(server)) !== true) return false;
    }
    return true;
  }

  /** The name of the server that serves the pool; null: none does. */
  private async ownerOf(pool: string): Promise<string | null> {
    const views = await Promise.all(SHARED[pool]!.map(async (server) => ({ server, view: await this.poolAt(server, pool) })));
    return views.find(({ view }) => view?.isHere === true)?.server ?? null;
  }

  /** What a server says about a shared pool; null if it does not answer. */
  private async poolAt(server: string, name: string): Promise<SharedPoolView | null> {
    const { controlSocket } = this.farm.serverOf(server).rssrvPaths;
    const { pools } = await callServer(controlSocket, 'farm-show', {}).catch(() => ({ pools: [] }));
    return pools.find((one) => one.name === name) ?? null;
  }

  // --- Removal

  private async remove({ names, mirrors, gates, applications }: Made): Promise<void> {
    const { client } = this;
    for (const name of gates) await client.rsconfigWell('gate', 'remove', name, '--reload');
    for (const name of applications) {
      await waitFor(async () => (await client.rsconfig('app', 'stop', name)).code === 0, REMOVE_MS, `Application ${name} is stopped`);
      // rsapp may see a moment later that this node does not hold its volume any more.
      await waitFor(async () => (await client.rsconfig('app', 'remove', name)).code === 0, REMOVE_MS, `Application ${name} is removed`);
    }
    await waitFor(async () => (await this.removed(names, mirrors)) === '', REMOVE_MS, 'The volumes of the round are removed');
  }

  /** Removes what is left. Returns why something is left. */
  private async removed(names: readonly string[], mirrors: readonly string[]): Promise<string> {
    const { client } = this;
    const { attachments } = await client.call('local', {});
    const attached = attachments.map(({ name }) => name).filter((name) => names.includes(name));
    if (attached.length > 0) {
      const { code, stderr } = await client.rsconfig('-d', ...attached, '--wait=10s');
      if (code !== 0) return stderr;
    }
    const listed = (
      JSON.parse(await client.rsconfigWell('volume', 'list', '--json')) as {
        servers: { server: string; volumes: { name: string; mirror: string | null }[] }[];
      }
    ).servers;
    for (const name of mirrors) {
      if (!listed.some(({ volumes }) => volumes.some((one) => one.name === name && one.mirror !== null))) continue;
      const { code, stderr } = await client.rsconfig('mirror', 'remove', name, '--volumes');
      if (code !== 0) return stderr;
    }
    for (const { server, volumes } of listed)
      for (const { name, mirror } of volumes) {
        if (mirror !== null) continue;
        const { code, stderr } = await client.rsconfig('volume', 'remove', name, '--yes', '--server', server);
        if (code !== 0) return stderr;
      }
    return '';
  }
}

export const drill = defineDrill({
  about: `Starts a farm of four servers with two shared pools, and a client with rsapp. In each round, random volumes and mirrors
    are made, some in a shared pool, some for a host of an iSCSI gate or for an application. rsconfig impact says what stops if one or
    two servers are switched off, their power is cut, and a write to each volume shows what has stopped. A shared pool that moves must be
    served by the owner that impact has named.`,
  needs: [ROOT_USER, XFS, program('losetup', 'mount'), program('perl', 'perl-base'), CGROUPS],
  options: { rounds: count(20, 'number of rounds'), seed: seed() },
  play: (on: Scene, { rounds }) => new ImpactLab(on).play(rounds),
});
