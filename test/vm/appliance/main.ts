// `npm run drill -- vm-appliance`: the appliance in a virtual machine, from the bare image to a replaced disk, by the keyboard of its serial console,
// with another machine as its client. Without usable virtualization, the machines are emulated, and the run takes about half an hour.
// `npm test` does not run this program.

import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { isProgramThere } from '@rsio/base/testing/needs';
import { imageIn } from '../image.ts';
import { Machine } from '../machine.ts';
import { type Cable, cardsOf, fillShare, ROOT, runPlay } from '../play.ts';
import type { Report } from '../report.ts';
import { ConsoleMachine } from './console-machine.ts';
import { type ApplianceScene, clientAttached, connected, disk, diskReplaced, firstHour, mediaDisk } from './drills.ts';
import { password, powerCut, restored, upgrades, writes } from './drills.ts';

const HELP = `usage: npm run drill -- vm-appliance [--folder FOLDER] [--images FOLDER] [--from DRILL] [--until DRILL]

Makes the image of the appliance in two versions (npm run appliance; --images takes them from an earlier run), boots it, and plays with the
keyboard of its serial console: first-hour, client, power-cut, password, upgrade, disk, restore. Another virtual machine is the client.
--from goes on with the disks of an interrupted run, and --until ends after a drill.
--folder keeps disks, images and consoles (default: below ${tmpdir()}). Needs what vm-boot and appliance need, and tmux.
`;
const CABLES: readonly Cable[] = [{ number: 0, ends: ['big-9', 'big-2'] }];
const VERSIONS = ['0.0.1', '0.0.2'] as const;
const DRILLS: readonly (readonly [string, (scene: ApplianceScene) => Promise<void>])[] = [
  ['first-hour', firstHour],
  ['client', clientAttached],
  ['power-cut', powerCut],
  ['password', password],
  ['upgrade', upgrades],
  ['disk', diskReplaced],
  ['restore', restored],
];

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: path.join(tmpdir(), 'rsio-vm-boot') },
    images: { type: 'string' },
    from: { type: 'string' },
    until: { type: 'string' },
    help: { type: 'boolean' },
  },
});

async function play(report: Report): Promise<void> {
  if (!isProgramThere('tmux')) return report.say('Skipped: this machine has no tmux (package tmux)');
  const { folder } = values;
  const [run, share] = ['appliance-run', 'appliance-share'].map((name) => path.join(folder, name)) as [string, string];
  const images = values.images ?? path.join(folder, 'appliance');
  const first = values.from === undefined ? 0 : DRILLS.findIndex(([name]) => name === values.from);
  if (first < 0) return report.say(`There is no drill ${values.from}: see --help`);
  if (first === 0) rmSync(run, { recursive: true, force: true });
  mkdirSync(run, { recursive: true });
  fillShare(share);
  if (values.images === undefined)
    for (const version of VERSIONS) {
      report.say(`making the appliance, version ${version}`);
      const script = path.join(ROOT, 'scripts/appliance.mjs');
      execFileSync(process.execPath, [script, '--version', version, '--out', images], { stdio: 'ignore' });
    }
  const [older, newer] = VERSIONS.map((version) => path.join(images, `rsio-appliance_${version}_amd64`));
  const system = path.join(run, 'system.disk');
  if (first === 0) execFileSync('cp', ['--sparse=always', `${older}.img`, system]);
  const data = ['data-1', 'data-2'].map((name) => disk(run, name));
  const disks = [{ file: system, serial: 'system' }, ...data, mediaDisk(run, `${newer}.upgrade`)];
  const appliance = new ConsoleMachine({ name: 'big-9', folder: run, cards: cardsOf('big-9', CABLES, run) }, disks);
  const image = await imageIn(folder, 'trixie', (text) => report.say(text), {
    packages: ['nodejs', 'perl', 'adduser', 'iproute2', 'mount'],
    setup: [],
  });
  const client = new Machine({ name: 'big-2', folder: run, image, share, cards: cardsOf('big-2', CABLES, run) });
  const scene: ApplianceScene = { appliance, client, report, folder: run, image: `${older}.img`, versions: VERSIONS };
  try {
    report.say(`booting the client, ${Machine.accelerator()}, consoles in ${run}`);
    await (first > 1 ? client.powerOn() : client.boot());
    await connected(client);
    if (first > 0) await appliance.powerOn();
    if (first > 1) await writes(client);
    for (const [name, drill] of DRILLS.slice(first)) {
      let isOver = false;
      await report.chapter(name, async () => {
        await drill(scene);
        isOver = true;
      });
      // The next drill goes on where this one should have ended.
      if (!isOver || name === values.until) break;
    }
  } finally {
    await Promise.all([appliance.cut(), client.cut()]);
  }
}

await runPlay(HELP, values.help === true, play);
