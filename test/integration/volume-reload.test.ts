// SIGHUP of rssrv with changed [volume] sections, seen from raw sessions: volumes that are added, removed and grown while handles are open,
// refusals that name the affected client, races with OPEN, and a server that is killed during a reload. volume-growth.test.ts tests the
// reaction of rsiod. Rules: G13.

import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { OP } from '@rsio/protocol/wire/frames';
import { FailureAnswer, IdentifyAnswer, IOCTL, ListAnswer, OpenAnswer, OpenRequest, type VolumeEntry } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { beforeEach, describe, expect, it } from 'vitest';
import { keyOf, serverConfig, type ServerConfigOptions } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { RawClient } from '../support/peers/raw-peer.ts';
import { waitFor } from '../support/programs/wait-for.ts';

type Sections = ServerConfigOptions['volumes'];

const RELOAD_MS = 10_000;
const MIB = 1 << 20;
const MIB_SECTORS = MIB / 512;
const REMEDY = /: detach it there first \(rsconfig -d oracle\) and reload again, or take the change back \[E_CONFIG\]/;

const hosts = useHosts();
let host: Host;
let network: TestNetwork;

beforeEach(async () => {
  host = hosts.host();
  network = await hosts.network(2);
});

/** Writes the server's file, by default with only the first interface. */
function write(volumes: Sections, interfaces = 1): void {
  const shown = { ...network, serverAddresses: network.serverAddresses.slice(0, interfaces) };
  host.writeConfig('rssrv', serverConfig(shown, { volumes }));
}

async function start(volumes: Sections): Promise<void> {
  write(volumes);
  await host.start('rssrv');
}

function outcomes(): number {
  return (host.log('rssrv').match(/^Reload refused|^Reload: (?!.*\[E_)/gm) ?? []).length;
}

/** Writes the file, sends SIGHUP, and returns all log lines about it. */
async function reload(volumes: Sections, interfaces = 1): Promise<string> {
  const [before, count] = [host.log('rssrv').length, outcomes()];
  write(volumes, interfaces);
  process.kill(host.pid('rssrv'), 'SIGHUP');
  await waitFor(() => outcomes() > count, RELOAD_MS, 'The reload has ended');
  return host.log('rssrv').slice(before);
}

function login(node = 'big-2'): Promise<RawClient> {
  return RawClient.begin(
    { address: network.serverAddresses[0] ?? '', port: network.port },
    { node, nodekey: keyOf(node), namespaceid: 200 },
  );
}

async function list(client: RawClient): Promise<ListAnswer> {
  const { body } = await client.call({ op: OP.LIST, slot: 9 });
  return ListAnswer.decode(body, 0, body.length);
}

async function volumesOf(client: RawClient): Promise<VolumeEntry[]> {
  return [...(await list(client)).volumes];
}

/** Returns the status of a READ of the last sector of a volume with `mib` MiB. */
async function statusAt(client: RawClient, handle: number, mib: number): Promise<number> {
  return (await client.call({ op: OP.READ, handle, lba: mib * MIB_SECTORS - 1, count: 1 })).handle;
}

const oracle = (size = '1m'): Record<string, string> => ({ path: host.file('oracle.img'), size });
const memory = (size = '1m'): Record<string, string> => ({ type: 'memory', size });

describe('applied while sessions are alive', () => {
  it.each([
    ['file', oracle],
    ['memory', memory],
    ['null', (size?: string) => ({ type: 'null', size: size ?? '1m' })],
  ])('a %s volume grows: the open handle takes the new end at once, the list says so with a higher generation', async (_kind, keys) => {
    await start({ oracle: keys() });
    const client = await login();
    const { handle, sizeBytes } = await client.open('oracle');
    expect([sizeBytes, await statusAt(client, handle, 1), await statusAt(client, handle, 3)]).toEqual([MIB, STATUS.OK, STATUS.PAST_END]);
    expect(await reload({ oracle: keys('3m') })).toContain(`Volume oracle has grown from ${MIB} to ${3 * MIB} bytes`);
    // The line in the log shows only that the listener knows the new size. When the client gets the NOTIFY, the server process also knows
    // it.
    expect((await client.next(({ op }) => op === OP.NOTIFY)).aux).toBeGreaterThan(client.welcome.generation);
    expect(await statusAt(client, handle, 3)).toBe(STATUS.OK);
    expect(await volumesOf(client)).toMatchObject([{ name: 'oracle', sizeBytes: 3 * MIB }]);
    const { body } = await client.call({ op: OP.IOCTL, handle, aux: IOCTL.IDENTIFY });
    expect(IdentifyAnswer.decode(body, 0, body.length).sizeBytes).toBe(3 * MIB);
    if (keys !== oracle) return;
    await client.verify(handle, 3 * MIB_SECTORS - 64, 64);
    expect(await statusAt(client, handle, 4)).toBe(STATUS.PAST_END);
    expect(statSync(host.file('oracle.img')).size).toBe(3 * MIB);
  });

  it('volumes are added and removed without any effect on open ones', async () => {
    await start({ oracle: oracle(), tvol1: memory() });
    const client = await login();
    const { handle } = await client.open('oracle');
    await reload({ oracle: oracle(), tvol2: memory('2m') });
    expect((await volumesOf(client)).map(({ name }) => name)).toEqual(['oracle', 'tvol2']);
    const second = await client.open('tvol2');
    await client.verify(second.handle, 0, 8);
    await client.verify(handle, 0, 8);
    await expect(client.open('tvol1')).rejects.toThrow(/has no volume tvol1 for this client/);
    await client.call({ op: OP.CLOSE, handle: second.handle });
    await reload({ oracle: oracle(), tvol1: memory() });
    await client.open('tvol1');
    await client.verify(handle, 8, 8);
  });

  it('a node that loses its permission no longer sees the volume, and one that gains it does', async () => {
    await start({ oracle: { ...oracle(), clients: 'venus' } });
    const [big2, venus] = [await login(), await login('venus')];
    expect([(await volumesOf(big2)).length, (await volumesOf(venus)).length]).toEqual([0, 1]);
    await reload({ oracle: { ...oracle(), clients: 'big-2' } });
    expect([(await volumesOf(big2)).length, (await volumesOf(venus)).length]).toEqual([1, 0]);
    await expect(venus.open('oracle')).rejects.toThrow(/has no volume oracle/);
    await big2.open('oracle');
  });

  it('a volume that could not be opened at the start is served once it can be, without a change of the file', async () => {
    const folder = path.join(host.root, 'disk');
    const volumes = { oracle: { path: path.join(folder, 'oracle.img'), size: '1m' } };
    write(volumes);
    expect((await host.start('rssrv')).stderr).toContain(`directory ${folder} does not exist`);
    const client = await login();
    await expect(client.open('oracle')).rejects.toThrow(/disk does not exist/);
    expect(await reload(volumes)).toMatch(/disk does not exist[^]*Reload: nothing has changed/);
    mkdirSync(folder);
    await reload(volumes);
    const { handle } = await client.open('oracle');
    await client.verify(handle, 0, 8);
  });
});

it('a failure while removing is reported as a failure, not as a refusal: the new file applies', async () => {
  const id = randomUUID();
  const tvol = { type: 'memory', size: '1m' };
  await start({ oracle: { ...tvol, id }, tvol });
  const client = await login();
  // Replaces the memory file by a folder, because rssrv cannot remove a folder.
  const memory = path.join(host.rssrvPaths.memoryDir, `rsio-${id}`);
  rmSync(memory);
  mkdirSync(memory);
  hosts.onClean(() => rmSync(memory, { recursive: true, force: true }));
  const said = await reload({ tvol });
  expect(said).toMatch(/^Reload: applied, but closing what was removed failed: .+ \[E_\w+\]$/m);
  expect(said).not.toContain('Reload refused');
  expect((await volumesOf(client)).map(({ name }) => name)).toEqual(['tvol']);
  expect(await reload({ tvol, spare: tvol })).not.toContain('Reload: applied, but');
});

describe('refused as a whole', () => {
  it.each<[string, () => Sections, RegExp]>([
    ['gone', () => ({}), /Section \[volume oracle\] was removed, but node big-2 at 127\S+ has held it since /],
    ['elsewhere', () => ({ oracle: { ...oracle(), path: host.file('other.img') } }), /\[volume oracle\] changes path, but node big-2 at/],
    ['shared', () => ({ oracle: { ...oracle('2m'), shared: 'yes' } }), /\[volume oracle\] changes shared, but node big-2 at/],
    ['rights', () => ({ oracle: { ...oracle(), clients: 'venus' } }), /\[volume oracle\] no longer lists a client in use: node big-2 at/],
  ])('%s while it is held: section, holder, remedy; nothing of the file is applied until it is detached', async (_what, next, sentence) => {
    await start({ oracle: oracle() });
    const [client, venus] = [await login(), await login('venus')];
    const { handle } = await client.open('oracle');
    const before = await list(venus);
    const said = await reload({ tvol1: { path: host.file('tvol1.img'), size: '1m' }, ...next() }, 2);
    expect(said).toMatch(sentence);
    expect(said).toMatch(REMEDY);
    expect(said).toContain('Reload refused: the server keeps its current configuration');
    expect(await list(venus)).toEqual(before);
    expect(existsSync(host.file('tvol1.img'))).toBe(false);
    await client.verify(handle, 0, 8);
    expect(client.frames.filter(({ op }) => op === OP.NOTIFY)).toEqual([]);
    // A hold outlives its session.
    client.close();
    expect(await reload({ tvol1: { path: host.file('tvol1.img'), size: '1m' }, ...next() }, 2)).toMatch(sentence);
    const again = await login();
    await again.call({ op: OP.CLOSE, handle: (await again.open('oracle')).handle });
    expect(await reload({ tvol1: { path: host.file('tvol1.img'), size: '1m' }, ...next() }, 2)).not.toContain('refused');
    expect((await volumesOf(venus)).map(({ name }) => name)).toContain('tvol1');
    expect((await list(venus)).interfaces).toHaveLength(2);
  });

  it('a smaller size, or a new volume that cannot be opened: the error names the obstacle, and no interface is opened', async () => {
    await start({ oracle: oracle('2m') });
    const client = await login();
    const before = await list(client);
    expect(await reload({ oracle: oracle('1m') }, 2)).toMatch(
      /Section \[volume oracle\] has a smaller size, 1048576 instead of 2097152 bytes/,
    );
    expect(await reload({ oracle: oracle('2m'), tvol1: { path: '/nowhere/tvol1.img', size: '1m' } }, 2)).toMatch(
      /Reload: Volume tvol1: directory \/nowhere does not exist: create it, or correct path = \[E_VOLUME\]/,
    );
    expect(await list(client)).toEqual(before);
    expect(statSync(host.file('oracle.img')).size).toBe(2 * MIB);
  });
});

it('OPEN and CLOSE race with a file that removes and restores the volume: it is removed only while no client has it', async () => {
  await start({ oracle: oracle() });
  const client = await login();
  let isOver = false;
  let [opened, missing] = [0, 0];
  const racing = (async () => {
    while (!isOver) {
      const answer = await client.call({ op: OP.OPEN, body: OpenRequest.encode({ name: 'oracle', universe: 0, readonly: false }) });
      if (answer.handle === STATUS.OK) {
        opened++;
        const { handle } = OpenAnswer.decode(answer.body, 0, answer.body.length);
        for (let times = 0; times < 20; times++) await client.verify(handle, 0, 8);
        // rssrv serves the volume as long as the hold exists.
        expect((await volumesOf(client)).map(({ name }) => name)).toContain('oracle');
        expect((await client.call({ op: OP.CLOSE, handle })).handle).toBe(STATUS.OK);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
      } else {
        missing++;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
        expect(FailureAnswer.decode(answer.body, 0, answer.body.length).sentence).toMatch(/has no volume oracle/);
      }
    }
  })();
  // `racing` is awaited when the race is over. Until then, a rejection of `racing` must not count as unhandled.
  racing.catch(() => undefined);
  let [gone, refused] = [0, 0];
  for (let round = 0; round < 20; round++) {
    // Each round adds a volume with a new file. The server therefore has work to do between the decision about the change and the end of
    // the change.
    const others = { [`other${round}`]: { path: host.file(`other${round}.img`), size: '1m' } };
    const said = await reload(round % 2 === 0 ? others : { oracle: oracle(), ...others });
    if (said.includes('Reload refused')) refused++;
    else if (round % 2 === 0) gone++;
  }
  isOver = true;
  await racing;
  expect(opened).toBeGreaterThan(0);
  expect(gone + refused).toBeGreaterThanOrEqual(10);
  if (gone === 0) expect(missing).toBe(0);
});

it('after a kill in the middle of a reload, the next start serves what the file says, under the same ids', async () => {
  const kept = { oracle: oracle(), tvol1: { path: host.file('tvol1.img'), size: '1m' } };
  await start(kept);
  const ids = async (): Promise<Record<string, string>> => {
    const client = await login();
    const found = Object.fromEntries((await volumesOf(client)).map(({ name, id }) => [name, id]));
    client.close();
    return found;
  };
  const first = await ids();
  for (let round = 0; round < 6; round++) {
    const next = {
      ...kept,
      [`new${round}`]: { path: host.file(`new${round}.img`), size: '1m' },
      tvol1: { ...kept.tvol1, size: `${round + 2}m` },
    };
    write(next);
    process.kill(host.pid('rssrv'), 'SIGHUP');
    // The moment of the kill varies over the whole duration of the change.
    await new Promise((resolve) => setTimeout(resolve, round * 12));
    await host.kill('rssrv');
    await host.start('rssrv');
    const found = await ids();
    expect(Object.keys(found).toSorted()).toEqual([`new${round}`, 'oracle', 'tvol1']);
    expect({ ...found, ...first }).toEqual(found);
    expect(new Set(Object.values(found)).size).toBe(3);
    expect(() => JSON.parse(readFileSync(host.rssrvPaths.volumesFile, 'utf8')) as unknown).not.toThrow();
    expect(statSync(host.file('tvol1.img')).size).toBe((round + 2) * MIB);
  }
});
