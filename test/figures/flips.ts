// `npm run drill -- flips`: damages one file on which a daemon's decisions rest, starts the daemon, and compares. A file is damaged by changed
// bits, overwritten bytes, a cut, zeros, or by being emptied. Invariant: a daemon with a damaged file either shows the same as with the whole
// file, or names the file.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { DaemonProgram } from '@rsio/common/config/root-paths';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { makeReflinkDisk } from '../support/devices/reflink-disk.ts';
import { defineDrill } from '../support/drills/harness.ts';
import { XFS } from '../support/drills/needs.ts';
import { count, seed } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';

const DAMAGES: Readonly<Record<string, (bytes: Buffer, random: SeededRandom) => Buffer>> = {
  'changed bits': (bytes, random) => {
    const changed = Buffer.from(bytes);
    for (let left = random.int(1, 3); left > 0; left--) {
      const at = random.int(0, changed.length - 1);
      changed[at] = changed[at]! ^ (1 << random.int(0, 7));
    }
    return changed;
  },
  'another digit': (bytes, random) => {
    const digits = [...bytes.keys()].filter((at) => bytes[at]! >= 0x30 && bytes[at]! <= 0x39);
    const changed = Buffer.from(bytes);
    if (digits.length > 0) changed[random.pick(digits)] = 0x30 + random.int(0, 9);
    return changed;
  },
  'overwritten bytes': (bytes, random) => {
    const at = random.int(0, bytes.length - 1);
    const piece = random.bytes(random.int(1, 16)).subarray(0, bytes.length - at);
    return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + piece.length)]);
  },
  cut: (bytes, random) => bytes.subarray(0, random.int(1, bytes.length - 1)),
  zeros: (bytes) => Buffer.alloc(bytes.length),
  empty: () => Buffer.alloc(0),
};

/** Files that decide nothing: content of volumes, logs, locks, and what is only shown. */
const UNDECIDING = [/data$/, /^events\.jsonl/, /^log$/, /^ledger\.(?:spare|old)$/, /^lock$/, /\.new$/];
const UNDECIDING_FOLDERS = new Set(['audit', 'spare']);

function allBelow(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => path.join(parentPath, name));
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const whole = path.join(folder, entry.name);
    if (entry.isDirectory()) return UNDECIDING_FOLDERS.has(entry.name) ? [] : filesBelow(whole);
    return entry.isFile() && !UNDECIDING.some((one) => one.test(entry.name)) ? [whole] : [];
  });
}

const SHOWN_CHARS = 150;

/** What a start of the daemon has led to. */
interface Outcome {
  /** What the daemon shows; null: it has not started. */
  readonly shown: string | null;
  /** All that the daemon and its programs have said about troubles. */
  readonly said: string;
}

const SHOWN: Readonly<Record<DaemonProgram, readonly (readonly [program: 'rsadm' | 'rsconfig', ...words: string[]])[]>> = {
  rssrv: [
    ['rsadm', 'volume', 'list', '--json'],
    ['rsadm', 'pool', 'list', '--json'],
    ['rsadm', 'client', 'list', '--json'],
    ['rsadm', 'volume', 'list', '--removed', '--json'],
    ['rsadm', 'volume', 'show', 'db', '--json'],
  ],
  rsiod: [['rsconfig', '-q', '--json']],
};

/** Fields that differ from start to start. */
const VOLATILE =
  /^(?:.*Ms|.*At|pid|retries|lastError|tx|rx|usedBytes|usableBytes|freeBytes|allocatedBytes|instance|port|address|generation|owner|life|incarnation)$/;

function steady(text: string): unknown {
  return JSON.parse(text, (key, value: unknown) => (VOLATILE.test(key) ? undefined : value));
}

async function outcomeOf(host: Host, program: DaemonProgram): Promise<Outcome> {
  const before = host.log(program).length;
  if (program === 'rsiod') await host.start('rssrv');
  const ended = async (outcome: Outcome): Promise<Outcome> => {
    if (program === 'rsiod') await host.stop('rssrv');
    return outcome;
  };
  const { code, stderr } = await host.tryStart(program);
  const saidSince = (): string => `${stderr}${host.log(program).slice(before)}`;
  if (code !== 0) return ended({ shown: null, said: saidSince() });
  if (program === 'rsiod') await host.pathsUp(1);
  const shown: unknown[] = [];
  for (const [command, ...words] of SHOWN[program]) {
    const { stdout, stderr: refused } = await (command === 'rsadm' ? host.rsadm(...words) : host.rsconfig(...words));
    shown.push(stdout.startsWith('{') ? steady(stdout) : refused);
  }
  await host.stop(program);
  return ended({ shown: JSON.stringify(shown), said: `${saidSince()}\n${JSON.stringify(shown)}` });
}

/** Shows the first place where two texts differ. */
function difference(found: string, expected: string): string {
  const at = Array.from({ length: found.length }).findIndex((_, index) => found[index] !== expected[index]);
  const around = (text: string): string => text.slice(Math.max(0, at - SHOWN_CHARS), at + SHOWN_CHARS);
  return `shown: ${around(found)}\ninstead of ${around(expected)}`;
}

async function play(scene: Scene, { rounds }: { readonly rounds: number; readonly seed: number | null }): Promise<void> {
  const { hosts, random } = scene;
  const host = hosts.host();
  const mounted = makeReflinkDisk(hosts, host);
  if (mounted === null) throw new Error('No XFS on a loop device here');
  const pool = path.join(mounted, 'pool');
  mkdirSync(pool);
  const network = await hosts.network(1);
  await startServer(host, network, { volumes: { oracle: { path: host.file('oracle.img'), size: '1m' } }, rights: { 'big-2': 'manage' } });
  await host.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '0%');
  await startClient(host, network);
  for (const name of ['db', 'wal', 'old']) await host.rsadmWell('volume', 'create', name, '--pool', 'fast', '--size', '2m');
  await host.rsadmWell('volume', 'snapshot', 'db@monday');
  await host.rsadmWell('volume', 'clone', 'db@monday', 'test');
  await host.rsadmWell('volume', 'remove', 'old', '--yes');
  await host.rsadmWell('client', 'fence', 'venus');
  await host.rsconfigWell('-a', 'oracle', 'db');
  await host.stop('rsiod');
  await host.stop('rssrv');

  const states = path.join(host.root, 'var/lib/rsio');
  const kept = new Map([states, pool].flatMap((folder) => allBelow(folder)).map((file) => [file, readFileSync(file)] as const));
  /** Writes in place, because the files of volumes are known by their inodes. */
  const restore = (): void => {
    for (const file of [states, pool].flatMap((folder) => allBelow(folder))) if (!kept.has(file)) rmSync(file);
    for (const [file, bytes] of kept) if (!existsSync(file) || !readFileSync(file).equals(bytes)) writeFileSync(file, bytes);
  };

  const whole: Partial<Record<DaemonProgram, Outcome>> = {};
  for (const program of ['rssrv', 'rsiod'] as const) {
    whole[program] = await outcomeOf(host, program);
    restore();
    const { shown } = await outcomeOf(host, program);
    if (shown !== whole[program].shown) throw new Error(`${program} shows another thing at each start: ${whole[program].shown}\n${shown}`);
    restore();
  }
  const files = [...filesBelow(states), ...filesBelow(pool)];
  scene.say(`${files.length} files: ${[...new Set(files.map((file) => path.basename(file)))].toSorted().join(', ')}`);
  const counts = { refused: 0, named: 0, same: 0 };
  const without = new Set<string>();
  scene.atEnd(() => [
    `refused to start: ${counts.refused}, went on and named the file: ${counts.named}, showed the same: ${counts.same}`,
    `without effect: ${[...without].toSorted().join('; ')}`,
  ]);
  for (let number = 0; number < rounds && !scene.isEnding; number++) {
    const file = random.pick(files);
    const how = random.pick(Object.keys(DAMAGES));
    const bytes = readFileSync(file);
    const damaged = DAMAGES[how]!(bytes, random);
    scene.round(`${path.relative(host.root, file)}, ${how}`);
    if (bytes.length === 0 || damaged.equals(bytes)) continue;
    writeFileSync(file, damaged);
    const program = file.startsWith(path.join(states, 'rsiod')) ? 'rsiod' : 'rssrv';
    const { shown, said } = await outcomeOf(host, program);
    // A file of a volume is named by its folder, too.
    const isNamed = [path.basename(file), path.basename(path.dirname(file))].some(
      (name) => said.split(name).length > (whole[program]?.said.split(name).length ?? 0),
    );
    if (shown === null) counts.refused++;
    else if (isNamed) counts.named++;
    else {
      counts.same++;
      without.add(`${path.basename(file)}, ${how}`);
    }
    if (shown === null && !isNamed) scene.problem(`${program} did not start, and did not name the file: ${said}`);
    if (shown !== null && !isNamed && shown !== whole[program]?.shown) scene.problem(difference(shown, whole[program]?.shown ?? ''));
    restore();
  }
}

export const drill = defineDrill({
  about: `Makes a server with a pool, volumes, a snapshot, a clone, a removed volume and a fenced client, and a client with two volumes. Each round
    damages one file of the state of a daemon or of the pool, starts the daemon, and compares what it shows with what it showed before.`,
  needs: [XFS],
  options: { rounds: count(100, 'number of rounds'), seed: seed() },
  play,
});
