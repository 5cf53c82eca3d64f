// A server restarts and has another file under the name of a held volume, or serves the volume read-only. A program uses the volume over
// NBD. The program's I/O waits, unflushed writes are kept, and no read returns other content. I/O continues once the administrator has
// restored the volume or has declared that the content is the same. volume-held.test.ts of rssrv tests which properties are compared.

import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { killServer } from '../support/faults/machine-crash.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { startPair } from '../support/hosts/pair.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const hosts = useHosts();
const MIB = 1 << 20;
const WAIT_MS = 20_000;

/** Attaches the volume, and writes flushed and unflushed data. */
async function held(): Promise<{ client: Host; server: Host; nbd: NbdIo; flushed: Buffer; unflushed: Buffer }> {
  const { client, server } = await startPair(hosts, (host) => ({ oracle: { path: host.file('oracle.img'), size: '8m' } }));
  await client.rsconfigWell('-a', 'oracle');
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  hosts.onClean(() => nbd.close());
  const [flushed, unflushed] = [Buffer.alloc(MIB, 0x55), Buffer.alloc(MIB, 0x66)];
  await nbd.write(0, flushed);
  await nbd.flush();
  await nbd.write(MIB, unflushed);
  return { client, server, nbd, flushed, unflushed };
}

/** Adds a line to the section of the volume. */
function withLine(server: Host, line: string): void {
  const file = server.rssrvPaths.configFile;
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^\[volume oracle\]\n/m, `[volume oracle]\n${line}\n`));
}

it(
  'another file under the name of a held volume is not read until the administrator declares the same content',
  async () => {
    const { client, server, nbd, flushed, unflushed } = await held();
    await server.stop('rssrv');
    const file = server.file('oracle.img');
    copyFileSync(file, `${file}.copy`);
    renameSync(`${file}.copy`, file);
    await server.start('rssrv');
    const read: Buffer[] = [];
    const reading = nbd.read(0, MIB).then((found) => void read.push(found));
    await waitFor(
      () => client.log('rsiod').includes('is not the file or device that it was last served from'),
      WAIT_MS,
      'The client knows why it waits',
    );
    expect(read).toEqual([]);
    const [, mark] = /set same-content = (\S+);/.exec(server.log('rssrv')) ?? [];
    withLine(server, `same-content = ${mark}`);
    process.kill(server.pid('rssrv'), 'SIGHUP');
    await reading;
    expect(read[0]?.equals(flushed)).toBe(true);
    expect((await nbd.read(MIB, MIB)).equals(unflushed)).toBe(true);
  },
  4 * WAIT_MS,
);

it(
  'a held volume that is read-only after a start is not served: the client keeps its unflushed writes and sends them later',
  async () => {
    const { client, server, nbd, unflushed } = await held();
    const before = readFileSync(server.rssrvPaths.configFile, 'utf8');
    withLine(server, 'readonly = yes');
    // The machine crashes and loses unflushed data.
    await killServer(server);
    const { runDir } = server.rssrvPaths;
    for (const name of readdirSync(runDir)) rmSync(path.join(runDir, name), { recursive: true, force: true });
    const file = server.file('oracle.img');
    const content = readFileSync(file);
    content.fill(0, MIB, 2 * MIB);
    writeFileSync(file, content);
    await server.start('rssrv');
    let isFlushed = false;
    const flushing = nbd.flush().then(() => (isFlushed = true));
    await waitFor(() => client.log('rsiod').includes('its readonly'), WAIT_MS, 'The client knows why it waits');
    expect(isFlushed).toBe(false);
    writeFileSync(server.rssrvPaths.configFile, before);
    process.kill(server.pid('rssrv'), 'SIGHUP');
    await flushing;
    expect(
      readFileSync(file)
        .subarray(MIB, 2 * MIB)
        .equals(unflushed),
    ).toBe(true);
  },
  4 * WAIT_MS,
);
