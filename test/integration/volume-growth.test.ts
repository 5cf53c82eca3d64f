// Volumes that are added, removed and grown, as the client sees them. The tests check the output of the client's commands and the size that
// a new NBD connection gets, and expect that I/O on all volumes continues. volume-reload.test.ts tests which changes the server accepts and
// refuses. Rules: G13.

import { expect, it } from 'vitest';
import { clientConfig, serverConfig, type ServerConfigOptions } from '../support/hosts/configs.ts';
import { startFio } from '../support/io/fio.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { needFio } from '../support/programs/programs.ts';
import { untilWriting, verifiedAndEnded } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';

type Sections = ServerConfigOptions['volumes'];

const RELOAD_MS = 10_000;
/** The client knows a new size within this time after the server was told to reload. */
const KNOWN_MS = 1_000;
const MIB = 1 << 20;
const TEST_MS = 200_000;

const hosts = useHosts();

interface Scene {
  readonly host: Host;
  readonly write: (volumes: Sections) => void;
  /** Writes the file, sends SIGHUP, and returns all log lines about it. */
  readonly reload: (volumes: Sections) => Promise<string>;
}

/** Starts both daemons on one host, and attaches the volumes `attached`. */
async function scene(volumes: Sections, ...attached: readonly string[]): Promise<Scene> {
  const [host, network] = [hosts.host(), await hosts.network(2)];
  const write = (next: Sections): void => host.writeConfig('rssrv', serverConfig(network, { volumes: next }));
  write(volumes);
  await host.start('rssrv');
  host.writeConfig('rsiod', clientConfig(network));
  await host.start('rsiod');
  await host.pathsUp(network.subnets.length);
  await host.rsconfigWell('-a', ...attached);
  const reload = (next: Sections): Promise<string> => {
    write(next);
    return hangUp(host);
  };
  return { host, write, reload };
}

async function hangUp(host: Host): Promise<string> {
  const outcomes = (): number => (host.log('rssrv').match(/^Reload refused|^Reload: (?!.*\[E_)/gm) ?? []).length;
  const [before, count] = [host.log('rssrv').length, outcomes()];
  process.kill(host.pid('rssrv'), 'SIGHUP');
  await waitFor(() => outcomes() > count, RELOAD_MS, 'The reload has ended');
  return host.log('rssrv').slice(before);
}

async function nbdSize(host: Host, name: string): Promise<number> {
  const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, name);
  nbd.close();
  return nbd.sizeBytes;
}

it(
  'growth under I/O reaches new NBD connections within a second, shows in -l and -q, and is never undone',
  async (context) => {
    needFio(context);
    const keys = (host: Host, size: string): Sections => ({ oracle: { path: host.file('oracle.img'), size } });
    const first = hosts.host();
    const { host, write, reload: change } = await scene(keys(first, '64m'), 'oracle');
    const old = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/oracle');
    hosts.onClean(() => old.close());
    const fio = startFio(host, 'osl/oracle', { size: '48m', verifyBacklog: 64 });
    await untilWriting(host, 'osl:oracle@0', fio);
    await expect(old.read(64 * MIB, 4096)).rejects.toThrow(/Errno/);
    for (let mib = 65; mib <= 74; mib++) {
      expect(await change(keys(first, `${mib}m`))).toContain(`Volume oracle has grown from ${(mib - 1) * MIB} to ${mib * MIB} bytes`);
      await waitFor(async () => (await nbdSize(host, 'osl/oracle')) === mib * MIB, KNOWN_MS, 'A new NBD connection knows the size');
      const anew = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/oracle');
      await anew.verify(mib * MIB - 65536, 65536);
      anew.close();
    }
    // The server announced the old size to this connection, but the connection can also use blocks beyond this size.
    expect(old.sizeBytes).toBe(64 * MIB);
    await old.verify(50 * MIB, 4096);
    const blocks = (74 * MIB) / 512;
    expect(await host.rsconfigWell('-lvv')).toContain(`${blocks} blocks`);
    expect(await host.rsconfigWell('-q')).toContain(`${blocks} blocks of`);
    expect(await change(keys(first, '64m'))).toMatch(/smaller size, 67108864 instead of 77594624 bytes/);
    expect(await nbdSize(host, 'osl/oracle')).toBe(74 * MIB);
    expect((await verifiedAndEnded(host, 'osl:oracle@0', fio)).verifyReads).toBeGreaterThan(0);
    const { events } = await host.call('events', { count: 100 });
    expect(events.filter(({ object, to }) => object === 'volume osl:oracle@0' && to === `${74 * MIB} bytes`)).toHaveLength(1);
    // The server returns with a smaller size of the volume. A client that knows the larger size does not see the volume shrink; its I/O
    // waits.
    await host.stop('rssrv');
    write(keys(first, '16m'));
    await host.start('rssrv');
    const why = `Volume oracle: size is less than the ${74 * MIB} bytes served before, and a client holds it: set size = ${74 * MIB}`;
    await waitFor(() => host.log('rsiod').includes(why), RELOAD_MS, 'The client knows why it waits');
    const waiting = old.verify(60 * MIB, 4096);
    expect(await change(keys(first, '74m'))).toContain('volume oracle is served');
    await waiting;
    expect(await nbdSize(host, 'osl/oracle')).toBe(74 * MIB);
  },
  TEST_MS,
);

it(
  '50 reloads in a row add, remove and grow volumes, and do not affect I/O on another volume',
  async (context) => {
    needFio(context);
    const files = hosts.host();
    const quiet = { path: files.file('quiet.img'), size: '64m' };
    const { host, reload: change } = await scene({ quiet, grows: { type: 'memory', size: '1m' } }, 'quiet');
    const fio = startFio(host, 'osl/quiet', { size: '48m', verifyBacklog: 64 });
    await untilWriting(host, 'osl:quiet@0', fio);
    for (let round = 1; round <= 50; round++) {
      const comes = {
        [`file${round}`]: { path: files.file(`file${round % 7}.img`), size: '2m' },
        [`null${round}`]: { type: 'null', size: '1t' },
      };
      const said = await change({ ...comes, quiet, grows: { type: 'memory', size: `${1 + round}m` } });
      expect(said).not.toContain('refused');
      expect(said).not.toContain('nothing has changed');
    }
    const names = async (): Promise<string[]> =>
      ((await host.rsconfigWell('-q')).match(/^ {6}0 {2}\S+/gm) ?? []).map((line) => line.slice(9));
    await waitFor(async () => (await names()).includes('null50'), KNOWN_MS, 'The client has the last list');
    expect((await names()).toSorted()).toEqual(['file50', 'grows', 'null50', 'quiet']);
    await host.rsconfigWell('-a', 'grows', 'file50');
    expect(await nbdSize(host, 'osl/grows')).toBe(51 * MIB);
    const refused = await change({ quiet });
    expect(refused).toMatch(/Section \[volume grows\] was removed, but node big-2 at .*rsconfig -d grows/);
    await host.rsconfigWell('-d', 'grows', 'file50');
    expect(await change({ quiet })).not.toContain('refused');
    // The volume quiet was served all the time, and the I/O on it continues.
    const { verifyReads, slowestMs } = await verifiedAndEnded(host, 'osl:quiet@0', fio);
    expect(verifyReads).toBeGreaterThan(0);
    expect(slowestMs).toBeLessThan(5_000);
    const { paths } = await host.call('stats', {});
    expect(paths.map(({ deaths }) => deaths)).toEqual([0, 0]);
  },
  TEST_MS,
);
