// The drills of npm run drill -- vm-lun: what happens to the owner of the pool while the client writes. Invariant of each drill: no I/O fails, and
// no block is lost or reverts, even while the earlier owner comes back. At the end, the earlier owner stands by.

import type { Machine } from '../machine.ts';
import { seconds } from '../../support/drills/table.ts';
import { until } from '../scene.ts';
import { type LunScene, served, STORAGE_CARD } from './scene.ts';

/** Resolves with the longest I/O of the client, in ms. */
export type Drill = (scene: LunScene, owner: Machine) => Promise<number>;

interface Seen {
  readonly writes: number;
  readonly reads: number;
  readonly syncs: number;
  readonly longestMs: number;
  readonly errors: readonly string[];
  readonly wrong: readonly string[];
}

const STATE = '/root/judge.json';
const FROZEN_S = 60;

function other({ servers }: LunScene, owner: Machine): Machine {
  return servers.find((server) => server !== owner)!;
}

async function seenSoFar({ array }: LunScene): Promise<Seen> {
  return JSON.parse(await array.run(`${until(`[ -s ${STATE} ]`, 60)}; cat ${STATE}`)) as Seen;
}

/** Waits until the client's I/O goes on: until it has made more than fifty further writes. */
async function goesOn(scene: LunScene): Promise<void> {
  const { writes } = await seenSoFar(scene);
  const count = `[ $(grep -o '"writes":[0-9]*' ${STATE} | cut -d: -f2) -gt ${writes + 50} ]`;
  await scene.array.run(until(`${count} || ! systemctl is-active -q judge`, 300));
}

/** Runs the judge on the client around `play`, and compares every block at the end. */
async function judged(scene: LunScene, what: string, play: () => Promise<string>): Promise<number> {
  const { array, report } = scene;
  await array.run(`rm -f ${STATE}; systemctl reset-failed judge 2>/dev/null; cp /share/judge.mjs /root/`);
  await array.run(`systemd-run -q --unit=judge node /root/judge.mjs /dev/av0/rdb ${STATE}`);
  let said = '';
  try {
    await goesOn(scene);
    said = await play();
    await goesOn(scene);
  } finally {
    await array.run(`systemctl kill judge; ${until(`grep -q '"isOver":true' ${STATE}`, 300)}`);
  }
  const { writes, reads, syncs, longestMs, errors, wrong } = await seenSoFar(scene);
  const figures = `${writes} writes, ${reads} reads compared, ${syncs} syncs, longest I/O ${seconds(longestMs)}`;
  const isWell = errors.length === 0 && wrong.length === 0;
  report.check(
    `${what}: no error, nothing lost or older`,
    isWell,
    isWell ? `${figures}\n${said}` : [...errors, ...wrong].slice(0, 5).join('\n'),
  );
  return longestMs;
}

/** A server that lost the pool while it stood still writes at least its next note. The kernel of the server logs what the array answers. */
async function isRefused({ report }: LunScene, zombie: Machine): Promise<void> {
  const refused = await zombie.try(until(`journalctl -k -b 0 --no-pager | grep -i 'reservation conflict'`, 120));
  report.check(`the array refuses the writes of ${zombie.name}, whose reservation was preempted`, refused.code === 0, refused.text.trim());
}

/** Waits until `next` serves the pool; returns what its log says about the take. */
async function taken(next: Machine): Promise<string> {
  await next.run(until(`rsadm farm --json 2>/dev/null | tr -d ' \\n' | grep -q '"isHere":true'`, 300));
  return await next.run('rsadm farm; rsslogcat | grep -E "is fenced|is owned by" | tail -2; sg_persist -r /dev/disk/by-id/wwn-* | tail -3');
}

/** Waits until a server that comes back stands by: it sees the owner, and has nothing of the pool open any more. */
async function standsBy(machine: Machine, owner: Machine): Promise<string> {
  await machine.run(until(`rsadm pool list 2>/dev/null | grep -q 'served by ${owner.name}'`, 300));
  const inService = 'nsenter -m -t $(systemctl show rssrv -p MainPID --value)';
  const left = `$(${inService} findmnt -n /storage/fast; losetup --list --noheadings)`;
  const { code } = await machine.try(until(`[ -z "${left}" ]`, 120));
  const lines = await machine.run('rsslogcat | grep "Pool fast" | tail -6');
  if (code !== 0) throw new Error(`${machine.name} still has ${await machine.run(`echo "${left}"`)}\n${lines}`);
  return lines;
}

export const DRILLS: Readonly<Record<string, Drill>> = {
  move: (scene, owner) =>
    judged(scene, 'a move by command', async () => {
      const next = other(scene, owner);
      const moved = await next.run(`rsadm pool move fast --to ${next.name}`);
      return `${moved}\n${await standsBy(owner, next)}`;
    }),

  killed: (scene, owner) =>
    judged(scene, 'rssrv of the owner is killed, and systemd starts it again', async () => {
      await owner.run('kill -9 $(systemctl show rssrv -p MainPID --value); sleep 5');
      return await taken(await served(scene));
    }),

  frozen: (scene, owner) =>
    judged(scene, `the owner stands still, and goes on ${FROZEN_S} s after another server has taken the pool`, async () => {
      const next = other(scene, owner);
      await owner.freeze(true);
      const said = await taken(next);
      await goesOn(scene);
      await next.run(`sleep ${FROZEN_S}`);
      await owner.freeze(false);
      await isRefused(scene, owner);
      return `${said}\n${await standsBy(owner, next)}`;
    }),

  'cut-off': (scene, owner) =>
    judged(scene, 'the owner is cut off from the storage', async () => {
      const next = other(scene, owner);
      await owner.plug(STORAGE_CARD, false);
      const said = await taken(next);
      await goesOn(scene);
      await owner.plug(STORAGE_CARD, true);
      return `${said}\n${await standsBy(owner, next)}`;
    }),

  reset: (scene, owner) =>
    judged(scene, 'the owner is reset', async () => {
      await owner.reset();
      return await taken(await served(scene));
    }),

  'power-cut': (scene, owner) =>
    judged(scene, 'the owner loses its power, and comes back later', async () => {
      const next = other(scene, owner);
      await owner.cut();
      const said = await taken(next);
      await goesOn(scene);
      await owner.powerOn();
      return `${said}\n${await standsBy(owner, next)}`;
    }),
};
