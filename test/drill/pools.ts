// `npm run drill -- pools`: real daemons get random I/O, orders and kills, and every content is compared with a model.

import { defineDrill } from '../support/drills/harness.ts';
import { program, ROOT_USER, XFS } from '../support/drills/needs.ts';
import { amount, count, flag, optional, seed } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { counted } from '../support/drills/table.ts';
import { Drill } from './drill.ts';
import { DrillSite } from './site.ts';
import { Year } from './year.ts';
import { YearSite } from './year-site.ts';

const LINES_MAX = 200;
const NO_DISK = 'No XFS on a loop device here';

async function play(scene: Scene, minutes: number, note: (line: string) => void): Promise<void> {
  const site = await DrillSite.start(scene.hosts);
  if (site === null) throw new Error(NO_DISK);
  scene.withLogs(() => site.logs());
  const drilled = new Drill(site, scene.random, note);
  scene.atEnd(() => {
    const { answered, compared, orders, faults } = drilled.tally;
    return [`orders: ${counted(orders)}; faults: ${counted(faults)}`, `${answered} I/Os answered, ${compared} contents compared`];
  });
  const endMs = performance.now() + minutes * 60_000;
  await drilled.begin();
  while (performance.now() < endMs && !scene.isEnding) {
    scene.round(`round ${scene.rounds + 1}`);
    note(`round ${scene.rounds}`);
    await drilled.round();
  }
  scene.at('end');
  await drilled.end();
}

async function playYear(scene: Scene, orders: number, note: (line: string) => void): Promise<void> {
  await scene.need({ what: 'libfaketime', why: () => (YearSite.hasClocks ? null : 'needs libfaketime: install libfaketime') });
  await scene.need(program('qemu-img', 'qemu-utils'));
  const site = await YearSite.start(scene.hosts);
  if (site === null) throw new Error(NO_DISK);
  scene.withLogs(() => site.logs());
  const year = new Year(site, scene.random, note);
  scene.atEnd(() => {
    const { answered, compared, examined, orders: counts } = year.tally;
    return [`orders: ${counted(counts)}`, `${answered} I/Os answered, ${compared} contents compared, ${examined} reports of doctor`];
  });
  await year.begin();
  while (scene.rounds < orders && !scene.isEnding) {
    scene.round(`order ${scene.rounds + 1}`);
    await year.step(scene.rounds);
  }
}

export const drill = defineDrill({
  about: `Two servers with pools on XFS, a witness and a client: random writes, zeros and discards, growth, snapshots, rollbacks, clones, images, moves,
    backups, restores and a mirror, while servers and rsiod are killed. Every content is compared with a model.

    With --year, an administrator's year: N random orders (renames, new keys and addresses, replaced and restored servers, changed roles, clocks,
    releases, full disks) while programs write. After each order, all contents are compared, and doctor must name what is wrong, and nothing
    else. Needs libfaketime and qemu-utils, too.`,
  needs: [ROOT_USER, XFS],
  options: {
    minutes: amount(5, 'how long'),
    year: optional(count(200, "orders of an administrator's year")),
    seed: seed(),
    verbose: flag('print every order and every fault'),
  },
  async play(scene, { minutes, year, verbose }) {
    const lines: string[] = [];
    const note = (line: string): void => {
      if (verbose) scene.say(line);
      lines.push(line);
      if (lines.length > LINES_MAX) lines.shift();
    };
    scene.withLogs(() => `${lines.slice(-40).join('\n')}\n`);
    await (year === null ? play(scene, minutes, note) : playYear(scene, year, note));
  },
});
