// `npm run drill -- upgrades`: upgrades from the last release, or from a commit, to this checkout under verified loads, which are built from the
// history. First in place, in both orders and back (in-place/), then with the packages, in containers of this kernel with a systemd of their
// own: a server, two clients, and a machine that is both. Needs root. `npm test` does not run this program.

import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { isProgramThere } from '@rsio/base/testing/needs';
import { Container, prepared as mounted, removed } from '../applications/container.ts';
import { imageIn } from '../image.ts';
import { whyNoDevices } from '../../support/devices/devices.ts';
import { Hosts } from '../../support/hosts/hosts.ts';
import { Report } from '../report.ts';
import { bothUpgraded, clientUpgraded, eachOrder, refusedUpgrades, serverUpgraded } from './drills.ts';
import { InPlace, type Way } from './in-place/play.ts';
import { later, packagesAs, packagesOf, type Release, releaseFrom, reversioned, unpacked } from './release.ts';
import { CABLES, NAMES, prepared, type UpgradeScene } from './scene.ts';

const LIMIT_MINUTES = 40;
const HELP = `usage: npm run drill -- upgrades [--from COMMIT] [--only in-place | packages] [--suite SUITE] [--folder FOLDER]

Builds the last release, or that of COMMIT, from the history. In place: three servers and a client with a file system, a mirror, a replication and a
gate are replaced by this checkout under verified I/O, in both orders, go back, and are upgraded again. Each step must leave everything as it was, and
the commands of both releases must work. Packages: they are installed on four machines of Debian SUITE (default trixie), and upgraded while fio writes
and verifies. The machines are containers with a systemd of their own, and end with the run, after at most ${LIMIT_MINUTES} minutes. --folder keeps
the image and the packages of the earlier release (default: below ${tmpdir()}). Needs root, fio, xfsprogs, and the history of the repository; for the packages, control
groups of version 2, mmdebstrap, and a mirror of Debian for the first image.
`;
/** Installed already, so that the machines need no mirror. */
const PACKAGES = ['nodejs', 'perl', 'adduser', 'iproute2', 'mount', 'logrotate', 'qemu-utils'];

const { values } = parseArgs({
  options: {
    from: { type: 'string' },
    only: { type: 'string' },
    suite: { type: 'string', default: 'trixie' },
    folder: { type: 'string', default: path.join(tmpdir(), 'rsio-upgrades') },
    help: { type: 'boolean' },
  },
});

/** Ends the containers, and removes what they have used. */
let cleaned = (): Promise<void> => Promise.resolve();

/** Why this machine cannot play the upgrades in place; null if it can. */
function obstacleInPlace(): string | null {
  if (process.getuid?.() !== 0) return 'it needs root';
  const missing = ['fio', 'mkfs.xfs', 'mkfs.ext4', 'perl'].filter((program) => !isProgramThere(program));
  return missing.length > 0 ? `this machine has no ${missing.join(', ')}` : whyNoDevices();
}

/** Why this machine cannot play the upgrades of the packages; null if it can. */
function obstacle(): string | null {
  if (process.getuid?.() !== 0) return 'it needs root';
  if (!['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].some((folder) => existsSync(path.join(folder, 'cgroup.procs'))))
    return 'it needs control groups of version 2';
  const missing = ['mmdebstrap', 'ip', 'nsenter', 'losetup'].filter((program) => !isProgramThere(program));
  if (missing.length > 0) return `this machine has no ${missing.join(', ')}`;
  return existsSync('/dev/fuse') ? null : 'this machine has no /dev/fuse';
}

async function playInPlace(report: Report, release: Release): Promise<void> {
  const run = mkdtempSync(path.join(tmpdir(), 'rsio-in-place-'));
  const hosts = new Hosts('programs');
  cleaned = async (): Promise<void> => {
    await hosts.clean();
    rmSync(run, { recursive: true, force: true });
  };
  try {
    const old = unpacked(packagesOf(release, values.folder), release.version, path.join(run, 'before'));
    packagesAs(later(release.version, 1), path.join(run, 'packages'));
    const next = unpacked(path.join(run, 'packages'), 'this checkout', path.join(run, 'after'));
    const ways: readonly Way[] = [
      { old, next, parts: ['servers', 'client'], how: 'stopped' },
      { old, next, parts: ['client', 'servers'], how: 'killed' },
    ];
    for (const way of ways) {
      await report.chapter(`${way.parts[0]} first; each server is ${way.how} before the other release starts`, () =>
        InPlace.play(hosts, report, way),
      );
      await hosts.clean();
    }
  } finally {
    await cleaned();
  }
}

async function play(report: Report, release: Release): Promise<void> {
  const { folder } = values;
  const run = path.join(folder, 'run');
  removed(run, CABLES);
  rmSync(run, { recursive: true, force: true });
  const share = path.join(run, 'share');
  mkdirSync(share, { recursive: true });
  cpSync(packagesOf(release, folder), path.join(share, 'before'), { recursive: true });
  packagesAs(later(release.version, 1), path.join(share, 'after'));
  reversioned(path.join(share, 'after'), later(release.version, 2), path.join(share, 'later'));
  const image = await imageIn(folder, values.suite, (text) => report.say(text), { packages: PACKAGES, setup: [] });
  mounted(image, run, CABLES);
  const container = (name: string): Container => new Container(name, run, CABLES);
  const { server, client, refused, both } = NAMES;
  const machines = { server: container(server), client: container(client), refused: container(refused), both: container(both) };
  const all = Object.values(machines);
  const scene: UpgradeScene = { ...machines, report, before: '/share/before', after: '/share/after', later: '/share/later' };
  cleaned = async (): Promise<void> => {
    for (const one of all) await one.try('umount -l /data; rsconfig stop --force');
    await Promise.all(all.map((one) => one.cut()));
    for (const one of all) one.remove();
    removed(run, CABLES);
  };
  // A run that was killed has left its containers.
  await Promise.all(all.map((one) => one.cut()));
  const limit = setTimeout(() => {
    report.check(`the drills end within ${LIMIT_MINUTES} minutes`, false);
    void cleaned().finally(() => process.exit(report.end()));
  }, LIMIT_MINUTES * 60_000);
  try {
    await Promise.all(all.map((one) => one.powerOn()));
    report.say(`${all.length} containers of Debian ${image.suite} have booted`);
    await prepared(scene);
    await report.chapter('the server', () => serverUpgraded(scene));
    await report.chapter('the client', () => clientUpgraded(scene));
    await report.chapter('a client whose devices would not outlive a restart', () => refusedUpgrades(scene));
    await report.chapter('each order of the packages', () => eachOrder(scene));
    await report.chapter('server and client on one machine', () => bothUpgraded(scene));
  } finally {
    clearTimeout(limit);
    await cleaned();
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void cleaned().finally(() => process.exit(1)));

const PARTS = [
  { name: 'in-place', what: 'upgrades in place', obstacle: obstacleInPlace, play: playInPlace },
  { name: 'packages', what: 'upgrades of the packages', obstacle, play },
];

async function main(): Promise<number> {
  const parts = PARTS.filter(({ name }) => values.only === undefined || values.only === name);
  if (values.help === true || parts.length === 0) {
    process.stdout.write(HELP);
    return values.help === true ? 0 : 2;
  }
  const release = releaseFrom(values.from ?? null);
  if (typeof release === 'string') {
    process.stderr.write(`drill: The earlier release cannot be built: ${release}\n`);
    return 1;
  }
  const report = new Report();
  report.say(`from release ${release.version} (${release.commit.slice(0, 12)}) to this checkout; both are built first`);
  for (const part of parts) {
    const why = part.obstacle();
    if (why === null) await report.chapter(part.what, () => part.play(report, release));
    else report.say(`Skipped: ${part.what}: ${why}`);
  }
  return report.end();
}

// The loads of a failed chapter would go on.
process.exit(await main());
