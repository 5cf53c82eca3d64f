// The drills of npm run drill -- vm-applications: what happens to the node that has the application. Invariant of each drill: afterwards, one node runs
// the application, and the other node has no part of the application. Two nodes never had parts at the same time, except for a node that
// stood still.

import type { Guest } from '../machine.ts';
import { seconds } from '../../support/drills/table.ts';
import { diskErrors, until } from '../scene.ts';
import { compared, longestPauseMs, marked, owners, recordSince, writers } from './record.ts';
import { ACKS, ADDRESS, APP, type AppScene, LINES, MOUNT } from './scene.ts';

export type Drill = (scene: AppScene) => Promise<void>;

const RUNS_S = 600;
/** Prints the parts of the application that a node has: mount, address, unit and volume; empty: none. */
const TRACES = [
  `findmnt -n ${MOUNT}`,
  `ip -o address show to ${ADDRESS}`,
  `systemctl is-active ${APP}.service | grep -vx inactive`,
  `ls -d /dev/av0/${APP} 2>/dev/null`,
].join('; ');
/** The server got a line in the last seconds. */
const IS_FRESH = `[ $(($(date +%s) - $(stat -c %Y ${ACKS}))) -lt 10 ]`;
const LIST = 'rsconfig app list | tail -n 1';
const JOURNAL = 'journalctl --no-pager -o cat -u rsapp -b 0 | tail -n 12';
/** How long a node stands still after another one has taken over. */
const FROZEN_S = 20;

/** Returns the node that runs the application, by the last line that the server got, and the other node. */
async function placesOf({ server, nodes }: AppScene): Promise<readonly [holder: Guest, other: Guest]> {
  const [first, second] = nodes;
  const name = await server.run(`tail -n 1 ${ACKS} | cut -d ' ' -f 3`);
  return name === second.name ? [second, first] : [first, second];
}

/** Waits until the server gets lines of a node. */
async function runs({ server, nodes }: AppScene, node: Guest): Promise<void> {
  const isSo = `[ "$(tail -n 1 ${ACKS} | cut -d ' ' -f 3)" = ${node.name} ] && ${IS_FRESH}`;
  const { code } = await server.try(`until ${isSo}; do [ $SECONDS -lt ${RUNS_S} ] || exit 1; sleep 1; done`);
  if (code === 0) return;
  const said = await Promise.all(nodes.map(async (one) => `${one.name}: ${(await one.try(`${LIST}; ${JOURNAL}`)).text}`));
  throw new Error(`${APP} does not run on ${node.name}\n${said.join('\n')}`);
}

async function nothingLeft({ report }: AppScene, node: Guest): Promise<void> {
  const { code } = await node.try(until(`[ -z "$(${TRACES})" ]`, 120));
  const left = code === 0 ? '' : (await node.try(`${TRACES}; ${JOURNAL}`)).text.trim();
  report.check(`${node.name} has nothing of it: no mount, no address, no unit, no volume`, code === 0, left);
}

interface Wanted {
  /** The nodes that have the application in this drill, one after another. */
  readonly nodes: readonly Guest[];
  /** Both nodes may have traces for a time, because one of them stands still. */
  readonly overlaps?: boolean;
}

/** Plays a drill, and judges it by what the server has recorded meanwhile. */
async function judged(scene: AppScene, what: string, wanted: Wanted, play: () => Promise<string>): Promise<void> {
  const { report, nodes } = scene;
  const mark = await marked(scene);
  const said = await play();
  const last = wanted.nodes.at(-1)!;
  await runs(scene, last);
  await nothingLeft(scene, nodes.find((node) => node !== last)!);
  const record = await recordSince(scene, mark);
  const names = wanted.nodes.map(({ name }) => name);
  const isRight = writers(record).join() === names.join();
  const figures = `lines of ${writers(record).join(', ')}; longest pause ${seconds(longestPauseMs(record))}`;
  report.check(`${what}: it runs on ${last.name}`, isRight, said === '' ? figures : `${figures}\n${said}`);
  if (wanted.overlaps === true) return;
  // The first node may lose the application before it has sent a report.
  const had = owners(record);
  const isAlone = had.join() === names.join() || had.join() === names.slice(1).join();
  report.check('no two nodes had anything of it at the same time', isAlone, had.join(', '));
}

async function started(scene: AppScene): Promise<void> {
  const [first, second] = scene.nodes;
  const said = await first.run(`rsconfig app start ${APP}`);
  scene.report.check('rsconfig app start', said.includes(`runs on ${first.name}`), said);
  await runs(scene, first);
  const reached = await first.run(`rsconfig -m status; ip -br address; ${LIST}`);
  scene.report.check(
    'no path of rsiod uses the moving address',
    !reached.split('\n').some((line) => /connected/.test(line) && line.includes(`${ADDRESS} `)),
    reached,
  );
  const doctor = await first.try('rsconfig doctor');
  scene.report.check('rsconfig doctor finds nothing about it', !/(?:error|warning).*application/i.test(doctor.text), doctor.text.trim());
  const refused = await second.try(`rsconfig app stop ${APP}`);
  scene.report.check(
    'an order on the other node names the right one',
    refused.text.includes(`Node ${first.name} has ${APP}`),
    refused.text.trim(),
  );
}

async function moved(scene: AppScene): Promise<void> {
  for (let time = 0; time < 2; time++) {
    const [from, to] = await placesOf(scene);
    await judged(scene, 'a move by command', { nodes: [from, to] }, () => from.run(`rsconfig app move ${APP} --to ${to.name}`));
  }
}

async function powerCut(scene: AppScene): Promise<void> {
  const [lost, next] = await placesOf(scene);
  await judged(scene, 'the node loses its power, and boots again', { nodes: [lost, next] }, async () => {
    await lost.cut();
    await runs(scene, next);
    await lost.powerOn();
    await lost.run(until(`${LIST} | grep -q 'running *${next.name}'`, 300));
    return `${await next.run(`${JOURNAL} | grep silent`)}\n${await lost.run(`${LIST}; ${JOURNAL}`)}`;
  });
}

async function frozen(scene: AppScene): Promise<void> {
  const [still, next] = await placesOf(scene);
  await judged(scene, 'the node stands still, and goes on when another one has it', { nodes: [still, next], overlaps: true }, async () => {
    await still.freeze(true);
    await runs(scene, next);
    await next.run(`sleep ${FROZEN_S}`);
    await still.freeze(false);
    const startMs = performance.now();
    await still.run(until(`[ -z "$(${TRACES})" ]`, 300));
    const tookMs = performance.now() - startMs;
    return `cleaned after ${seconds(tookMs)}\n${await still.run(JOURNAL)}`;
  });
}

async function crashed(scene: AppScene): Promise<void> {
  const [node] = await placesOf(scene);
  const pid = `systemctl show ${APP} -p MainPID --value`;
  const main = (unit: string): string => `$(systemctl show ${unit} -p MainPID --value)`;
  const kills = {
    'kill -9 of rsapp': `kill -9 ${main('rsapp')}; sleep 5; ${until(`${LIST} | grep -q 'running *${node.name}'`)}`,
    'kill -9 of the process of rsiod': `kill -9 $(pgrep -P ${main('rsiod')} -f node | head -n 1); sleep 20; ${until('rsconfig -m status | grep -q "connected tx: ok"')}`,
    'systemctl restart rsapp': `systemctl restart rsapp; ${until(`${LIST} | grep -q 'running *${node.name}'`)}`,
    'systemctl restart systemd-networkd': `systemctl restart systemd-networkd; sleep 10; ${until(`ip -o address show to ${ADDRESS} | grep -q .`)}`,
  };
  for (const [what, command] of Object.entries(kills)) {
    await judged(scene, what, { nodes: [node] }, async () => {
      const before = await node.run(pid);
      await node.run(command);
      const after = await node.run(pid);
      scene.report.check(`${what}: the service goes on`, before === after, `process ${before}, then ${after}`);
      return await node.run(`${JOURNAL} | tail -n 4`);
    });
  }
}

/** Returns what the journal of the previous boot says about the end of the application. */
async function ended(node: Guest): Promise<string> {
  const lines = `(un|)mount.*${MOUNT}|${APP}|rsapp|rsiod|remote-fs|EIO|I/O`;
  return await node.run(`journalctl -b -1 --no-pager -o short-monotonic | grep -iE '${lines}' | tail -n 40`);
}

/** The time on a node, for `journalctl --since`: an earlier drill of the same boot may have failed I/O on purpose. */
async function timeOn(node: Guest): Promise<string> {
  return (await node.run("date '+%F %T'")).trim();
}

async function rebooted(scene: AppScene): Promise<void> {
  const { report } = scene;
  const [node, other] = await placesOf(scene);
  const since = await timeOn(node);
  await judged(
    scene,
    'the node is rebooted',
    { nodes: [node, other] },
    async () => `${seconds(await node.reboot())}\n${await other.run(JOURNAL)}`,
  );
  const errors = await diskErrors(node, '-1', since);
  report.check('it was stopped in order: no error in the log of the kernel', errors === '', errors);
  report.check('what the journal of that boot says', true, await ended(node));
}

async function bothRebooted(scene: AppScene): Promise<void> {
  const { nodes, report, server } = scene;
  const [holder] = await placesOf(scene);
  // The holder gives the application to the other node if that node still runs.
  const wanted = [holder];
  const since = await Promise.all(nodes.map(timeOn));
  await judged(scene, 'both nodes are rebooted', { nodes: wanted }, async () => {
    await Promise.all(nodes.map((node) => node.reboot()));
    const [before] = await marked(scene);
    await server.run(`until [ $(wc -l < ${ACKS}) -gt ${before} ]; do [ $SECONDS -lt ${RUNS_S} ] || exit 1; sleep 1; done`);
    const [now] = await placesOf(scene);
    if (now !== holder) wanted.push(now);
    return await now.run(JOURNAL);
  });
  for (const [index, node] of nodes.entries()) {
    const errors = await diskErrors(node, '-1', since[index]);
    report.check(`no error in the log of the kernel of ${node.name}`, errors === '', errors);
  }
}

async function disabled(scene: AppScene): Promise<void> {
  const { nodes, report } = scene;
  const [holder, other] = await placesOf(scene);
  await holder.run(`rsconfig app disable ${APP}`);
  // Against the advice of rsconfig doctor, systemd starts the unit at the boot, on a node without the volume.
  await other.run(`systemctl enable ${APP} && sync`);
  await Promise.all(nodes.map((node) => node.cut()));
  await Promise.all(nodes.map((node) => node.powerOn()));
  for (const node of nodes) {
    const { text } = await node.try(`${until(`${LIST} | grep -q '^${APP} *disabled'`, 300)}; ${LIST}`);
    report.check(`after a power cut of both nodes, it is disabled on ${node.name}`, text.includes('disabled'), text.trim());
    await nothingLeft(scene, node);
  }
  const [first] = nodes;
  const doctor = await other.try('rsconfig doctor');
  report.check('rsconfig doctor names the unit that systemd starts', doctor.text.includes(`systemctl disable ${APP}`), doctor.text.trim());
  await other.run(`systemctl disable ${APP}`);
  const refused = await first.try(`rsconfig app start ${APP}`);
  report.check('rsconfig app start is refused', refused.text.includes('is disabled'), refused.text.trim());
  const mark = await marked(scene);
  await first.run(`rsconfig app enable ${APP}`);
  await runs(scene, first);
  const record = await recordSince(scene, mark);
  report.check(`rsconfig app enable: it runs on ${first.name}`, owners(record).join() === first.name, owners(record).join(', '));
}

async function over(scene: AppScene): Promise<void> {
  const { nodes, report } = scene;
  const [holder] = await placesOf(scene);
  await holder.run(`rsconfig app stop ${APP}`);
  for (const node of nodes) await nothingLeft(scene, node);
  const checked = await holder.try(`rsconfig -a ${APP} && e2fsck -fn /dev/av0/${APP}`);
  report.check('e2fsck finds the file system clean', checked.code === 0, checked.text.trim());
  const text = await holder.run(
    `mount -o ro /dev/av0/${APP} /mnt && cat /mnt/${LINES.replace(`${MOUNT}/`, '')} && umount /mnt && rsconfig -d ${APP} >&2`,
  );
  const { problems, lines } = await compared(scene, text);
  report.check(
    'every acknowledged line is on the volume, in order, from one writer at a time',
    problems.length === 0,
    problems.length === 0 ? `${lines} lines` : problems.slice(0, 5).join('\n'),
  );
}

export const DRILLS: Readonly<Record<string, Drill>> = {
  start: started,
  move: moved,
  power: powerCut,
  frozen,
  crashes: crashed,
  reboot: rebooted,
  'both-reboot': bothRebooted,
  disabled,
  end: over,
};
