// `npm run drill -- vm-lun`: a farm on a LUN of an iSCSI target, fenced by persistent reservations, in three virtual machines: two servers, and one
// machine that is both the array (the target of the kernel, LIO) and the client. The packages are installed as OPERATING.md says. While the
// client writes and remembers what was acknowledged, the owner of the pool moves, is killed, stands still, is cut off and loses its power.
// Root is not needed. `npm test` does not run this program.

import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { imageIn } from '../image.ts';
import { Machine } from '../machine.ts';
import { cardsOf, fillShare, ROOT, runPlay } from '../play.ts';
import { type Report, seconds } from '../report.ts';
import { DRILLS } from './drills.ts';
import { installed, LINKS, type LunScene, served } from './scene.ts';
import { engineSuite } from './suite.ts';

const SUITE = 'suite';
const HELP = `usage: npm run drill -- vm-lun [--suite SUITE] [--folder FOLDER] [--only DRILL,...] [--rounds N]

Boots an iSCSI target with a client, and two servers of Debian SUITE (default trixie), installs the packages of this checkout, makes a shared
pool with fence = reservation, and makes each drill happen under writes, N times (default 1): ${Object.keys(DRILLS).join(', ')}.
First, it runs the suite of the engines on another LUN (${SUITE}).
--folder keeps the image and the consoles (default: below ${tmpdir()}). Needs what vm-boot needs.
`;
/** Installed already, because npm run drill -- vm-boot tests the installation, and an emulated machine takes minutes for it. */
const PACKAGES = ['nodejs', 'perl', 'adduser', 'iproute2', 'mount', 'xfsprogs', 'open-iscsi', 'sg3-utils', 'nvme-cli'];
/** Otherwise, the first boot would wait for a network that has no addresses yet. */
const SETUP = ['chroot "$1" systemctl disable open-iscsi.service iscsid.socket iscsid.service'];

const { values } = parseArgs({
  options: {
    suite: { type: 'string', default: 'trixie' },
    folder: { type: 'string', default: path.join(tmpdir(), 'rsio-vm-boot') },
    only: { type: 'string', default: [SUITE, ...Object.keys(DRILLS)].join() },
    rounds: { type: 'string', default: '1' },
    help: { type: 'boolean' },
  },
});

/** Returns the median and the maximum of the rounds. */
function spread(ms: readonly number[]): string {
  const sorted = ms.toSorted((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)];
  return middle === undefined ? 'unknown' : `${seconds(middle)} median, ${seconds(sorted.at(-1) ?? 0)} at most, of ${ms.length} rounds`;
}

async function play(report: Report): Promise<void> {
  const { folder } = values;
  const chosen = values.only.split(',');
  const [share, run] = [path.join(folder, 'lun-share'), path.join(folder, 'lun-run')];
  rmSync(run, { recursive: true, force: true });
  fillShare(share);
  const image = await imageIn(folder, values.suite, (text) => report.say(text), { packages: PACKAGES, setup: SETUP });
  const machine = (name: string): Machine => {
    const cards = cardsOf(name, LINKS, run);
    return new Machine({ name, folder: run, image, share, cards, ...(name === 'big-2' ? { checkout: ROOT } : {}) });
  };
  const scene: LunScene = { array: machine('big-2'), servers: [machine('big-9'), machine('big-8')], report };
  const all = [scene.array, ...(chosen.join() === SUITE ? [] : scene.servers)];
  try {
    report.say(`booting ${all.length} machines of Debian ${image.suite}, ${Machine.accelerator()}, consoles in ${run}`);
    await Promise.all(all.map((one) => one.boot()));
    if (chosen.includes(SUITE)) await report.chapter(SUITE, () => engineSuite(scene));
    if (chosen.join() === SUITE) return;
    report.say('-- install');
    await installed(scene);
    const gaps = new Map<string, number[]>(chosen.filter((name) => name !== SUITE).map((name) => [name, []]));
    for (let round = 0; round < Number(values.rounds); round++)
      for (const [name, longestMs] of gaps) {
        const drill = DRILLS[name];
        if (drill === undefined) throw new Error(`There is no drill ${name}: see --help`);
        await report.chapter(name, async () => void longestMs.push(await drill(scene, await served(scene))));
      }
    for (const [name, longestMs] of gaps) report.say(`${name}: longest I/O ${spread(longestMs)}`);
  } finally {
    await Promise.all(all.map((one) => one.cut()));
  }
}

await runPlay(HELP, values.help === true, play);
