// `npm run drill -- vm-boot`: tests the packages with a real systemd, in two virtual machines with bare Debian roots: a server and a client. Like an
// administrator, the program installs the packages, configures them by command, reboots, upgrades under a verified load, kills daemons, and
// purges the packages. Root is not needed. Without usable virtualization, the machines are emulated, and the run takes about 20 minutes.
// `npm test` does not run this program. Only these machines show faults of units, udev rules and maintainer scripts, which need systemd,
// and the kernel, Node and util-linux of the target.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { defineDrill } from '../support/drills/harness.ts';
import { choice, optional, text } from '../support/drills/options.ts';
import { bothBoot, clientBoots, serverBoots } from './boots.ts';
import { imageIn } from './image.ts';
import { configured, installed } from './install.ts';
import { Machine } from './machine.ts';
import { FOLDER, reported, ROOT, SUITE, VM_NEEDS } from './play.ts';
import type { Report } from './report.ts';
import type { Scene } from './scene.ts';
import { commanded, crashed, removed, upgraded } from './upgrade.ts';

const CHAPTERS = [
  ['install', installed],
  ['configure', configured],
  ['boot', clientBoots],
  ['upgrade', upgraded],
  ['commands', commanded],
  ['crashes', crashed],
  ['server-boot', serverBoots],
  ['power', bothBoot],
  ['remove', removed],
] as const;
const NAMES = CHAPTERS.map(([name]) => name);

interface Asked {
  readonly suite: string;
  readonly folder: string;
  readonly before: string | null;
  readonly until: string | null;
}

/**
 * Puts the packages into the folder that the guests see: those of the version before the upgrade, and those of the version after the
 * upgrade.
 */
function fillShare(share: string, before: string | null): void {
  rmSync(share, { recursive: true, force: true });
  mkdirSync(share, { recursive: true });
  const build = (out: string, ...more: string[]): void =>
    void execFileSync(process.execPath, [path.join(ROOT, 'scripts/package.mjs'), '--out', path.join(share, out), ...more], {
      stdio: 'ignore',
    });
  build('after');
  if (before === null) build('before', '--version', '0.0.1');
  else cpSync(before, path.join(share, 'before'), { recursive: true });
}

async function play(report: Report, { suite, folder, before, until }: Asked): Promise<void> {
  const [share, run] = [path.join(folder, 'share'), path.join(folder, 'run')];
  rmSync(run, { recursive: true, force: true });
  fillShare(share, before);
  const image = await imageIn(folder, suite, (text) => report.say(text));
  const socket = (card: number, mark: number): string => path.join(run, `link${card}-${mark}`);
  const machine = (name: string, mark: number, other: number): Machine => {
    const cards = [0, 1].map((card) => ({ ours: socket(card, mark), theirs: socket(card, other), mac: `52:54:00:00:0${card}:0${mark}` }));
    return new Machine({ name, folder: run, image, share, cards });
  };
  const [server, client] = [machine('big-9', 1, 2), machine('big-2', 2, 1)];
  const scene: Scene = { server, client, report, before: '/share/before', after: '/share/after' };
  try {
    report.say(`booting two machines of Debian ${image.suite}, ${Machine.accelerator()}, consoles in ${run}`);
    await Promise.all([server.boot(), client.boot()]);
    for (const [name, chapter] of CHAPTERS) {
      await report.chapter(name, () => chapter(scene));
      if (name === until) break;
    }
  } finally {
    await Promise.all([server.cut(), client.cut()]);
  }
}

export const drill = defineDrill({
  about: `Boots two virtual machines with a bare root of Debian, installs packages, configures them by command, reboots, upgrades them to the packages of
    this checkout under a verified load, kills daemons, and purges the packages.`,
  needs: VM_NEEDS,
  unit: 'checks',
  // The virtual machines end together with this process.
  endsAtOnce: true,
  options: {
    suite: SUITE,
    before: optional(text('FOLDER', '.', 'packages that are upgraded (default: those of this checkout, under version 0.0.1)')),
    folder: FOLDER,
    until: optional(choice('CHAPTER', NAMES, 'end after this chapter', NAMES[0]!)),
  },
  play: (scene, asked) => reported(scene, 'boot of both machines', (report) => play(report, asked)),
});
