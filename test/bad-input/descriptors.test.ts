// Daemons that have reached their limit of open files: a refusal names the remedy, and open connections and volumes continue. Once
// descriptors are free again, the daemon admits every client without a restart.

import { readdirSync } from 'node:fs';
import { afterEach, beforeAll, expect, it, onTestFinished } from 'vitest';
import { serverConfig } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { needTool, runWell } from '../support/programs/programs.ts';
import { Scene } from '../support/scenes/scene.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const REMEDY = 'raise the limit of open files (ulimit -n, or LimitNOFILE= in its unit) and restart the program';
const USUAL_LIMIT = 1024;
const TIGHTEN_MS = 20;
/** A process with a limit cannot accept this many connections, even if it closed some descriptors while the limit was set. */
const SILENT_MAX = 64;
const NO_FILES = 'cannot open files or accept connections (EMFILE): raise the limit';

const ignore = (): void => undefined;
const hosts = useHosts('file');
let scene: Scene;

beforeAll(async () => {
  scene = await Scene.begin(hosts);
});

afterEach(async () => {
  await scene.wellBehaved();
  await scene.servesNewcomers();
});

/**
 * Limits the process to `more` further descriptors. Returns a function that restores the limit. The kernel limits the descriptor numbers.
 * If the process closes a descriptor above the limit, it therefore cannot open another one in its place.
 */
async function limit(pid: number, more: number): Promise<() => Promise<unknown>> {
  const set = (files: number): Promise<string> => runWell('prlimit', [`--pid=${pid}`, `--nofile=${files}:`]);
  let bound = boundFor(pid, more);
  await set(bound);
  // The limit is restored even if the test fails, so that the next test can use the process.
  onTestFinished(() => set(USUAL_LIMIT).then(ignore, ignore));
  if (more > 0) return () => set(USUAL_LIMIT);
  let tightening = Promise.resolve();
  const timer = setInterval(() => {
    const next = boundFor(pid, 0);
    if (next >= bound) return;
    bound = next;
    tightening = tightening.then(async () => void (await set(next)));
  }, TIGHTEN_MS);
  onTestFinished(() => clearInterval(timer));
  return async () => {
    clearInterval(timer);
    await tightening;
    return set(USUAL_LIMIT);
  };
}

/** Returns the least limit below which `more` descriptor numbers are free. */
function boundFor(pid: number, more: number): number {
  const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let bound = 0;
  for (let free = 0; free < more || open.has(bound); bound++) if (!open.has(bound)) free++;
  return bound;
}

it('the listener closes connections or refuses them with the reason, and admits every client again afterwards', async (context) => {
  needTool(context, 'prlimit', 'util-linux');
  const nodes = ['venus', 'mars'];
  const before = scene.host.log('rssrv').length;
  const release = await limit(scene.host.pid('rssrv'), 3);
  const attempt = async (node: string): Promise<string> => {
    const peer = await scene.connect(scene.fromElsewhere(), scene.identity(node));
    try {
      await peer.greet();
      peer.prove(null);
      await peer.welcomedBy(null);
      return 'welcome';
    } catch (error) {
      return String(error);
    } finally {
      peer.close();
    }
  };
  // The first client needs no new process, because it gets the standby process.
  expect(await attempt('venus')).toBe('welcome');
  for (const node of nodes) expect(await attempt(node)).toContain(`The server cannot start a process for a client (EMFILE): ${REMEDY}`);
  await scene.logged(/The server cannot start a process for a client \(EMFILE\): raise the limit/);
  // Silent connections take the remaining descriptors. Even if the listener closes descriptors above its limit meanwhile, it cannot accept
  // further connections.
  await limit(scene.host.pid('rssrv'), 3);
  const log = (): string => scene.host.log('rssrv').slice(before);
  const silent: Awaited<ReturnType<Scene['connect']>>[] = [];
  const isRefused = async (): Promise<boolean> => {
    if (silent.length < SILENT_MAX) silent.push(await scene.connect());
    return log().includes(NO_FILES);
  };
  await waitFor(isRefused, 20_000, `The server says that it ${NO_FILES}`);
  for (const peer of silent) peer.close();
  const isOver = (): boolean => log().lastIndexOf('Connections are accepted again') > log().lastIndexOf(NO_FILES);
  await waitFor(isOver, 20_000, 'The server says that it accepts connections again');
  await release();
  for (const node of nodes) await waitFor(async () => (await attempt(node)) === 'welcome', 5_000, `${node} is let in`);
});

it('rsiod accepts no further NBD connection and no command; what is open continues', async (context) => {
  needTool(context, 'prlimit', 'util-linux');
  const release = await limit(scene.host.pid('rsiod'), 0);
  const { code, stderr } = await scene.host.rsconfig('-q');
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: 'rsconfig: rsiod closed the control connection without an answer: see its log [E_RESET]\n',
  });
  await expect(NbdIo.open(scene.host.rsiodPaths.nbdSocket, 'osl/oracle')).rejects.toThrow('The NBD connection ended');
  await release();
  (await NbdIo.open(scene.host.rsiodPaths.nbdSocket, 'osl/oracle')).close();
});

it('a server process cannot open a volume, and opens it once descriptors are free', async (context) => {
  needTool(context, 'prlimit', 'util-linux');
  const release = await limit(scene.host.worker('big-2'), 0);
  const file = scene.host.file('storage/file.img');
  expect((await scene.host.rsconfig('-a', 'file')).stderr).toBe(
    `rsconfig: osl:file@0: ${file} of volume file cannot be opened (EMFILE): ${REMEDY} [E_VOLUME]\n`,
  );
  await release();
  await scene.host.rsconfigWell('-a', 'file');
  await scene.host.rsconfigWell('-d', 'file');
});

it('a start with more volumes than open files is refused as a whole, and leaves no file behind', async (context) => {
  needTool(context, 'prlimit', 'util-linux');
  const host = hosts.host(['prlimit', '--nofile=64:64']);
  const path = (number: number): string => host.file(`storage/v${number}.img`);
  const volumes = Object.fromEntries(Array.from({ length: 100 }, (_, number) => [`v${number}`, { path: path(number), size: '1m' }]));
  host.writeConfig('rssrv', serverConfig(await hosts.network(1), { volumes }));
  const { code, stderr } = await host.tryStart('rssrv');
  const [warning, error] = stderr.split(/(?<=\n)/);
  expect(warning).toMatch(/^rssrv: Warning: The limit of open files is 64, but .* for 100 volumes: raise it /);
  expect(error).toMatch(/^rssrv: Volume v\d+: .* cannot be created \(EMFILE\): raise the limit of open files .* \[E_VOLUME\]\n$/);
  expect(code).toBe(1);
  expect(host.processes()).toEqual([]);
  expect(readdirSync(`${host.root}/storage`)).toEqual([]);
});
