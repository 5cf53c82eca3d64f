// Upgrades in place, and the way back: the servers first, or the client first. A file system, two loads that are compared block by block, and a
// host of a gate use the volumes all the time. After each step, everything that both releases say must be as before, and the commands of
// each release must work with the daemons of the other one.

import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import type { SocketHost } from '@rsio/gates/testing/socket-host';
import { REJOINING_BYTES, RejoiningLoad } from '../../../support/drills/rejoining-load.ts';
import type { Hosts } from '../../../support/hosts/hosts.ts';
import { outcomeOf } from '../../../support/io/fio.ts';
import { NbdIo } from '../../../support/io/nbd-io.ts';
import type { Running } from '../../../support/programs/programs.ts';
import { waitFor } from '../../../support/programs/wait-for.ts';
import type { Report } from '../../report.ts';
import { seconds } from '../../../support/drills/table.ts';
import { differences, type Facts, factsOf } from './facts.ts';
import { FENCED, InPlaceSite, LOST, MOUNTED, type Programs, SERVERS } from './site.ts';

type Part = 'servers' | 'client';
type End = 'stopped' | 'killed';

export interface Way {
  readonly old: Programs;
  readonly next: Programs;
  readonly parts: readonly [Part, Part];
  /** How a server ends before the next release starts. */
  readonly how: End;
}

const WAIT_MS = 60_000;
/** The loads are light, so that the commands of a step take seconds on a small machine. */
const LOAD_PAUSE_MS = 25;
const FIO_IOPS = 25;
const MORE_IOS = 50;
const MIB = 1024 ** 2;
const STILL_BYTES = 4 * MIB;
const BLOCK_BYTES = 4096;
const KEY = 7n;
const EVERY = '5s';
const SHOWN_MAX = 12;
const DAY_HOURS = 24;
const DAY_MS = DAY_HOURS * 3_600_000;
const YEAR_DAYS = 365;

/** The replicated volume, and the mirror; each has a load. */
const [JUDGED, MIRROR] = ['judged', 'mir'] as const;
/** Exports with content that must not change. */
const STILL = ['still', 'still@s1', 'cloned'] as const;

interface Loads {
  readonly judged: readonly RejoiningLoad[];
  readonly fio: Running;
  readonly folder: string;
}

export class InPlace {
  private readonly site: InPlaceSite;
  private readonly report: Report;
  private readonly order: string;
  private readonly loads: Loads;
  private readonly contents: ReadonlyMap<string, string>;
  private readonly before: Facts;
  private nqn = '';
  private gateWrites = 0;

  private constructor(
    site: InPlaceSite,
    report: Report,
    order: string,
    loads: Loads,
    contents: ReadonlyMap<string, string>,
    before: Facts,
  ) {
    [this.site, this.report, this.order] = [site, report, order];
    [this.loads, this.contents, this.before] = [loads, contents, before];
  }

  /** Upgrades the parts in this order, goes back in the other order, and upgrades again. */
  static async play(hosts: Hosts, report: Report, { old, next, parts, how }: Way): Promise<void> {
    let site: InPlaceSite | null = null;
    try {
      site = await InPlaceSite.start(hosts, old);
      const place = await InPlace.prepared(site, report, `${parts[0]} first`);
      await place.step(`all of ${old.name}`);
      for (const [programs, other, order] of [
        [next, old, parts],
        [old, next, parts.toReversed()],
      ] as const)
        for (const [number, part] of order.entries()) {
          await place.replaced(part, programs, how);
          await place.step(`${part} of ${programs.name}`);
          await place.commandedAt(`${part} of ${programs.name}`, part === 'servers' ? other : programs, 'rsadm');
          // Between the two steps, servers and client differ, so that the commands of both releases reach another one.
          for (const one of number === 0 ? [programs, other] : [other])
            await place.commandedAt(`${part} of ${programs.name}`, one, 'rsconfig');
          if (number === 1 && programs === next) await place.renewed(old);
        }
      for (const part of parts) {
        await place.replaced(part, next, how);
        await place.step(`${part} of ${next.name}, again`);
      }
      await place.end();
    } catch (thrown) {
      report.say(site?.logs() ?? '');
      throw thrown;
    }
  }

  private check(what: string, trouble: readonly string[], seen = ''): void {
    this.report.check(`${this.order}: ${what}`, trouble.length === 0, trouble.length === 0 ? seen : trouble.slice(0, SHOWN_MAX).join('\n'));
  }

  /** Makes one of everything that a server or a client remembers. */
  private static async prepared(site: InPlaceSite, report: Report, name: string): Promise<InPlace> {
    const create = (volume: string, size: number, ...more: readonly string[]): Promise<string> =>
      site.order('volume', 'create', volume, '--size', String(size), '--server', SERVERS[0], ...more);
    for (const [volume, size] of [
      [MOUNTED, 96 * MIB],
      [JUDGED, REJOINING_BYTES],
      ['still', STILL_BYTES],
    ] as const)
      await create(volume, size, '--attach');
    const servers = ['--servers', SERVERS.slice(0, 2).join(), '--witness', SERVERS[2]];
    await site.order('mirror', 'create', MIRROR, '--size', String(REJOINING_BYTES), ...servers, '--attach');
    const write = async (): Promise<void> => {
      const nbd = await NbdIo.open(site.client.rsiodPaths.nbdSocket, 'osl/still', WAIT_MS);
      for (let at = 0; at < STILL_BYTES; at += MIB) await nbd.write(at, randomBytes(MIB));
      await nbd.flush();
      nbd.close();
    };
    await write();
    await site.adm(0, 'volume', 'snapshot', 'still@s1');
    await write();
    await site.adm(0, 'volume', 'clone', 'still@s1', 'cloned');
    await site.adm(0, 'volume', 'image', 'still', '--universe', '1', '--wait');
    await site.adm(0, 'volume', 'set', 'still', `clients=big-2,${LOST}`, 'iops=5000', `snapshots=${restingSchedule()}`);
    await site.order('-a', 'still@s1', 'cloned');
    for (const volume of ['gated', 'held', 'halted', 'gone']) await create(volume, MIB);
    await site.adm(0, 'volume', 'stop', 'halted');
    await site.adm(0, 'volume', 'remove', 'gone', '--yes');
    await site.adm(0, 'client', 'fence', FENCED);
    await site.addGate('gated');
    await site.order('-a', 'gated');
    await waitFor(async () => (await site.lost.rsconfig('-a', 'held')).code === 0, WAIT_MS, 'held is attached');
    for (const pid of site.lost.processes()) process.kill(pid, 'SIGKILL');
    await site.adm(0, 'volume', 'replicate', JUDGED, '--to', SERVERS[1], '--every', EVERY, '--keep', '2');
    const folder = site.client.file('mnt/files');
    await site.devices.well('mkfs.ext4 -q "$1"; mkdir -p "$2"; mount "$1" "$2"', site.device(MOUNTED), folder);
    const judged = [JUDGED, MIRROR].map((one) => new RejoiningLoad(site.client, `osl/${one}`, LOAD_PAUSE_MS));
    const fio = site.beside('fio', [
      ...[
        '--name=job',
        '--thread',
        `--directory=${folder}`,
        '--size=24m',
        '--rw=randwrite',
        '--bsrange=4k-64k',
        '--direct=1',
        '--ioengine=libaio',
      ],
      ...['--iodepth=4', `--rate_iops=${FIO_IOPS}`, '--fsync=64', '--verify=crc32c', '--verify_fatal=1', '--verify_backlog=64'],
      ...['--verify_state_save=0', '--randrepeat=0', '--time_based', '--runtime=3600', '--output-format=json'],
    ]);
    await waitFor(async () => isFollowing(site), WAIT_MS, 'The follower has a moment');
    await waitFor(() => site.servers[0]!.rsadm('client', 'list', '--json').then(({ stdout }) => isLost(stdout)), WAIT_MS, 'venus is lost');
    const contents = await contentsOf(site);
    const place = new InPlace(site, report, name, { judged, fio, folder }, contents, await factsOf(site, JUDGED));
    await place.gateBegins();
    return place;
  }

  private async replaced(part: Part, programs: Programs, how: End): Promise<void> {
    const { site, loads } = this;
    for (const load of loads.judged) load.gaps.forget();
    if (part === 'client') await site.replaceClient(programs);
    else
      for (const index of SERVERS.keys()) {
        await site.replaceServer(index, programs, how);
        // Readiness does not end the wait: a server that was killed waits for what the lost client may have to send again.
        await waitFor(() => isInSync(site), WAIT_MS, 'Both replicas are in sync');
      }
  }

  /** Everything goes on, and is as before. */
  private async step(what: string): Promise<void> {
    const { site, loads } = this;
    const counts = (): number[] => [...loads.judged.map(({ answered }) => answered), writesOf(site.device(MOUNTED))];
    const first = counts();
    const goOn = (): boolean => counts().every((count, index) => count >= first[index]! + MORE_IOS);
    const trouble = await waitFor(goOn, WAIT_MS, 'All loads go on').then(
      () => loads.judged.flatMap(({ breaches }) => breaches),
      (error: Error) => [`${error.message}: ${counts().join()}, were ${first.join()}`],
    );
    const longestMs = Math.max(...loads.judged.map(({ gaps }) => gaps.longest.toMs - gaps.longest.fromMs));
    this.check(`${what}: the loads go on`, trouble, `longest pause ${seconds(longestMs)}`);
    this.check(`${what}: the gate goes on`, await troubleOf(this.gateGoesOn()));
    let different: string[] = [];
    const isAsBefore = async (): Promise<boolean> => {
      different = differences(this.before, await factsOf(site, JUDGED));
      return different.length === 0;
    };
    await waitFor(isAsBefore, WAIT_MS / 4, 'Everything is as before').catch((error: Error) => {
      if (different.length === 0) different = [String(error.cause)];
    });
    this.check(`${what}: volumes, holds, snapshots, clients, pools, peers, mirrors and attachments are as before`, different);
    const found = await contentsOf(site);
    const changed = [...this.contents].filter(([name, sum]) => found.get(name) !== sum).map(([name]) => `${name} has other bytes`);
    this.check(`${what}: contents are as before`, changed);
    this.check(`${what}: the replication goes on`, await troubleOf(waitFor(() => isFollowing(site), WAIT_MS, 'A moment is copied')));
  }

  /** Records what only the newer release knows. The older one refuses a key of the configuration, and ignores the rest. */
  private async renewed(old: Programs): Promise<void> {
    const { site } = this;
    await site.adm(0, 'volume', 'annotate', 'still', 'a note of the newer release');
    await site.adm(0, 'volume', 'set', 'still', `managers=${LOST}`);
    await site.adm(0, 'volume', 'replicate', JUDGED, '--to', SERVERS[1], '--every', EVERY, '--keep', '2', '--reversible', SERVERS[1]);
    const server = site.servers[0]!;
    const text = readFileSync(server.rssrvPaths.configFile, 'utf8');
    await site.adm(0, 'namespace', 'set', 'tenants=yes');
    const { code, stdout } = await site.foreign(old, server, 'rsadm', ['check']);
    server.writeConfig('rssrv', text);
    await site.adm(0, 'reload');
    const fault = /^.*fault:.*tenants.*$/m.exec(stdout)?.[0];
    this.check(
      `${old.name} refuses a file with tenants`,
      code === 1 && fault !== undefined ? [] : [`It ended with ${code}: ${stdout}`],
      fault,
    );
  }

  // --- the gate

  private async gateBegins(): Promise<void> {
    const { nqn } = JSON.parse(await this.site.order('gate', 'show', 'g1', '--json')) as { nqn: string };
    this.nqn = nqn;
    const key = Buffer.alloc(2 * 8);
    key.writeBigUInt64LE(KEY, 8);
    const io = await this.site.gateHost(nqn);
    const { status } = statusOf(await io.run({ opcode: 0x0d, cid: 20, nsid: 1, dwords: [0], data: key }));
    if (status !== 0) throw new Error(`Reservation Register is answered ${status}`);
    await this.gateWrite(io);
    io.close();
  }

  private async gateWrite(io: SocketHost): Promise<void> {
    const status = await io.writeBlock(30, 8, Buffer.alloc(BLOCK_BYTES, ++this.gateWrites));
    if (status !== 0) throw new Error(`A write of the host is answered ${status}`);
  }

  /** A host logs in, finds what it has written and registered, and writes again. */
  private async gateGoesOn(): Promise<void> {
    const io = await this.site.gateHost(this.nqn);
    const found = await io.readBlock(31, 8, BLOCK_BYTES);
    if (!found.equals(Buffer.alloc(BLOCK_BYTES, this.gateWrites))) throw new Error(`The block of the gate begins with ${found[0]}`);
    const answer = await io.run({ opcode: 0x0e, cid: 21, nsid: 1, dwords: [31, 1], transferBytes: 128 });
    if (answer.kind !== 'data') throw new Error(`Reservation Report is answered ${JSON.stringify(answer)}`);
    const registered = [answer.data.readUInt16LE(5), answer.data.readBigUInt64LE(64 + 8)];
    if (registered[0] !== 1 || registered[1] !== KEY) throw new Error(`Registered is ${registered.join()}`);
    await this.gateWrite(io);
    io.close();
  }

  // --- commands

  /** Gives commands of one release to the daemons as they run now. */
  private async commandedAt(what: string, programs: Programs, program: 'rsadm' | 'rsconfig'): Promise<void> {
    const { site } = this;
    const host = program === 'rsadm' ? site.servers[0]! : site.client;
    const trouble: string[] = [];
    const commands = program === 'rsadm' ? [...SHOWN_BY_SERVER, ...CHANGES_AT_SERVER] : [...SHOWN_BY_CLIENT, ...CHANGES_AT_CLIENT];
    for (const command of commands) {
      // Some commands end with 1 if something needs attention. An error has a code.
      const { code, stdout, stderr } = await site.foreign(programs, host, program, command.split(' '));
      const isWell = code === 0 || (code === 1 && stdout !== '' && !/\[E_\w+\]/.test(stderr));
      if (!isWell) trouble.push(`${program} ${command} ended with ${code}: ${stderr.trim()}`);
    }
    this.check(`${what}: ${program} of ${programs.name}`, trouble, `${commands.length} commands`);
  }

  // --- the end

  private async end(): Promise<void> {
    const { site, loads } = this;
    for (const load of loads.judged) await load.stop();
    const [answered, lost] = [loads.judged.map((one) => one.answered), loads.judged.map((one) => one.lost)];
    const breaches = loads.judged.flatMap((load) => load.breaches);
    this.check('no acknowledged block is lost or older', breaches, `${answered.join(' + ')} I/Os, ${lost.join(' + ')} connections ended`);
    loads.fio.kill('SIGINT');
    const fio = await outcomeOf(loads.fio).catch((error: Error) => error);
    const counts = fio instanceof Error ? '' : `${fio.writes} writes, ${fio.verifyReads} verified, longest I/O ${seconds(fio.slowestMs)}`;
    this.check('fio on the file system sees no error', fio instanceof Error ? [fio.message] : [], counts);
    const checked = await site.devices.shell('umount "$2"; e2fsck -fn "$1" 2>&1', site.device(MOUNTED), loads.folder);
    this.check('e2fsck finds nothing', checked.code === 0 ? [] : [checked.stdout]);
    const whole = await site.read(JUDGED);
    const stoppedMs = Date.now();
    await waitFor(async () => ((await momentOf(site)) ?? 0) > stoppedMs, WAIT_MS, 'The follower has the last writes');
    await site.adm(0, 'volume', 'replicate', JUDGED, '--end');
    await site.adm(1, 'volume', 'promote', JUDGED, '--yes');
    await site.order('-d', JUDGED, MIRROR);
    const [source, follower] = [await dataOf(site, 0, JUDGED), await dataOf(site, 1, JUDGED)];
    this.check('source and promoted follower have the same bytes', whole.equals(source) && whole.equals(follower) ? [] : ['they differ']);
    const replicas = [await dataOf(site, 0, MIRROR), await dataOf(site, 1, MIRROR)] as const;
    this.check('both replicas of the mirror have the same bytes', replicas[0].equals(replicas[1]) ? [] : ['they differ']);
    await site.adm(0, 'volume', 'restore', 'gone');
    await site.adm(0, 'client', 'fence', LOST);
    // A server that was killed may have lost writes that only the lost client still has.
    await site.adm(0, 'client', 'release', LOST, '--force');
    this.check('a removed volume comes back, and the hold of a lost client is released', []);
  }
}

const SHOWN_BY_SERVER = [
  ...['status --json', 'stats --json', 'volume list --json', 'volume list --removed', 'volume show still', 'pool list --json', 'peer list'],
  ...[
    'client list --json',
    'volume replications --json',
    'jobs',
    'farm',
    'interface list',
    'events -n 5',
    'check',
    'namespace show',
    'reload',
  ],
];
const SHOWN_BY_CLIENT = [
  ...['-lvv', '-l --json', '-qvvv', '-m status -v', 'volume list --json', 'volume list --removed', 'volume show still --json'],
  ...[
    'volume replications --server pi-1',
    'volume jobs --server pi-1',
    'mirror list --json',
    'gate list',
    'gate show g1',
    'servers --json',
  ],
  ...['pool list --json', 'farm', 'events -n 5', 'check', 'reload'],
];
const CHANGES_AT_SERVER = [
  'volume create extra --size 1m --pool fast',
  'volume set extra iops=100 clients=big-2',
  'volume allow extra venus',
  'volume revoke extra venus',
  'volume snapshot extra@one',
  'volume grow extra 2m',
  'volume diff extra@one',
  'volume rollback extra@one',
  'volume clone extra@one extra2',
  'volume image extra --universe 1 --wait',
  'volume refresh extra@1 --wait',
  'volume split extra@1',
  'volume rename extra2 extra3',
  'volume pause extra --for 5s',
  'volume resume extra',
  'volume copy extra extra4 --pool fast --wait',
  'volume remove extra@one --yes',
  ...['extra@1', 'extra3', 'extra4', 'extra'].flatMap((name) => [`volume remove ${name} --yes`, `volume purge ${name} --yes`]),
];
const CHANGES_AT_CLIENT = [
  'volume create mine --size 1m --server pi-1 --attach',
  'volume snapshot mine@one',
  'volume grow mine 2m',
  '-d mine',
  'volume rollback mine@one',
  'volume clone mine@one mine2',
  '-a mine2',
  '-d mine2',
  ...['mine', 'mine2'].flatMap((name) => [`volume remove ${name} --yes`, `volume purge ${name} --yes`]),
  'volume snapshot mir@all',
  'volume remove mir@all --yes',
];

/** A schedule whose next snapshot, which is made at a midnight of UTC, is not due tonight, because all snapshots must stay as they are. */
function restingSchedule(): string {
  const tomorrow = Math.floor(Date.now() / DAY_MS) + 1;
  const days = tomorrow % YEAR_DAYS === 0 ? YEAR_DAYS + 1 : YEAR_DAYS;
  return `every ${days * DAY_HOURS}h keep 2`;
}

function statusOf(answer: unknown): { readonly status: number } {
  return answer as { readonly status: number };
}

async function troubleOf(action: Promise<unknown>): Promise<string[]> {
  return action.then(
    () => [],
    (error: Error) => [error.message],
  );
}

/** Writes that the kernel has sent to the block device of a volume. */
function writesOf(device: string): number {
  const fields = readFileSync(`/sys/block/${path.basename(readlinkSync(device))}/stat`, 'utf8')
    .trim()
    .split(/\s+/);
  return Number(fields[4]);
}

async function contentsOf(site: InPlaceSite): Promise<Map<string, string>> {
  const sums = new Map<string, string>();
  for (const name of STILL)
    sums.set(
      name,
      createHash('sha256')
        .update(await site.read(name))
        .digest('hex'),
    );
  return sums;
}

async function momentOf(site: InPlaceSite): Promise<number | null> {
  const { replications } = JSON.parse(await site.adm(1, 'volume', 'replications', '--json')) as {
    replications: readonly { momentMs: number | null }[];
  };
  return replications[0]?.momentMs ?? null;
}

async function isInSync(site: InPlaceSite): Promise<boolean> {
  const { mirrors } = JSON.parse(await site.order('mirror', 'list', '--json')) as {
    mirrors: readonly { replicas: readonly { inSync: boolean; isReachable: boolean }[] }[];
  };
  return mirrors.every(({ replicas }) => replicas.every((one) => one.inSync && one.isReachable));
}

/** True when a moment has been copied that began after the call. */
async function isFollowing(site: InPlaceSite): Promise<boolean> {
  const sinceMs = Date.now();
  return waitFor(async () => ((await momentOf(site)) ?? 0) > sinceMs, WAIT_MS, 'A moment is copied');
}

function isLost(text: string): boolean {
  const { clients } = JSON.parse(text) as { clients: readonly { name: string; state: string }[] };
  return clients.some(({ name, state }) => name === LOST && state !== 'connected');
}

/** The bytes of a volume in the pool of a server. */
async function dataOf(site: InPlaceSite, index: number, name: string): Promise<Buffer> {
  const { volume } = JSON.parse(await site.adm(index, 'volume', 'show', name, '--json')) as { volume: { path: string } };
  return readFileSync(volume.path);
}
