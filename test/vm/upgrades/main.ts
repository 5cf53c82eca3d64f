// `npm run drill -- upgrades`: upgrades from the last release to this checkout under a verified load, in containers of this kernel with a systemd of
// their own: a server, two clients, and a machine that is both. The packages of the last release are built from the history. Needs root.
// `npm test` does not run this program.

import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { isProgramThere } from '@rsio/base/testing/needs';
import { Container, prepared as mounted, removed } from '../applications/container.ts';
import { imageIn } from '../image.ts';
import { Report } from '../report.ts';
import { bothUpgraded, clientUpgraded, eachOrder, refusedUpgrades, serverUpgraded } from './drills.ts';
import { lastRelease, later, packagesAs, packagesOf, type Release, reversioned } from './release.ts';
import { CABLES, NAMES, prepared, type UpgradeScene } from './scene.ts';

const LIMIT_MINUTES = 40;
const HELP = `usage: npm run drill -- upgrades [--suite SUITE] [--folder FOLDER]

Installs the packages of the last release on four machines of Debian SUITE (default trixie), and upgrades them to this checkout while fio writes and verifies.
The machines are containers with a systemd of their own, and end with the run, after at most ${LIMIT_MINUTES} minutes. --folder keeps the image and the packages of
the last release (default: below ${tmpdir()}). Needs root, control groups of version 2, mmdebstrap, a mirror of Debian for the first image, and the history of the
repository.
`;
/** Installed already, so that the machines need no mirror. */
const PACKAGES = ['nodejs', 'perl', 'adduser', 'iproute2', 'mount', 'logrotate', 'qemu-utils'];

const { values } = parseArgs({
  options: {
    suite: { type: 'string', default: 'trixie' },
    folder: { type: 'string', default: path.join(tmpdir(), 'rsio-upgrades') },
    help: { type: 'boolean' },
  },
});

/** Ends the containers, and removes what they have used. */
let cleaned = (): Promise<void> => Promise.resolve();

/** Why this machine cannot run the drills; null if it can. */
function obstacle(release: Release | string): string | null {
  if (typeof release === 'string') return release;
  if (process.getuid?.() !== 0) return 'it needs root';
  if (!['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].some((folder) => existsSync(path.join(folder, 'cgroup.procs'))))
    return 'it needs control groups of version 2';
  const missing = ['mmdebstrap', 'ip', 'nsenter', 'losetup'].filter((program) => !isProgramThere(program));
  if (missing.length > 0) return `this machine has no ${missing.join(', ')}`;
  return existsSync('/dev/fuse') ? null : 'this machine has no /dev/fuse';
}

async function play(report: Report, release: Release): Promise<void> {
  const { folder } = values;
  const run = path.join(folder, 'run');
  removed(run, CABLES);
  rmSync(run, { recursive: true, force: true });
  const share = path.join(run, 'share');
  mkdirSync(share, { recursive: true });
  report.say(`building the packages of release ${release.version} (${release.commit.slice(0, 12)}) and of this checkout`);
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
const release = lastRelease();
const why = obstacle(release);
if (values.help === true) process.stdout.write(HELP);
else if (why !== null || typeof release === 'string') process.stdout.write(`Skipped: upgrades from the last release: ${why}\n`);
else {
  const report = new Report();
  await report.chapter('upgrades from the last release', () => play(report, release));
  process.exitCode = report.end();
}
