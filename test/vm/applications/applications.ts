// `npm run drill -- vm-applications`: an application that moves between two nodes, by systemd, in three virtual machines: a server, and the nodes
// big-2 and big-6. The packages are installed, and the application is added as APPLICATIONS.md says. Its node moves it by command, loses
// its power, stands still, and reboots; then both nodes reboot. Root is not needed. `npm test` does not run this program.

import { rmSync } from 'node:fs';
import path from 'node:path';
import { defineDrill } from '../../support/drills/harness.ts';
import { choices, flag } from '../../support/drills/options.ts';
import { type Image, imageIn } from '../image.ts';
import { Machine } from '../machine.ts';
import { cardsOf, fillShare, FOLDER, reported, SUITE, VM_NEEDS } from '../play.ts';
import type { Report } from '../report.ts';
import { Container, prepared, removed } from './container.ts';
import { DRILLS } from './drills.ts';
import { type AppScene, CABLES, configured, installed, NAMES, TIMES, upgraded } from './scene.ts';

/** Installed already, because npm run drill -- vm-boot tests the installation, and an emulated machine takes minutes for it. */
const PACKAGES = ['nodejs', 'perl', 'adduser', 'iproute2', 'mount', 'logrotate', 'qemu-utils'];

interface Asked {
  readonly suite: string;
  readonly folder: string;
  readonly only: readonly string[];
  readonly containers: boolean;
  readonly again: boolean;
}

async function play(report: Report, { suite, folder, only, containers, again }: Asked): Promise<void> {
  const drills = only.filter((name) => name !== 'start');
  const chosen = [...(again ? [] : ['start']), ...drills, 'end'];
  const run = path.join(folder, containers ? 'app-containers' : 'app-run');
  const share = containers ? path.join(run, 'share') : path.join(folder, 'app-share');
  if (containers) removed(run, CABLES);
  if (!again) rmSync(run, { recursive: true, force: true });
  fillShare(share);
  const image = await imageIn(folder, suite, (text) => report.say(text), { packages: PACKAGES, setup: [] });
  const isQuick = containers || Machine.accelerator() === 'kvm';
  const scene = { report, times: isQuick ? TIMES.quick : TIMES.emulated };
  const at = { run, share, chosen, again };
  await (containers ? inContainers(scene, image, at) : inMachines(scene, image, at));
}

type Start = Pick<AppScene, 'report' | 'times'>;

interface At {
  readonly run: string;
  readonly share: string;
  readonly chosen: readonly string[];
  readonly again: boolean;
}

async function inMachines(start: Start, image: Image, at: At): Promise<void> {
  const { run, share, again } = at;
  const machine = (name: string): Machine => new Machine({ name, folder: run, image, share, cards: cardsOf(name, CABLES, run) });
  const [server, first, second] = [machine(NAMES.server), machine(NAMES.nodes[0]), machine(NAMES.nodes[1])];
  const all = [server, first, second];
  try {
    start.report.say(`booting ${all.length} machines of Debian ${image.suite}, ${Machine.accelerator()}, consoles in ${run}`);
    await Promise.all(all.map((one) => (again ? one.powerOn() : one.boot())));
    await drilled({ ...start, server, nodes: [first, second] }, at);
  } finally {
    await Promise.all(all.map((one) => one.cut()));
  }
}

async function inContainers(start: Start, image: Image, at: At): Promise<void> {
  const { run } = at;
  prepared(image, run, CABLES);
  const container = (name: string): Container => new Container(name, run, CABLES);
  const [server, first, second] = [container(NAMES.server), container(NAMES.nodes[0]), container(NAMES.nodes[1])];
  const all = [server, first, second];
  try {
    await Promise.all(all.map((one) => one.powerOn()));
    start.report.say(`${all.length} containers of Debian ${image.suite} have booted`);
    await drilled({ ...start, server, nodes: [first, second] }, at);
  } finally {
    await Promise.all(all.map((one) => one.cut()));
    for (const one of all) one.remove();
    removed(run, CABLES);
  }
}

async function drilled(scene: AppScene, { chosen, again }: At): Promise<void> {
  scene.report.say('-- install');
  await (again ? upgraded(scene) : installed(scene));
  if (!again) await configured(scene);
  for (const name of new Set(chosen)) await scene.report.chapter(name, async () => await DRILLS[name]?.(scene));
}

export const drill = defineDrill({
  about: `Boots a server and two nodes of Debian, installs the packages of this checkout, adds an application with a volume, a unit of systemd and an
    address, and plays the drills; start and end are always played.`,
  needs: VM_NEEDS,
  unit: 'checks',
  endsAtOnce: true,
  options: {
    suite: SUITE,
    folder: FOLDER,
    only: choices('DRILL', Object.keys(DRILLS), 'some of the drills, in this order'),
    containers: flag(
      'take containers of this kernel instead, which boot in seconds; as root, with control groups of version 2, the modules fuse and loop, and iproute2',
    ),
    again: flag(
      'boot the machines that the last run in this folder has left, install the packages of this checkout there, and go on with the application as it is',
    ),
  },
  play: (scene, asked) => reported(scene, 'boot of all machines', (report) => play(report, asked)),
});
