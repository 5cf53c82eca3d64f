// `npm run drill -- upgrades`: upgrades from the last release, or from a commit, to this checkout under verified loads, which are built from the
// history. First in place, in both orders and back (in-place/), then with the packages, in containers of this kernel with a systemd of their
// own: a server, two clients, and a machine that is both. Needs root. `npm test` does not run this program.

import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { defineDrill } from '../../support/drills/harness.ts';
import { CGROUPS, DEVICES, EXT4, FIO, type Need, program, ROOT_USER, XFS } from '../../support/drills/needs.ts';
import { optional, part, text } from '../../support/drills/options.ts';
import type { Scene } from '../../support/drills/scene.ts';
import { Hosts } from '../../support/hosts/hosts.ts';
import { Container, prepared as mounted, removed } from '../applications/container.ts';
import { imageIn } from '../image.ts';
import { reported, SUITE } from '../play.ts';
import type { Report } from '../report.ts';
import { bothUpgraded, clientUpgraded, eachOrder, refusedUpgrades, serverUpgraded } from './drills.ts';
import { InPlace, type Way } from './in-place/play.ts';
import { later, packagesAs, packagesOf, type Release, releaseFrom, reversioned, unpacked } from './release.ts';
import { CABLES, NAMES, prepared, type UpgradeScene } from './scene.ts';

const LIMIT_MINUTES = 40;
/** Installed already, so that the machines need no mirror. */
const PACKAGES = ['nodejs', 'perl', 'adduser', 'iproute2', 'mount', 'logrotate', 'qemu-utils'];
const FUSE: Need = { what: '/dev/fuse', why: () => (existsSync('/dev/fuse') ? null : 'needs /dev/fuse: modprobe fuse') };

interface Asked {
  readonly suite: string;
  readonly folder: string;
}

/** The machine can play one part and not the other. */
const PARTS = {
  'in-place': { needs: [DEVICES, FIO, XFS, EXT4, program('perl', 'perl')], play: playInPlace },
  packages: {
    needs: [CGROUPS, FUSE, program('mmdebstrap', 'mmdebstrap'), program('ip', 'iproute2'), program('nsenter', 'util-linux')],
    play: (scene: Scene, report: Report, release: Release, asked: Asked) => limited(playPackages(scene, report, release, asked)),
  },
} as const;

async function playInPlace(scene: Scene, report: Report, release: Release, { folder }: Asked): Promise<void> {
  const run = mkdtempSync(path.join(tmpdir(), 'rsio-in-place-'));
  const hosts = new Hosts('programs');
  scene.hosts.onClean(async () => {
    await hosts.clean();
    rmSync(run, { recursive: true, force: true });
  });
  const old = unpacked(packagesOf(release, folder), release.version, path.join(run, 'before'));
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
}

async function playPackages(scene: Scene, report: Report, release: Release, { suite, folder }: Asked): Promise<void> {
  const run = path.join(folder, 'run');
  removed(run, CABLES);
  rmSync(run, { recursive: true, force: true });
  const share = path.join(run, 'share');
  mkdirSync(share, { recursive: true });
  cpSync(packagesOf(release, folder), path.join(share, 'before'), { recursive: true });
  packagesAs(later(release.version, 1), path.join(share, 'after'));
  reversioned(path.join(share, 'after'), later(release.version, 2), path.join(share, 'later'));
  const image = await imageIn(folder, suite, (line) => report.say(line), { packages: PACKAGES, setup: [] });
  mounted(image, run, CABLES);
  const container = (name: string): Container => new Container(name, run, CABLES);
  const { server, client, refused, both } = NAMES;
  const machines = { server: container(server), client: container(client), refused: container(refused), both: container(both) };
  const all = Object.values(machines);
  const stage: UpgradeScene = { ...machines, report, before: '/share/before', after: '/share/after', later: '/share/later' };
  scene.hosts.onClean(async () => {
    for (const one of all) await one.try('umount -l /data; rsconfig stop --force');
    await Promise.all(all.map((one) => one.cut()));
    for (const one of all) one.remove();
    removed(run, CABLES);
  });
  // A run that was killed has left its containers.
  await Promise.all(all.map((one) => one.cut()));
  await Promise.all(all.map((one) => one.powerOn()));
  report.say(`${all.length} containers of Debian ${image.suite} have booted`);
  await prepared(stage);
  await report.chapter('the server', () => serverUpgraded(stage));
  await report.chapter('the client', () => clientUpgraded(stage));
  await report.chapter('a client whose devices would not outlive a restart', () => refusedUpgrades(stage));
  await report.chapter('each order of the packages', () => eachOrder(stage));
  await report.chapter('server and client on one machine', () => bothUpgraded(stage));
}

/** Rejects after LIMIT_MINUTES. */
async function limited(played: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`The drills do not end within ${LIMIT_MINUTES} minutes`)), LIMIT_MINUTES * 60_000);
  });
  await Promise.race([played, late]).finally(() => clearTimeout(timer));
}

/** Why this machine cannot play a part; empty if it can. */
async function lacks(needs: readonly Need[]): Promise<string[]> {
  const all: string[] = [];
  for (const need of needs) all.push(...[await need.why()].filter((why) => why !== null));
  return all;
}

export const drill = defineDrill({
  about: `Builds the last release, or that of COMMIT, from the history of the repository. In place: three servers and a client with a file system, a mirror,
    a replication and a gate are replaced by this checkout under verified I/O, in both orders, go back, and are upgraded again. Each step must leave
    everything as it was, and the commands of both releases must work. Packages: they are installed on four machines of Debian SUITE, and upgraded
    while fio writes and verifies. The machines are containers with a systemd of their own, and end with the run, after at most ${LIMIT_MINUTES} minutes.
    A part that this machine cannot play is skipped.`,
  needs: [ROOT_USER],
  unit: 'checks',
  endsAtOnce: true,
  options: {
    from: optional(text('COMMIT', '', 'the earlier release; the last one of CHANGELOG.md if absent')),
    only: part(Object.keys(PARTS) as (keyof typeof PARTS)[], 'only the named part'),
    suite: SUITE,
    folder: text('FOLDER', path.join(tmpdir(), 'rsio-upgrades'), 'keeps the image and the packages of the earlier release'),
  },
  play: async (scene, asked) => {
    const release = releaseFrom(asked.from);
    if (typeof release === 'string') throw new Error(`The earlier release cannot be built: ${release}`);
    scene.say(`from release ${release.version} (${release.commit.slice(0, 12)}) to this checkout; both are built first`);
    for (const name of asked.only) {
      const { needs, play } = PARTS[name];
      const missing = await lacks(needs);
      if (missing.length > 0) scene.say(`Skipped: ${name}: this machine ${missing.join('; ')}`);
      else await reported(scene, `upgrades: ${name}`, (report) => play(scene, report, release, asked));
    }
  },
});
