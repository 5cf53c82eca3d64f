// An application that moves between three nodes with real daemons, on a mirror with a witness. Its service appends lines to the volume and
// reports each one (app-writer.ts). It is moved; its node is killed, frozen and thawed; it breaks on one node and on all; rsiod hangs; and a
// server dies together with a node. Invariant of all tests together, which the last test checks: the volume has every reported line, and
// no line was reported twice. Rules: G46.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { daemonPaths } from '@rsio/common/config/root-paths';
import { APP_METHODS, type ApplicationView } from '@rsio/api/rsapp/app-methods';
import { callMethod } from '@rsio/common/control/control-client';
import { isProgramThere } from '@rsio/base/testing/needs';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { linesOn } from '../support/io/app-writer.ts';
import { launcher, wellOf } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { AppSite, CGROUPS, kill, removeAppGroups } from '../support/scenes/app-site.ts';

const NODES = ['a', 'b', 'c'];
/** The volumes of the two applications. The second application runs only in the test in which two nodes fail at once. */
const VOLUMES = { log: 'db', two: 'dc' } as const;
type App = keyof typeof VOLUMES;
const SIZE = 8 * 1024 * 1024;
const WAIT_MS = 30_000;
const TEST_MS = 240_000;
const WRITER = path.join(launcher('..'), 'test/dist/support/io/app-writer.js');
const hosts = useHosts('file');
let site: AppSite;

beforeAll(async () => {
  if (!canRun()) return;
  site = await AppSite.start(hosts, { nodes: NODES, defaults: { stall: '20s' } });
  for (const [app, volume] of Object.entries(VOLUMES)) {
    await site.createMirror(volume, SIZE);
    writeFileSync(reportOf(app), '');
  }
  hosts.onClean(removeAppGroups);
  const prepare = async (node: string): Promise<void> => {
    const host = site.node(node);
    const check = host.file('app/check');
    writeFileSync(check, `#!/bin/sh\ntest ! -e ${broken(node)}\n`, { mode: 0o755 });
    for (const [app, volume] of Object.entries(VOLUMES)) {
      const program = host.file(`app/${app}`);
      const writer = `exec ${process.execPath} ${WRITER} ${host.rsiodPaths.nbdSocket} osl/${volume} ${reportOf(app)} ${node}`;
      writeFileSync(program, `#!/bin/sh\ntest -e ${broken(node)} && exit 1\n${writer}\n`, { mode: 0o755 });
      await host.rsconfigWell('app', 'add', app, '--on', volume, '--nodes', 'a,b,c', '--program', program, '--check-program', check);
      const config = readFileSync(host.rsiodPaths.configFile, 'utf8');
      const times = 'silent = 4s\nstart-delay = 2s\ncheck-interval = 1s\nrestarts = 1\nstop-timeout = 5s\nstart-timeout = 20s\n';
      writeFileSync(host.rsiodPaths.configFile, `${config.trimEnd()}\n${times}`);
    }
    await startApps(host);
  };
  await Promise.all(NODES.map(prepare));
}, 120_000);

function canRun(): boolean {
  return isProgramThere('perl') && process.getuid?.() === 0 && CGROUPS !== undefined;
}

async function startApps(host: Host): Promise<void> {
  wellOf('rsapp', await host.run('rsapp'));
}

async function viewAt(node: string, app: App = 'log'): Promise<ApplicationView> {
  const socket = daemonPaths(site.node(node).root, 'rsapp').controlSocket;
  const { applications } = await callMethod(APP_METHODS, socket, 'applications', {}, {});
  return applications.find(({ name }) => name === app)!;
}

/** Resolves with the node that says that it runs the application, once this node reports lines. */
function runs(...nodes: string[]): Promise<string> {
  return runsOf('log', nodes);
}

async function runsOf(app: App, nodes: readonly string[]): Promise<string> {
  const found = await waitFor(
    async () => {
      for (const node of nodes) {
        const view = await viewAt(node, app).catch(() => null);
        if (view?.state === 'running' && view.on === node) return node;
      }
      return null;
    },
    WAIT_MS,
    `${app} runs on ${nodes.join(' or ')}`,
  ).catch(async (error: Error) => {
    const views = await Promise.all(NODES.map(async (node) => `${node}: ${JSON.stringify(await viewAt(node, app).catch(String))}`));
    throw new Error(`${error.message}\n${views.join('\n')}\n${NODES.map((node) => logOf(node)).join('\n')}`);
  });
  const before = reported(app).length;
  const isReporting = (): boolean => reported(app).length > before && reported(app).at(-1)?.endsWith(found!) === true;
  await waitFor(isReporting, WAIT_MS, `${found} reports lines`);
  return found!;
}

function logOf(node: string): string {
  try {
    return `--- ${node}\n${readFileSync(daemonPaths(site.node(node).root, 'rsapp').logFile, 'utf8')}`;
  } catch {
    return '';
  }
}

function reportOf(app: string): string {
  return site.servers[0]!.file(`reported-${app}`);
}

function reported(app: App = 'log'): string[] {
  return readFileSync(reportOf(app), 'utf8').split('\n').filter(Boolean);
}

function broken(node: string): string {
  return site.node(node).file('app/broken');
}

/** Stops the application, and compares the lines that it has reported with the volume. */
async function compared(at: string, app: App = 'log'): Promise<void> {
  const volume = VOLUMES[app];
  const host = site.node(at);
  await host.rsconfigWell('app', 'stop', app);
  await host.rsconfigWell('-a', volume);
  const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, `osl/${volume}`);
  const lines = await linesOn(nbd);
  nbd.close();
  await host.rsconfigWell('-d', volume);
  const said = reported(app);
  const numbers = said.map((line) => Number(line.split(' ')[0]));
  expect(new Set(numbers).size, 'no line is reported twice').toBe(numbers.length);
  expect(
    said.filter((line) => lines[Number(line.split(' ')[0])] !== line),
    'reported lines that the volume lacks',
  ).toEqual([]);
}

it('it is started by a command, moves by a command, and goes on while rsapp is away', { timeout: TEST_MS }, async (context) => {
  context.skip(!canRun(), 'needs root, perl and control groups of version 2');
  expect((await viewAt('a')).state).toMatch(/new|unknown/);
  await site.node('a').rsconfigWell('app', 'start', 'log');
  await runs('a');
  expect((await site.node('b').rsconfig('app', 'stop', 'log')).stderr).toContain('Node a has log: give the order there [E_HELD]');
  expect(await site.node('a').rsconfigWell('app', 'move', 'log', '--to', 'b')).toMatch(/^log has moved to b in /);
  await runs('b');
  process.kill(Number(readFileSync(daemonPaths(site.node('b').root, 'rsapp').pidFile, 'utf8')), 'SIGKILL');
  const before = reported().length;
  await waitFor(() => reported().length > before + 10, WAIT_MS, 'It goes on without rsapp');
  await startApps(site.node('b'));
  await runs('b');
  const list = await site.node('a').rsconfigWell('app', 'list');
  expect(list).toMatch(/^APPLICATION +STATE +ON +SINCE +VOLUMES +NEXT +WHY\nlog +running +b +\S+ +db +a +-/);
});

it('a node that is killed loses it to the next one, also if a server dies with it', { timeout: TEST_MS }, async (context) => {
  context.skip(!canRun(), 'needs root, perl and control groups of version 2');
  const first = await runs(...NODES);
  kill(site.node(first), 'SIGKILL');
  site.killServer(1);
  const second = await runs(...NODES.filter((node) => node !== first));
  await site.servers[1]!.start('rssrv');
  await site.node(first).start('rsiod');
  await startApps(site.node(first));
  await waitFor(async () => (await viewAt(first)).on === second, WAIT_MS, 'The killed node sees who has it');
});

it('a node that is frozen, and one whose rsiod hangs, lose theirs to the third one, and write nothing when they go on', {
  timeout: TEST_MS,
}, async (context) => {
  context.skip(!canRun(), 'needs root, perl and control groups of version 2');
  const first = await runs(...NODES);
  const [second = '', third = ''] = NODES.filter((node) => node !== first);
  await site.node(second).rsconfigWell('app', 'start', 'two');
  await runsOf('two', [second]);
  kill(site.node(first), 'SIGSTOP');
  const rsiod = site.node(second).pid('rsiod');
  process.kill(rsiod, 'SIGSTOP');
  await Promise.all([runs(third), runsOf('two', [third])]);
  kill(site.node(first), 'SIGCONT');
  await waitFor(async () => (await viewAt(first)).on === third && !isWriting(first), WAIT_MS, 'The frozen node has cleaned up');
  await waitFor(() => !isWriting(second), WAIT_MS, 'The service of the hanging rsiod is stopped');
  process.kill(rsiod, 'SIGCONT');
  await waitFor(async () => (await viewAt(second, 'two')).on === third, WAIT_MS, 'The node sees who has it');
  await compared(third, 'two');
});

function isWriting(node: string): boolean {
  return site
    .node(node)
    .processes()
    .some((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('app-writer.js');
      } catch {
        return false;
      }
    });
}

it('a service that breaks is restarted, then moved, and stopped if it is broken everywhere', { timeout: TEST_MS }, async (context) => {
  context.skip(!canRun(), 'needs root, perl and control groups of version 2');
  const first = await runs(...NODES);
  writeFileSync(broken(first), '');
  const second = await runs(...NODES.filter((node) => node !== first));
  for (const node of NODES) writeFileSync(broken(node), '');
  // A node that gives the application up records this first, and still has the application until its service has ended.
  const isStopped = async (): Promise<boolean> => {
    const { state, on } = await viewAt(second);
    return state === 'stopped' && on === null;
  };
  await waitFor(isStopped, 2 * WAIT_MS, 'It is stopped on all nodes').catch(async (error: Error) => {
    throw new Error(`${error.message}\n${NODES.map((node) => logOf(node)).join('\n')}`);
  });
  for (const node of NODES) rmSync(broken(node));
  await site.node(second).rsconfigWell('app', 'start', 'log');
  await runs(second);
  await site.node(second).rsconfigWell('app', 'stop', 'log');
  await site.node(second).rsconfigWell('app', 'disable', 'log');
});

it('what is stopped, disabled or drained stays so, also after a restart of all', { timeout: TEST_MS }, async (context) => {
  context.skip(!canRun(), 'needs root, perl and control groups of version 2');
  const [a, b] = [site.node('a'), site.node('b')];
  await waitFor(async () => (await viewAt('b')).on === null, WAIT_MS, 'It is free');
  expect((await b.rsconfig('app', 'start', 'log')).stderr).toContain('log is disabled');
  const restarted = async (node: string): Promise<void> => {
    kill(site.node(node), 'SIGKILL');
    await site.node(node).start('rsiod');
    await startApps(site.node(node));
  };
  await Promise.all(NODES.map(restarted));
  const before = reported().length;
  await waitFor(async () => (await viewAt('a')).state === 'disabled' && (await viewAt('c')).state === 'disabled', WAIT_MS, 'They know it');
  await b.rsconfigWell('app', 'enable', 'log');
  await a.rsconfigWell('node', 'drain');
  expect(reported().length).toBe(before);
  await b.rsconfigWell('app', 'start', 'log');
  await runs('b');
  await b.rsconfigWell('node', 'drain');
  await runs('c');
  for (const host of [a, b]) await host.rsconfigWell('node', 'drain', '--end');
  await compared('c');
  mkdirSync(site.servers[0]!.file('done'), { recursive: true });
});
