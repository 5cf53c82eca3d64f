// `npm run drill -- vm-lun`: a farm on a LUN of an iSCSI target, fenced by persistent reservations, in three virtual machines: two servers, and one
// machine that is both the array (the target of the kernel, LIO) and the client. The packages are installed as OPERATING.md says. While the
// client writes and remembers what was acknowledged, the owner of the pool moves, is killed, stands still, is cut off and loses its power.
// Root is not needed. `npm test` does not run this program.

import { rmSync } from 'node:fs';
import path from 'node:path';
import { defineDrill } from '../../support/drills/harness.ts';
import { choices, count } from '../../support/drills/options.ts';
import { median, seconds } from '../../support/drills/table.ts';
import { imageIn } from '../image.ts';
import { Machine } from '../machine.ts';
import { cardsOf, fillShare, FOLDER, reported, ROOT, SUITE, VM_NEEDS } from '../play.ts';
import type { Report } from '../report.ts';
import { DRILLS } from './drills.ts';
import { installed, LINKS, type LunScene, served } from './scene.ts';
import { engineSuite } from './suite.ts';

const ENGINES = 'suite';
/** Installed already, because npm run drill -- vm-boot tests the installation, and an emulated machine takes minutes for it. */
const PACKAGES = ['nodejs', 'perl', 'adduser', 'iproute2', 'mount', 'xfsprogs', 'open-iscsi', 'sg3-utils', 'nvme-cli'];
/** Otherwise, the first boot would wait for a network that has no addresses yet. */
const SETUP = ['chroot "$1" systemctl disable open-iscsi.service iscsid.socket iscsid.service'];

interface Asked {
  readonly suite: string;
  readonly folder: string;
  readonly only: readonly string[];
  readonly rounds: number;
}

/** Returns the median and the maximum of the rounds. */
function spread(ms: readonly number[]): string {
  return ms.length === 0 ? 'unknown' : `${seconds(median(ms))} median, ${seconds(Math.max(...ms))} at most, of ${ms.length} rounds`;
}

async function play(report: Report, { suite, folder, only: chosen, rounds }: Asked): Promise<void> {
  const [share, run] = [path.join(folder, 'lun-share'), path.join(folder, 'lun-run')];
  rmSync(run, { recursive: true, force: true });
  fillShare(share);
  const image = await imageIn(folder, suite, (text) => report.say(text), { packages: PACKAGES, setup: SETUP });
  const machine = (name: string): Machine => {
    const cards = cardsOf(name, LINKS, run);
    return new Machine({ name, folder: run, image, share, cards, ...(name === 'big-2' ? { checkout: ROOT } : {}) });
  };
  const scene: LunScene = { array: machine('big-2'), servers: [machine('big-9'), machine('big-8')], report };
  const all = [scene.array, ...(chosen.join() === ENGINES ? [] : scene.servers)];
  try {
    report.say(`booting ${all.length} machines of Debian ${image.suite}, ${Machine.accelerator()}, consoles in ${run}`);
    await Promise.all(all.map((one) => one.boot()));
    if (chosen.includes(ENGINES)) await report.chapter(ENGINES, () => engineSuite(scene));
    if (chosen.join() === ENGINES) return;
    report.say('-- install');
    await installed(scene);
    const gaps = new Map<string, number[]>(chosen.filter((name) => name !== ENGINES).map((name) => [name, []]));
    for (let round = 0; round < rounds; round++)
      for (const [name, longestMs] of gaps) {
        await report.chapter(name, async () => void longestMs.push(await DRILLS[name]!(scene, await served(scene))));
      }
    for (const [name, longestMs] of gaps) report.say(`${name}: longest I/O ${spread(longestMs)}`);
  } finally {
    await Promise.all(all.map((one) => one.cut()));
  }
}

export const drill = defineDrill({
  about: `Boots an iSCSI target with a client, and two servers, installs the packages of this checkout, makes a shared pool with fence = reservation, and
    makes each drill happen under writes. First, it runs the suite of the engines on another LUN (${ENGINES}).`,
  needs: VM_NEEDS,
  unit: 'checks',
  endsAtOnce: true,
  options: {
    suite: SUITE,
    folder: FOLDER,
    only: choices('DRILL', [ENGINES, ...Object.keys(DRILLS)], 'only these drills'),
    rounds: count(1, 'how often each drill happens'),
  },
  play: (scene, asked) => reported(scene, 'boot of all machines', (report) => play(report, asked)),
});
