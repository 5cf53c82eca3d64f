// Tests the relay in C in front of the epoll server in C: through the relay, the generator reads the content of the file and its own
// writes, at every size and over several connections. No speed is checked.

import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { needPrograms } from '@rsio/base/testing/needs';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterAll, afterEach, expect, test } from 'vitest';
import { LoadClient } from '../load/load-client.ts';
import { nativeProgram } from '../native/compile.ts';
import { NBD_MAKERS } from '../servers/nbd-peers.ts';
import { Relay, type RelayTarget } from './relay.ts';

const MIB = 1024 * 1024;
const BYTES = 8 * MIB;
const ends: (() => Promise<void> | void)[] = [];
const exitListeners = process.listeners('exit');

// Every test ends its own children. Therefore the hooks that would end these children together with this process are removed.
afterAll(() => {
  for (const listener of process.listeners('exit')) if (!exitListeners.includes(listener)) process.off('exit', listener);
});

afterEach(async () => {
  for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end();
});

async function relayed(): Promise<Relay> {
  const directory = mkdtempSync(join(os.tmpdir(), 'rsio-relay-'));
  ends.push(() => removeFolder(directory));
  const file = join(directory, 'data.img');
  expect(spawnSync(nativeProgram('load'), ['make', file, String(BYTES)]).status).toBe(0);
  const maker = NBD_MAKERS.find(({ id }) => id === 'epoll-server');
  const server = await maker!.start({ directory, file, core: 0 });
  ends.push(() => server.stop());
  const relay = await Relay.start(server.target as RelayTarget, join(directory, 'relay.socket'), BYTES);
  ends.push(() => relay.stop());
  return relay;
}

test('what is read through the relay is the file, and what is written is there: one connection, and five', async (context) => {
  needPrograms(context, 'cc', 'taskset');
  const { target } = await relayed();
  for (const connections of [1, 5]) {
    const client = await LoadClient.open(target, { client: 0, connections, isReadonly: false, cores: [0] }, BYTES);
    ends.push(() => client.stop());
    for (const blockBytes of [4096, 8192, 64 * 1024, MIB]) {
      for (const readPercent of [100, 0, 50]) {
        const requests = (2 * BYTES) / blockBytes;
        const figures = await client.checked({ readPercent, order: 'random', blockBytes, depth: 8 }, requests);
        expect(figures).toMatchObject({ requests, bytes: 2 * BYTES });
      }
    }
    await client.sweep('read');
  }
});
