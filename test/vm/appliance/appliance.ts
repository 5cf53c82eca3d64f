// `npm run drill -- vm-appliance`: the appliance in a virtual machine, from the bare image to a replaced disk, by the keyboard of its serial console,
// with another machine as its client. Without usable virtualization, the machines are emulated, and the run takes about half an hour.
// `npm test` does not run this program.

import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { defineDrill } from '../../support/drills/harness.ts';
import { program } from '../../support/drills/needs.ts';
import { choice, optional, text } from '../../support/drills/options.ts';
import { imageIn } from '../image.ts';
import { Machine } from '../machine.ts';
import { type Cable, cardsOf, fillShare, FOLDER, reported, ROOT, VM_NEEDS } from '../play.ts';
import type { Report } from '../report.ts';
import { ConsoleMachine } from './console-machine.ts';
import { type ApplianceScene, clientAttached, connected, disk, diskReplaced, firstHour, mediaDisk } from './drills.ts';
import { password, powerCut, restored, upgrades, writes } from './drills.ts';

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

const NAMES = DRILLS.map(([name]) => name);

interface Asked {
  readonly folder: string;
  readonly images: string | null;
  readonly from: string;
  readonly until: string | null;
}

async function play(report: Report, { folder, images: made, from, until }: Asked): Promise<void> {
  const [run, share] = ['appliance-run', 'appliance-share'].map((name) => path.join(folder, name)) as [string, string];
  const images = made ?? path.join(folder, 'appliance');
  const first = NAMES.indexOf(from);
  if (first === 0) rmSync(run, { recursive: true, force: true });
  mkdirSync(run, { recursive: true });
  fillShare(share);
  if (made === null)
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
      if (!isOver || name === until) break;
    }
  } finally {
    await Promise.all([appliance.cut(), client.cut()]);
  }
}

export const drill = defineDrill({
  about: `Makes the image of the appliance in two versions (npm run appliance), boots it, and plays with the keyboard of its serial console. Another virtual
    machine is the client. It also needs what npm run appliance needs.`,
  needs: [...VM_NEEDS, program('tmux', 'tmux')],
  unit: 'checks',
  endsAtOnce: true,
  options: {
    folder: FOLDER,
    images: optional(text('FOLDER', '.', 'take the images from an earlier run')),
    from: choice('DRILL', NAMES, 'go on with the disks of an interrupted run', NAMES[0]!),
    until: optional(choice('DRILL', NAMES, 'end after this drill', NAMES[0]!)),
  },
  play: (scene, asked) => reported(scene, 'boot of all machines', (report) => play(report, asked)),
});
