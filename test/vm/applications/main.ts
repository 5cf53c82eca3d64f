// `npm run vm-applications`: an application that moves between two nodes, by systemd, in three virtual machines: a server, and the nodes big-2
// and big-6. The packages are installed, and the application is added as APPLICATIONS.md says. Its node is told to move it, loses its power,
// stands still, and reboots; both nodes reboot. Root is not needed. `npm test` does not run this program.

import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { imageIn } from '../image.ts';
import { Machine } from '../machine.ts';
import { cardsOf, fillShare, runPlay } from '../play.ts';
import type { Report } from '../report.ts';
import { DRILLS } from './drills.ts';
import { type AppScene, CABLES, configured, installed, NAMES, upgraded } from './scene.ts';

const HELP = `usage: npm run vm-applications -- [--suite SUITE] [--folder FOLDER] [--only DRILL,...] [--again]

Boots a server and two nodes of Debian SUITE (default trixie), installs the packages of this checkout, adds an application with a volume, a unit
of systemd and an address, and plays the drills: ${Object.keys(DRILLS).join(', ')}.
--only plays some of them, in this order; start and end are always played. --again boots the machines that the last run in this folder has left, installs the
packages of this checkout there, and goes on with the application as it is. --folder keeps the image and the consoles (default: below ${tmpdir()}).
Needs what vm-boot needs.
`;
/** Installed already, because npm run vm-boot tests the installation, and an emulated machine takes minutes for it. */
const PACKAGES = ['nodejs', 'perl', 'adduser', 'iproute2', 'mount', 'logrotate', 'qemu-utils'];

const { values } = parseArgs({
  options: {
    suite: { type: 'string', default: 'trixie' },
    folder: { type: 'string', default: path.join(tmpdir(), 'rsio-vm-boot') },
    only: { type: 'string', default: Object.keys(DRILLS).join() },
    again: { type: 'boolean', default: false },
    help: { type: 'boolean' },
  },
});

async function play(report: Report): Promise<void> {
  const { folder, again } = values;
  const drills = values.only.split(',').filter((name) => name !== 'start');
  const chosen = [...(again ? [] : ['start']), ...drills, 'end'];
  const unknown = chosen.find((name) => DRILLS[name] === undefined);
  if (unknown !== undefined) throw new Error(`There is no drill ${unknown}: see --help`);
  const [share, run] = [path.join(folder, 'app-share'), path.join(folder, 'app-run')];
  if (!again) rmSync(run, { recursive: true, force: true });
  fillShare(share);
  const image = await imageIn(folder, values.suite, (text) => report.say(text), { packages: PACKAGES, setup: [] });
  const machine = (name: string): Machine => new Machine({ name, folder: run, image, share, cards: cardsOf(name, CABLES, run) });
  const [first, second] = NAMES.nodes;
  const scene: AppScene = { server: machine(NAMES.server), nodes: [machine(first), machine(second)], report };
  const all = [scene.server, ...scene.nodes];
  try {
    report.say(`booting ${all.length} machines of Debian ${image.suite}, ${Machine.accelerator()}, consoles in ${run}`);
    await Promise.all(all.map((one) => (again ? one.powerOn() : one.boot())));
    report.say('-- install');
    await (again ? upgraded(scene) : installed(scene));
    if (!again) await configured(scene);
    for (const name of new Set(chosen)) await report.chapter(name, async () => await DRILLS[name]?.(scene));
  } finally {
    await Promise.all(all.map((one) => one.cut()));
  }
}

await runPlay(HELP, values.help === true, play);
