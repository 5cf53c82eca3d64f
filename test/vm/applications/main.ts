// `npm run drill -- vm-applications`: an application that moves between two nodes, by systemd, in three virtual machines: a server, and the nodes
// big-2 and big-6. The packages are installed, and the application is added as APPLICATIONS.md says. Its node moves it by command, loses
// its power, stands still, and reboots; then both nodes reboot. Root is not needed. `npm test` does not run this program.

import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Image, imageIn } from '../image.ts';
import { Machine } from '../machine.ts';
import { cardsOf, fillShare, runPlay } from '../play.ts';
import type { Report } from '../report.ts';
import { Container, prepared, removed } from './container.ts';
import { DRILLS } from './drills.ts';
import { type AppScene, CABLES, configured, installed, NAMES, TIMES, upgraded } from './scene.ts';

const HELP = `usage: npm run drill -- vm-applications [--suite SUITE] [--folder FOLDER] [--only DRILL,...] [--containers | --again]

Boots a server and two nodes of Debian SUITE (default trixie), installs the packages of this checkout, adds an application with a volume, a unit
of systemd and an address, and plays the drills: ${Object.keys(DRILLS).join(', ')}.
--only plays some of them, in this order; start and end are always played. --again boots the machines that the last run in this folder has left, installs the
packages of this checkout there, and goes on with the application as it is. --containers takes containers of this kernel instead, which boot in seconds; as root, with
control groups of version 2, the modules fuse and loop, and iproute2. --folder keeps the image and the consoles (default: below ${tmpdir()}).
Needs what vm-boot needs.
`;
/** Installed already, because npm run drill -- vm-boot tests the installation, and an emulated machine takes minutes for it. */
const PACKAGES = ['nodejs', 'perl', 'adduser', 'iproute2', 'mount', 'logrotate', 'qemu-utils'];

const { values } = parseArgs({
  options: {
    suite: { type: 'string', default: 'trixie' },
    folder: { type: 'string', default: path.join(tmpdir(), 'rsio-vm-boot') },
    only: { type: 'string', default: Object.keys(DRILLS).join() },
    again: { type: 'boolean', default: false },
    containers: { type: 'boolean', default: false },
    help: { type: 'boolean' },
  },
});

async function play(report: Report): Promise<void> {
  const { folder, again } = values;
  const drills = values.only.split(',').filter((name) => name !== 'start');
  const chosen = [...(again ? [] : ['start']), ...drills, 'end'];
  const unknown = chosen.find((name) => DRILLS[name] === undefined);
  if (unknown !== undefined) throw new Error(`There is no drill ${unknown}: see --help`);
  const run = path.join(folder, values.containers ? 'app-containers' : 'app-run');
  const share = values.containers ? path.join(run, 'share') : path.join(folder, 'app-share');
  if (values.containers) removed(run, CABLES);
  if (!again) rmSync(run, { recursive: true, force: true });
  fillShare(share);
  const image = await imageIn(folder, values.suite, (text) => report.say(text), { packages: PACKAGES, setup: [] });
  const isQuick = values.containers || Machine.accelerator() === 'kvm';
  const scene = { report, times: isQuick ? TIMES.quick : TIMES.emulated };
  if (values.containers) await inContainers(scene, image, run, chosen);
  else await inMachines(scene, image, { run, share, chosen });
}

type Start = Pick<AppScene, 'report' | 'times'>;

async function inMachines(start: Start, image: Image, at: { run: string; share: string; chosen: readonly string[] }): Promise<void> {
  const { run, share, chosen } = at;
  const machine = (name: string): Machine => new Machine({ name, folder: run, image, share, cards: cardsOf(name, CABLES, run) });
  const [server, first, second] = [machine(NAMES.server), machine(NAMES.nodes[0]), machine(NAMES.nodes[1])];
  const all = [server, first, second];
  try {
    start.report.say(`booting ${all.length} machines of Debian ${image.suite}, ${Machine.accelerator()}, consoles in ${run}`);
    await Promise.all(all.map((one) => (values.again ? one.powerOn() : one.boot())));
    await drilled({ ...start, server, nodes: [first, second] }, chosen);
  } finally {
    await Promise.all(all.map((one) => one.cut()));
  }
}

async function inContainers(start: Start, image: Image, run: string, chosen: readonly string[]): Promise<void> {
  prepared(image, run, CABLES);
  const container = (name: string): Container => new Container(name, run, CABLES);
  const [server, first, second] = [container(NAMES.server), container(NAMES.nodes[0]), container(NAMES.nodes[1])];
  const all = [server, first, second];
  try {
    await Promise.all(all.map((one) => one.powerOn()));
    start.report.say(`${all.length} containers of Debian ${image.suite} have booted`);
    await drilled({ ...start, server, nodes: [first, second] }, chosen);
  } finally {
    await Promise.all(all.map((one) => one.cut()));
    for (const one of all) one.remove();
    removed(run, CABLES);
  }
}

async function drilled(scene: AppScene, chosen: readonly string[]): Promise<void> {
  scene.report.say('-- install');
  await (values.again ? upgraded(scene) : installed(scene));
  if (!values.again) await configured(scene);
  for (const name of new Set(chosen)) await scene.report.chapter(name, async () => await DRILLS[name]?.(scene));
}

await runPlay(HELP, values.help === true, play);
