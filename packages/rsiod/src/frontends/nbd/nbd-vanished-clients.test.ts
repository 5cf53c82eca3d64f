// If a client exits while its WRITE waits for memory, the WRITE must not overwrite another client's later WRITE of the same block. The test
// uses real sockets, because the frontend must detect the end of a connection that it is not reading. Other ends of a connection are tested
// in nbd-connection-end.test.ts. Rules: G1.

import { mkdtempSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { systemClock } from '@rsio/base/lib/clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { STATUS } from '@rsio/protocol/wire/status';
import { NbdFrontend } from './nbd-frontend.ts';
import { DISC, READ, WRITE } from './testing/connection-rig.ts';
import { MemoryVolume } from './testing/memory-volume.ts';
import { type ClientRequest, optionBytes, requestBytes, u32 } from './testing/nbd-client.ts';
import { NBD_FRONTEND_BYTES_MAX, NBD_REQUEST_MAX_BYTES } from '../limits.ts';

const UNTIL = { timeout: 60_000, interval: 2 };
const BLOCK = 4096;
const GREETED_BYTES = 18 + 10;

let folder: string;
let frontend: NbdFrontend;
let volume: MemoryVolume;
/** Completes the requests that the halted volume has received, in order. */
let begun: (() => void)[];
let sockets: Socket[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nbd-vanished-'));
  begun = [];
  sockets = [];
  volume = new MemoryVolume({ sizeBytes: NBD_REQUEST_MAX_BYTES, schedule: (fire) => void begun.push(fire) });
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const socketPath = join(folder, 'nbd');
  frontend = new NbdFrontend({ socketPath, group: null, attached: () => [volume], mayExport: () => true, log, clock: systemClock });
  void frontend.show(volume);
  await frontend.start();
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  volume.fail = STATUS.IO_ERROR;
  for (let fire = begun.shift(); fire !== undefined; fire = begun.shift()) fire();
  await frontend.close();
  await removeFolder(folder);
});

/** Connects and chooses the volume. Returns functions that send requests and count the received bytes. */
async function client(): Promise<{ socket: Socket; send: (...requests: readonly ClientRequest[]) => void; heard: () => number }> {
  const socket = connect({ path: join(folder, 'nbd') });
  let heardBytes = 0;
  socket.on('data', (bytes: Buffer) => {
    heardBytes += bytes.length;
  });
  socket.on('error', () => {});
  sockets.push(socket);
  socket.write(Buffer.concat([u32(3), optionBytes(1)]));
  await vi.waitUntil(() => heardBytes === GREETED_BYTES, UNTIL);
  const send = (...requests: readonly ClientRequest[]): void => void socket.write(Buffer.concat(requests.map(requestBytes)));
  return { socket, send, heard: () => heardBytes - GREETED_BYTES };
}

async function hasBegun(requests: number): Promise<void> {
  await vi.waitUntil(() => begun.length === requests, UNTIL);
}

/** Lets other clients use up the memory of all connections, and returns how many of their requests have begun. */
async function fill(): Promise<number> {
  const fits = NBD_FRONTEND_BYTES_MAX / NBD_REQUEST_MAX_BYTES - 1;
  for (let left = fits + 1; left > 0; left -= 2) {
    const { send } = await client();
    send({ type: READ, cookie: 1, length: NBD_REQUEST_MAX_BYTES }, { type: READ, cookie: 2, length: NBD_REQUEST_MAX_BYTES });
  }
  await hasBegun(fits);
  return fits;
}

it.each([
  ['and says nothing', []],
  ['and has said DISC', [{ type: DISC, cookie: 9 }]],
])(
  'a WRITE that waited for memory does not undo a later one, when its sender has gone %s',
  async (_how, last: readonly ClientRequest[]) => {
    const filled = await fill();
    const first = await client();
    first.send({ type: READ, cookie: 1, length: BLOCK }, { type: WRITE, cookie: 2, data: Buffer.alloc(BLOCK, 1) }, ...last);
    await hasBegun(filled + 1);
    first.socket.destroy();
    const next = await client();
    next.send({ type: WRITE, cookie: 1, data: Buffer.alloc(BLOCK, 2) });
    await hasBegun(filled + 2);
    begun.pop()?.();
    await vi.waitUntil(() => next.heard() > 0, UNTIL);
    // The server continues, and memory becomes free. The large READs fail, which is fast.
    volume.fail = STATUS.IO_ERROR;
    for (let left = filled; left > 0; left--) begun.shift()?.();
    volume.fail = STATUS.OK;
    await vi.waitUntil(() => begun.length > 1, UNTIL);
    const connections = sockets.length - 1;
    await vi.waitUntil(async () => {
      for (let fire = begun.shift(); fire !== undefined; fire = begun.shift()) fire();
      return (await frontend.usersOf(volume))[0]?.startsWith(`${connections} `) === true;
    }, UNTIL);
    expect(volume.seen.filter((line) => line.startsWith('write'))).toEqual([`write 0+${BLOCK}`]);
    expect(volume.content[0]).toBe(2);
  },
);
