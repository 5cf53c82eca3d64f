// `npm run drill -- vm-boot`: tests the packages with a real systemd, in two virtual machines with bare Debian roots: a server and a client. Like an
// administrator, the program installs the packages, configures them by command, reboots, upgrades under a verified load, kills daemons, and
// purges the packages. Root is not needed. Without usable virtualization, the machines are emulated, and the run takes about 20 minutes.
// `npm test` does not run this program. Only these machines show faults of units, udev rules and maintainer scripts, which need systemd,
// and the kernel, Node and util-linux of the target.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bothBoot, clientBoots, serverBoots } from './boots.ts';
import { imageIn } from './image.ts';
import { configured, installed } from './install.ts';
import { Machine } from './machine.ts';
import { Report } from './report.ts';
import type { Scene } from './scene.ts';
import { commanded, crashed, removed, upgraded } from './upgrade.ts';

const HELP = `usage: npm run drill -- vm-boot [--suite SUITE] [--before FOLDER] [--folder FOLDER] [--until CHAPTER]

Boots two virtual machines with a bare root of Debian SUITE (default trixie), installs the packages of FOLDER (default: the packages of this
checkout, under version 0.0.1), and upgrades them to the packages of this checkout. --folder keeps the image and the consoles (default: below
${tmpdir()}). Needs mmdebstrap, e2fsprogs, qemu-system-x86 and qemu-utils, and a mirror of Debian for the first image.
`;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const { values } = parseArgs({
  options: {
    suite: { type: 'string', default: 'trixie' },
    before: { type: 'string' },
    folder: { type: 'string', default: path.join(tmpdir(), 'rsio-vm-boot') },
    until: { type: 'string' },
    help: { type: 'boolean' },
  },
});

const CHAPTERS: readonly (readonly [string, (scene: Scene) => Promise<void>])[] = [
  ['install', installed],
  ['configure', configured],
  ['boot', clientBoots],
  ['upgrade', upgraded],
  ['commands', commanded],
  ['crashes', crashed],
  ['server-boot', serverBoots],
  ['power', bothBoot],
  ['remove', removed],
];

/**
 * Puts the packages into the folder that the guests see: those of the version before the upgrade, and those of the version after the
 * upgrade.
 */
function fillShare(share: string): void {
  rmSync(share, { recursive: true, force: true });
  mkdirSync(share, { recursive: true });
  const build = (out: string, ...more: string[]): void =>
    void execFileSync(process.execPath, [path.join(ROOT, 'scripts/package.mjs'), '--out', path.join(share, out), ...more], {
      stdio: 'ignore',
    });
  build('after');
  if (values.before === undefined) build('before', '--version', '0.0.1');
  else cpSync(values.before, path.join(share, 'before'), { recursive: true });
}

async function play(report: Report): Promise<void> {
  const { folder } = values;
  const [share, run] = [path.join(folder, 'share'), path.join(folder, 'run')];
  rmSync(run, { recursive: true, force: true });
  fillShare(share);
  const image = await imageIn(folder, values.suite, (text) => report.say(text));
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
      if (name === values.until) break;
    }
  } finally {
    await Promise.all([server.cut(), client.cut()]);
  }
}

// On a signal, the process must exit, because the virtual machines end together with this process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
if (values.help === true) process.stdout.write(HELP);
else {
  const report = new Report();
  await report.chapter('boot of both machines', () => play(report));
  process.exitCode = report.end();
}
