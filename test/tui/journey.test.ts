// The journey of docs/TUTORIAL.md in crsio, with the keyboard alone: from a server without a pool to volumes that a client uses, changes,
// copies and gives back. What has a form of its own in crsio is done there, and the rest on the pages of all operations. After each step,
// the daemons say the outcome. walk.test.ts makes the file of the client, with which the tutorial begins.

import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { needTool } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { SCREEN_DEADLINE_MS, TmuxTerminal } from './tmux-terminal.ts';

const MIB = 1024 ** 2;
/** The move of so much at 512k in a second lasts longer than the steps that limit and cancel it. */
const WRITTEN_BYTES = 32 * MIB;
const [START, SERVER, CLIENT] = ['RSIO on this machine', 'RSIO server big-9', 'RSIO client'];
/** No page of crsio has more lines that can be chosen above the one that a step looks for. */
const DOWNS_MAX = 30;

const hosts = useHosts();
let host: Host;
let terminal: TmuxTerminal;

beforeEach(async (context) => {
  needTool(context, 'tmux', 'tmux');
  host = hosts.host();
  const network = await hosts.network(2);
  host.writeConfig('rssrv', serverConfig(network, { volumes: {} }));
  host.writeConfig('rsiod', clientConfig(network));
  await host.start('rssrv');
  await host.start('rsiod');
  await host.pathsUp(2);
  terminal = await TmuxTerminal.start(host);
  await terminal.sees('> Server ');
});

/** Returns the selected line of the popup, or else of the page. */
async function marked(): Promise<string> {
  const lines = (await terminal.screen()).split('\n');
  const inPopup = lines.flatMap((line) => /.│ > ([^│]*)/.exec(line)?.[1] ?? []);
  return inPopup[0] ?? lines.flatMap((line) => /^│ > (.*)/.exec(line)?.[1] ?? [])[0] ?? '';
}

/** Selects the line that begins with the text, and presses Enter. Waits for the line, because daemons fill some pages; it may be below. */
async function choose(line: string): Promise<void> {
  await terminal.sees(new RegExp(`${line}|↓│$`, 'm'));
  for (let downs = 0; downs < DOWNS_MAX; downs++) {
    const before = await marked();
    if (before.replace(/^[-+!] /, '').startsWith(line)) return terminal.press('Enter');
    await terminal.press('Down');
    await waitFor(async () => (await marked()) !== before, SCREEN_DEADLINE_MS, `Another line than ${before}`);
  }
  throw new Error(`No line ${line}:\n${await terminal.screen()}`);
}

/** Goes back until the page with this title is on top. Each Escape arrives alone, because two in one read count as one. */
async function backTo(title: string): Promise<void> {
  for (let screen = await terminal.screen(); !screen.includes(`─ ${title}`); screen = await terminal.screen()) {
    await terminal.press('Escape');
    await waitFor(async () => (await terminal.screen()) !== screen, SCREEN_DEADLINE_MS, 'Escape goes back');
  }
}

async function fill(...texts: readonly string[]): Promise<void> {
  await terminal.sees(/^│ > \S+ .*\[/m);
  for (const [index, text] of texts.entries()) {
    if (index > 0) await terminal.press('Tab');
    await terminal.type(text);
  }
  await terminal.press('PageDown', 'Enter');
}

/** Orders an operation on the page of all operations, and returns its answer. */
async function operate(menu: string, name: string, isChange: boolean, ...texts: readonly string[]): Promise<string> {
  await backTo(menu);
  await choose('All operations');
  await terminal.sees('All operations of');
  await terminal.type(name);
  await terminal.sees(`Only with: ${name}`);
  await choose(`${name} `);
  if (texts.length > 0) await fill(...texts);
  if (isChange) await choose('Do it');
  return terminal.sees(`Answer to ${name}`);
}

async function json<T>(program: 'rsadm' | 'rsconfig', ...args: readonly string[]): Promise<T> {
  const printed = program === 'rsadm' ? await host.rsadmWell(...args, '--json') : await host.rsconfigWell(...args, '--json');
  return JSON.parse(printed) as T;
}

async function volumesNamed(): Promise<readonly string[]> {
  const { volumes } = await json<{ volumes: { name: string }[] }>('rsadm', 'volume', 'list');
  return volumes.map(({ name }) => name).toSorted();
}

async function jobs(): Promise<readonly { readonly state: string }[]> {
  return (await json<{ jobs: readonly { state: string }[] }>('rsadm', 'jobs')).jobs;
}

async function snapshots(volume = 'oracle'): Promise<readonly string[]> {
  const shown = await json<{ snapshots: readonly { snapshot: string }[] }>('rsadm', 'volume', 'show', volume);
  return shown.snapshots.map(({ snapshot }) => snapshot).toSorted();
}

async function attached(): Promise<unknown> {
  return (await json<{ attachments: unknown }>('rsconfig', '-l')).attachments;
}

async function addPool(name: string, folder: string): Promise<void> {
  await backTo(SERVER);
  await choose('Pools');
  await choose('Add pool');
  await fill(name, folder);
  await terminal.sees(`pool ${name} is added`);
  const { pools } = await json<{ pools: readonly object[] }>('rsadm', 'pool', 'list');
  expect(pools).toContainEqual(expect.objectContaining({ name, path: folder, state: 'ready' }));
  await backTo(SERVER);
}

/** Adds the pool fast in the folder, and creates the volume oracle in it. Begins on the start page, and ends on the menu. */
async function makeVolume(folder: string): Promise<void> {
  await choose('Server');
  await terminal.sees(SERVER);
  await addPool('fast', folder);
  await choose('Create volume');
  await fill('oracle', '64m');
  await terminal.sees('oracle@0 created in pool fast');
  expect(await json('rsadm', 'volume', 'show', 'oracle')).toMatchObject({ volume: { pool: 'fast', sizeBytes: 64 * MIB } });
  await backTo(SERVER);
}

/** Attaches or detaches the volume oracle on the page Status of the client. Begins and ends on the menu of the server. */
async function use(isAttaching: boolean): Promise<void> {
  await backTo(START);
  await choose('Client');
  await choose('Status');
  await choose('osl:oracle@0');
  if (!isAttaching) await choose('Detach osl:oracle@0');
  await terminal.sees(`osl:oracle@0 ${isAttaching ? 'attached' : 'detached'}`);
  await backTo(START);
  await choose('Server');
  await backTo(SERVER);
}

it('a volume is created, used, grown, limited, renamed, removed, restored and given back', async () => {
  const folder = path.dirname(host.file('fast/x'));
  mkdirSync(folder, { recursive: true });
  await makeVolume(folder);
  await use(true);
  expect(await attached()).toMatchObject([{ name: 'oracle', universe: 0, readonly: false }]);

  await choose('Volumes');
  await choose('oracle@0');
  await choose('Grow');
  await fill('128m');
  await terminal.sees('oracle@0 now has 128.0M');
  const answer = await operate(SERVER, 'volume-set', true, 'oracle', '', 'iops=5000 bandwidth=100m');
  expect(answer).toContain('Answer to volume-set');
  expect(await json('rsadm', 'volume', 'show', 'oracle')).toMatchObject({
    volume: { sizeBytes: 128 * MIB, limits: { iops: 5_000, bytesPerSecond: 100 * MIB } },
  });

  await backTo(SERVER);
  await choose('Create volume');
  await fill('tvol9', '32m');
  await terminal.sees('tvol9@0 created');
  await choose('Rename');
  await fill('scratch');
  await terminal.sees('tvol9@0 is now scratch@0');
  expect(await volumesNamed()).toEqual(['oracle', 'scratch']);
  await terminal.press('F8');
  await choose('Remove volume scratch@0');
  await terminal.sees('scratch@0 removed');
  expect(await volumesNamed()).toEqual(['oracle']);
  await operate(SERVER, 'volume-restore', true, 'scratch');
  expect(await volumesNamed()).toEqual(['oracle', 'scratch']);

  expect(await operate(SERVER, 'audit', false, '', '', 'oracle')).toContain('volume-create');
  await backTo(SERVER);
  await use(false);
  expect(await attached()).toEqual([]);
  await backTo(START);
  await choose('Client');
  await operate(CLIENT, 'attach', true, 'oracle', 'true');
  expect(await attached()).toMatchObject([{ name: 'oracle', readonly: true }]);
  await operate(CLIENT, 'detach', true, '[]');
  expect(await attached()).toEqual([]);
  await terminal.press('F10');
  await terminal.ended(0);
});

it('a snapshot is made under use and becomes a volume, the volume is rolled back to it, and a job moves it', async (context) => {
  const disk = reflinkDisk(hosts, host, context);
  const [fast, slow] = [path.join(disk, 'fast'), path.join(disk, 'slow')];
  mkdirSync(fast);
  mkdirSync(slow);
  await makeVolume(fast);
  await use(true);
  const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/oracle');
  const first = randomBytes(WRITTEN_BYTES);
  await nbd.write(0, first);
  await nbd.flush();

  await choose('Volumes');
  await choose('oracle@0');
  await choose('Snapshots');
  await choose('Make a snapshot');
  await fill('monday');
  await terminal.sees('Snapshot oracle@0@monday made');
  expect(await snapshots()).toEqual(['monday']);
  await nbd.write(0, randomBytes(MIB));
  await nbd.flush();
  nbd.close();
  await choose('monday');
  await choose('Make a volume of it');
  await fill('tvol9');
  await terminal.sees('tvol9@0 created with the content of oracle@0@monday');
  expect(await json('rsadm', 'volume', 'show', 'tvol9')).toMatchObject({ volume: { sizeBytes: 64 * MIB, pool: 'fast' } });

  await backTo(SERVER);
  await use(false);
  await choose('Volumes');
  await choose('oracle@0');
  await choose('Snapshots');
  await choose('monday');
  await choose('Roll the volume back');
  await choose('Roll oracle@0 back to monday');
  await terminal.sees('before-rollback');
  expect(await snapshots()).toEqual([expect.stringMatching(/^before-rollback-/), 'monday']);
  await operate(SERVER, 'volume-snapshot', true, 'tvol9@evening');
  expect(await snapshots('tvol9')).toEqual(['evening']);

  await addPool('slow', slow);
  await operate(SERVER, 'volume-move', true, 'oracle', '', '', 'slow', '256k');
  await backTo(SERVER);
  await choose('Work in progress');
  await choose('move');
  await choose('Limit its rate');
  await fill('512k');
  await terminal.sees('copies at most 512.0K in a second');
  expect(await jobs()).toMatchObject([{ kind: 'move', state: 'running', limitBytes: MIB / 2 }]);
  await choose('Cancel');
  await choose('Cancel job');
  await terminal.sees('is being cancelled');
  await waitFor(async () => (await jobs())[0]?.state === 'cancelled', SCREEN_DEADLINE_MS, 'The job is cancelled');
  expect(await json('rsadm', 'volume', 'show', 'oracle')).toMatchObject({ volume: { pool: 'fast' } });
  await operate(SERVER, 'volume-move', true, 'oracle', '', '', 'slow');
  await waitFor(async () => (await jobs()).some(({ state }) => state === 'done'), SCREEN_DEADLINE_MS, 'The volume is moved');
  expect(await json('rsadm', 'volume', 'show', 'oracle')).toMatchObject({ volume: { pool: 'slow' } });
  expect(await operate(SERVER, 'job-list', false, '')).toContain('name: oracle');

  await backTo(SERVER);
  await use(true);
  const again = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/oracle');
  expect((await again.read(0, MIB)).equals(first.subarray(0, MIB))).toBe(true);
  again.close();
});
