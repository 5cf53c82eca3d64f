// Orders that attach a volume for their own work, while rsiod attaches the same volume again after a kill, with one process and with data
// processes: a restore never writes to a volume that somebody here wants, the end of an order never detaches it, and an order that is killed
// leaves nothing attached. A person, an application and the CSI driver each end what they have, and not what others have. Rules: G50.

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { holdControl } from '@rsio/api/rsiod/call-rsiod';
import { systemClock } from '@rsio/base/lib/clock';
import { RsiodSight } from '@rsio/rsapp/sight/rsiod-sight';
import { NUMBER_VARIABLE } from '@rsio/rsiod/processes/spawn';
import { expect, it } from 'vitest';
import { startClient } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { startPair } from '../support/hosts/pair.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { needTool, run, wellOf } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { loopbackMirrorPlaces, MirrorSite } from '../support/scenes/mirror-site.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 4 * MIB;
const SOON_MS = 30_000;
const TEST_MS = 240_000;
const RUNS = Number(process.env['RUNS'] ?? 4);

const hosts = useHosts();

async function opened(host: Host, name: string): Promise<NbdIo> {
  const nbd = await waitFor(() => NbdIo.open(host.rsiodPaths.nbdSocket, name), SOON_MS, `${name} can be opened`);
  hosts.onClean(() => nbd.close());
  return nbd;
}

/** What is attached: the names that people see, and those that only orders have. */
async function attached(host: Host): Promise<{ readonly lasting: string[]; readonly all: string[] }> {
  const [lasting, all] = [await host.call('local', {}), await host.call('local', { orders: true })];
  return { lasting: lasting.attachments.map(({ name }) => name), all: all.attachments.map(({ name }) => name) };
}

function dataProcesses(host: Host): number[] {
  const isData = (pid: number): boolean => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`${NUMBER_VARIABLE}=`);
    } catch {
      return false;
    }
  };
  return host.processes().filter(isData);
}

const order = { name: 'oracle', readOnly: false, server: null, alone: true, what: 'a test' };

it.for([
  ['one process', '1', 'rsiod'],
  ['two data processes', '2', 'rsiod'],
  ['two data processes, which are killed alone', '2', 'data'],
] as const)(
  'a restore never overwrites a volume that is being attached again after a kill: %s',
  { timeout: TEST_MS },
  async ([, processes, killed], context) => {
    needTool(context, 'qemu-img', 'qemu-utils');
    const { client } = await startPair(hosts, (host) => ({ oracle: { path: host.file('oracle.img'), size: String(SIZE_BYTES) } }), {
      defaults: { processes },
    });
    const file = client.file('db@monday.qcow2');
    writeFileSync(client.file('raw'), randomBytes(SIZE_BYTES));
    wellOf('qemu-img', await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', client.file('raw'), file]));
    await client.rsconfigWell('-a', 'oracle');
    const content = randomBytes(MIB);
    const first = await opened(client, 'osl/oracle');
    await first.write(0, content);
    await first.flush();
    const codes: string[] = [];
    for (let round = 1; round <= RUNS; round++) {
      let isBack = false;
      if (killed === 'rsiod') await client.kill('rsiod');
      else for (const pid of dataProcesses(client)) process.kill(pid, 'SIGKILL');
      const started = killed === 'rsiod' ? client.start('rsiod') : Promise.resolve();
      const back = started.then(() => waitFor(async () => (await attached(client)).lasting.includes('oracle'), SOON_MS, 'it is back'));
      void back.then(() => (isBack = true));
      // Orders come at any moment of the start, and once more when it is over.
      while (!isBack || !codes.some((one) => one.startsWith(`${round} `))) {
        const { code, stderr } = await client.rsconfig('restore', file, 'oracle', '--yes', '--unproven');
        expect(code, stderr).not.toBe(0);
        codes.push(`${round} ${/\[(E_\w+)\]/.exec(stderr)?.[1] ?? stderr}`);
      }
      await back;
      expect((await client.rsconfig('restore', file, 'oracle', '--yes', '--unproven')).stderr).toContain('detach it first (rsconfig -d');
      expect(await attached(client)).toEqual({ lasting: ['oracle'], all: ['oracle'] });
      const nbd = await opened(client, 'osl/oracle');
      expect((await nbd.read(0, MIB)).equals(content), `round ${round}`).toBe(true);
      nbd.close();
    }
    expect(codes.some((one) => one.includes('E_IN_USE'))).toBe(true);
    await client.rsconfigWell('-d', 'oracle');
    await client.rsconfigWell('restore', file, 'oracle', '--yes', '--unproven');
    expect(await attached(client)).toEqual({ lasting: [], all: [] });
  },
);

it.each(['1', '2'])(
  'a snapshot of a mirror that is being attached again after a kill leaves it attached: processes = %s',
  async (processes) => {
    const places = await loopbackMirrorPlaces(hosts);
    const site = await MirrorSite.start(places, { poolParent: places.client.root, defaults: { processes } }, (action) =>
      hosts.onClean(action),
    );
    const { client } = site;
    await site.addMirror('db', SIZE_BYTES);
    for (let round = 1; round <= RUNS; round++) {
      await client.kill('rsiod');
      let isBack = false;
      const back = client.start('rsiod').finally(() => (isBack = true));
      let number = 0;
      // Without reflinks, servers refuse the snapshot itself; what counts is that the order has attached the mirror and ends.
      while (!isBack || number === 0) await client.rsconfig('volume', 'snapshot', `db@r${round}-${number++}`);
      await back;
      await waitFor(async () => (await attached(client)).lasting.includes('db'), SOON_MS, `db is attached again, round ${round}`);
      await client.rsconfig('volume', 'snapshot', `db@r${round}-last`);
      expect(await attached(client)).toEqual({ lasting: ['db'], all: ['db'] });
    }
  },
  TEST_MS,
);

it.each(['1', '2'])(
  'an order whose command or rsiod is killed leaves nothing attached, and no hold: processes = %s',
  async (processes) => {
    const { client, server, network } = await startPair(
      hosts,
      (host) => ({ oracle: { path: host.file('oracle.img'), size: String(SIZE_BYTES) } }),
      { defaults: { processes } },
    );
    const holder = async (): Promise<string> => /holder: (\S+)/.exec(await client.rsconfigWell('-qvv'))?.[1] ?? '';
    const held = await holdControl(client.rsiodPaths.controlSocket, 'order-attach', order, {});
    expect(held.result.outcome.error).toBe(null);
    expect(await attached(client)).toEqual({ lasting: [], all: ['oracle'] });
    expect((await client.rsconfig('-a', 'oracle')).stderr).toContain('a test overwrites it now');
    // A program that the command has left goes on writing, and gets errors.
    const orphan = await opened(client, 'osl/oracle');
    await orphan.write(0, Buffer.alloc(512, 1));
    held.close();
    await waitFor(async () => (await attached(client)).all.length === 0, SOON_MS, 'the order has ended');
    await expect(orphan.write(0, Buffer.alloc(512, 2))).rejects.toThrow();
    await waitFor(async () => (await holder()) === '-', SOON_MS, 'the server keeps no hold');

    const again = await holdControl(client.rsiodPaths.controlSocket, 'order-attach', order, {});
    expect(again.result.outcome.error).toBe(null);
    await client.kill('rsiod');
    await client.start('rsiod');
    await waitFor(async () => (await holder()) === '-', SOON_MS, 'the next rsiod has closed it');
    expect(await attached(client)).toEqual({ lasting: [], all: [] });
    again.close();
    const other = hosts.host();
    await startClient(other, network, { node: 'venus', client: 1 });
    await other.rsconfigWell('-a', 'oracle');
    expect(server.processes().length).toBeGreaterThan(0);
  },
  TEST_MS,
);

it.each(['1', '2'])(
  'each of a person, an application, the CSI driver and an order ends its own attachment, across kills: processes = %s',
  async (processes) => {
    const { client } = await startPair(hosts, (host) => ({ oracle: { path: host.file('oracle.img'), size: String(SIZE_BYTES) } }), {
      defaults: { processes },
    });
    const sight = new RsiodSight(client.rsiodPaths.controlSocket, systemClock);
    const csi = { names: ['oracle'], readOnly: false, server: null, take: 'no', owner: 'csi' } as const;
    const wants = {
      person: () => client.rsconfigWell('-a', 'oracle'),
      app: () => sight.attach('oracle', false, 'pg'),
      csi: () => client.call('attach', csi),
    };
    const ends = {
      person: () => client.rsconfigWell('-d', 'oracle'),
      app: () => sight.detach('oracle', 'pg'),
      csi: () => client.call('detach', { names: ['oracle'], force: false, owner: 'csi' }),
    };
    const again = async (): Promise<void> => {
      await client.kill('rsiod');
      await client.start('rsiod');
      await waitFor(async () => (await attached(client)).lasting.includes('oracle'), SOON_MS, 'it is attached again');
    };
    for (const [first, second] of [
      ['person', 'app'],
      ['person', 'csi'],
      ['app', 'csi'],
      ['csi', 'app'],
    ] as const) {
      await wants[first]();
      await wants[second]();
      await again();
      const read = await holdControl(client.rsiodPaths.controlSocket, 'order-attach', { ...order, alone: false }, {});
      expect((await client.rsconfig('-d', 'oracle')).stderr).toContain('a test');
      // An application says why no other node can have its volume.
      await ends[second]().catch((thrown: unknown) => expect(String(thrown)).toContain('osl:oracle@0 stays attached here'));
      expect((await attached(client)).lasting, `${second} ends, ${first} stays`).toEqual(['oracle']);
      read.close();
      await again();
      await ends[first]();
      expect(await attached(client), first).toEqual({ lasting: [], all: [] });
    }
    await wants.app();
    await wants.csi();
    // A person decides for all, as long as nothing uses the volume.
    await ends.person();
    expect(await attached(client)).toEqual({ lasting: [], all: [] });
  },
  TEST_MS,
);
