// A file is truncated while rssrv serves it, and a program uses the volume over NBD. The I/O of the program waits until the administrator
// restores the content and reloads, even over a restart of rssrv. The program never reads zeros in place of its data.
// files/file-backend.test.ts tests which I/O detects the truncation. Rules: N5 in docs/GUARANTEES.md.

import { closeSync, copyFileSync, openSync, statSync, truncateSync, writeSync } from 'node:fs';
import { expect, it } from 'vitest';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { startPair } from '../support/hosts/pair.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const hosts = useHosts();
const MIB = 1 << 20;
const WAIT_MS = 20_000;

it(
  'a file that was truncated while it was served never gives zeros for data',
  async () => {
    const { client, server } = await startPair(hosts, (host) => ({ oracle: { path: host.file('oracle.img'), size: '8m' } }));
    await client.rsconfigWell('-a', 'oracle');
    const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
    hosts.onClean(() => nbd.close());
    const data = Buffer.alloc(MIB, 0x55);
    for (const mib of [0, 3, 6]) await nbd.write(mib * MIB, data);
    await nbd.flush();
    const [file, copy] = [server.file('oracle.img'), server.file('copy.img')];
    copyFileSync(file, copy);
    const { size } = statSync(file);
    truncateSync(file, MIB);
    // A write behind the lost part, as of another client of a shared volume, makes the file longer again. The read follows at once.
    const behind = openSync(file, 'r+');
    writeSync(behind, data, 0, MIB, 6 * MIB);
    closeSync(behind);
    let read: Buffer | null = null;
    const reading = nbd.read(3 * MIB, MIB).then((found) => (read = found));
    await waitFor(() => server.log('rssrv').includes('was truncated to'), WAIT_MS, 'The server has noticed');
    await server.stop('rssrv');
    await server.start('rssrv');
    await waitFor(() => client.log('rsiod').includes('and a client holds it'), WAIT_MS, 'The client knows why it waits');
    expect([read, statSync(file).size < size]).toEqual([null, true]);
    copyFileSync(copy, file);
    process.kill(server.pid('rssrv'), 'SIGHUP');
    expect((await reading).equals(data)).toBe(true);
    await nbd.write(7 * MIB, data);
    await nbd.flush();
    for (const mib of [0, 3, 6, 7]) expect((await nbd.read(mib * MIB, MIB)).equals(data)).toBe(true);
  },
  4 * WAIT_MS,
);
