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
import { type AppScene, CABLES, configured, installed, NAMES } from './scene.ts';

const HELP = `usage: npm run vm-applications -- [--suite SUITE] [--folder FOLDER] [--only DRILL,...]

Boots a server and two nodes of Debian SUITE (default trixie), installs the packages of this checkout, adds an application with a volume, a unit
of systemd and an address, and plays the drills: ${Object.keys(DRILLS).join(', ')}.
--only plays some of them; start and end are always played. --folder keeps the image and the consoles (default: below ${tmpdir()}).
Needs what vm-boot needs.
`;
/** Installed already, because npm run vm-boot tests the installation, and an emulated machine takes minutes for it. */
const PACKAGES = ['nodejs', 'perl', 'adduser', 'iproute2', 'mount', 'logrotate', 'qemu-utils'];

const { values } = parseArgs({
  options: {
    suite: { type: 'string', default: 'trixie' },
    folder: { type: 'string', default: path.join(tmpdir(), 'rsio-vm-boot') },
    only: { type: 'string', default: Object.keys(DRILLS).join() },
    help: { type: 'boolean' },
  },
});

async function play(report: Report): Promise<void> {
  const { folder } = values;
  const chosen = ['start', ...values.only.split(','), 'end'];
  const unknown = chosen.find((name) => DRILLS[name] === undefined);
  if (unknown !== undefined) throw new Error(`There is no drill ${unknown}: see --help`);
  const [share, run] = [path.join(folder, 'app-share'), path.join(folder, 'app-run')];
  rmSync(run, { recursive: true, force: true });
  fillShare(share);
  const image = await imageIn(folder, values.suite, (text) => report.say(text), { packages: PACKAGES, setup: [] });
  const machine = (name: string): Machine => new Machine({ name, folder: run, image, share, cards: cardsOf(name, CABLES, run) });
  const [first, second] = NAMES.nodes;
  const scene: AppScene = { server: machine(NAMES.server), nodes: [machine(first), machine(second)], report };
  const all = [scene.server, ...scene.nodes];
  try {
    report.say(`booting ${all.length} machines of Debian ${image.suite}, ${Machine.accelerator()}, consoles in ${run}`);
    await Promise.all(all.map((one) => one.boot()));
    report.say('-- install');
    await installed(scene);
    await configured(scene);
    for (const [name, drill] of Object.entries(DRILLS)) if (chosen.includes(name)) await report.chapter(name, () => drill(scene));
  } finally {
    await Promise.all(all.map((one) => one.cut()));
  }
}

await runPlay(HELP, values.help === true, play);
