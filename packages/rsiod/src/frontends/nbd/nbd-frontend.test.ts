// The NBD frontend with real Unix sockets: data of every size in both directions, users, bounds, stopping, and the socket's file. The
// oracle is the exported memory volume; time limits use a fake clock. Foreign clients are tested in test/interop.

import { chmodSync, existsSync, mkdtempSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { groupId } from '@rsio/base/files/groups';
import { systemClock } from '@rsio/base/lib/clock';
import { RATE_LIMITED_LINES_MAX } from '@rsio/base/log/limits';
import { NBD_CONNECTIONS_MAX, NBD_HANDSHAKE_TIMEOUT_MS, NBD_REFUSED_MAX, NBD_STOP_TIMEOUT_MS } from '../limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { NbdFrontend, type NbdFrontendOptions } from './nbd-frontend.ts';
import { MemoryVolume } from './testing/memory-volume.ts';
import { named, optionAnswers, optionBytes, replies, requestBytes, u32 } from './testing/nbd-client.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const UNTIL = { timeout: 60_000, interval: 5 };

let folder: string;
let socketPath: string;
let volume: MemoryVolume;
const frontends: NbdFrontend[] = [];
const clients: Client[] = [];
const warnings: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nbd-frontend-'));
  socketPath = join(folder, 'nbd');
  volume = new MemoryVolume({ sizeBytes: 4 * 1024 * 1024 });
  warnings.length = 0;
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy();
  await Promise.all(frontends.splice(0).map((frontend) => frontend.close()));
  await removeFolder(folder);
});

function makeFrontend(options: Partial<NbdFrontendOptions> = {}): NbdFrontend {
  const log = {
    info: () => {},
    warn: (message: string) => void warnings.push(message),
    error: (message: string) => void warnings.push(message),
  };
  const frontend = new NbdFrontend({
    socketPath,
    group: null,
    attached: () => [volume],
    mayExport: () => true,
    log,
    clock: systemClock,
    ...options,
  });
  void frontend.show(volume);
  frontends.push(frontend);
  return frontend;
}

class Client {
  closed = false;
  receivedBytes = 0;
  private readonly pieces: Buffer[] = [];
  readonly socket: Socket;

  constructor(path: string) {
    this.socket = connect({ path });
    this.socket.on('data', (bytes: Buffer) => {
      this.pieces.push(bytes);
      this.receivedBytes += bytes.length;
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
    clients.push(this);
  }

  async take(bytes: number): Promise<Buffer> {
    await vi.waitUntil(() => this.receivedBytes >= bytes, UNTIL);
    const all = Buffer.concat(this.pieces.splice(0));
    this.pieces.push(all.subarray(bytes));
    this.receivedBytes -= bytes;
    return all.subarray(0, bytes);
  }

  text(): string {
    return Buffer.concat(this.pieces).toString('latin1');
  }

  /** Sends client flags that decline the padding, sends EXPORT_NAME with an empty name, and skips the answer. */
  async choose(): Promise<this> {
    this.socket.write(Buffer.concat([u32(3), optionBytes(1)]));
    await this.take(18 + 10);
    return this;
  }

  async whenClosed(): Promise<void> {
    await vi.waitUntil(() => this.closed, UNTIL);
  }
}

describe.each([true, false])('a client over a socket (received in place: %s)', (receiveInPlace) => {
  it('reads the data that it wrote, in pieces of every size', async () => {
    const frontend = makeFrontend({ receiveInPlace });
    await frontend.start();
    const client = await new Client(socketPath).choose();
    const sizes = [512, 4096, 64 * 1024, 512 * 1024, 3 * 1024 * 1024];
    for (const [cookie, size] of sizes.entries()) {
      const data = Buffer.alloc(size, `content number ${cookie} `);
      client.socket.write(requestBytes({ type: 1, cookie, offset: 512, data }));
      expect(replies(await client.take(16))).toMatchObject([{ cookie, errno: 0 }]);
      client.socket.write(requestBytes({ type: 0, cookie, offset: 512, length: size }));
      const [reply] = replies(await client.take(16 + size), new Map([[cookie, size]]));
      expect(reply?.data.equals(data)).toBe(true);
    }
    client.socket.write(requestBytes({ type: 2, cookie: 9 }));
    await client.whenClosed();
    await vi.waitUntil(async () => (await frontend.usersOf(volume)).length === 0, UNTIL);
    expect(frontend.buffersInUse).toBe(0);
  });

  it('that reads nothing is not read any more, and gets everything when it reads again', async () => {
    const frontend = makeFrontend({ receiveInPlace });
    await frontend.start();
    const client = await new Client(socketPath).choose();
    client.socket.pause();
    const size = 64 * 1024;
    const count = 1500;
    const reads = Array.from({ length: count }, (_, cookie) => requestBytes({ type: 0, cookie, length: size }));
    client.socket.write(Buffer.concat(reads));
    await vi.waitUntil(() => volume.seen.length >= 256 && volume.underWay === 0, UNTIL);
    expect(volume.seen.length).toBeLessThan(400);
    client.socket.resume();
    await vi.waitUntil(() => client.receivedBytes >= count * (size + 16), UNTIL);
    expect(client.receivedBytes).toBe(count * (size + 16));
    await vi.waitUntil(() => frontend.buffersInUse === 0, UNTIL);
  });

  it('that disconnects in the middle leaves no buffer and no user behind', async () => {
    const frontend = makeFrontend({ receiveInPlace });
    await frontend.start();
    const client = await new Client(socketPath).choose();
    client.socket.pause();
    const reads = Array.from({ length: 200 }, (_, cookie) => requestBytes({ type: 0, cookie, length: 256 * 1024 }));
    client.socket.write(Buffer.concat([...reads, requestBytes({ type: 1, cookie: 1, data: Buffer.alloc(4096) }).subarray(0, 2000)]));
    await vi.waitUntil(() => volume.seen.length > 100, UNTIL);
    expect(frontend.buffersInUse).toBeGreaterThan(0);
    client.socket.destroy();
    await vi.waitUntil(async () => (await frontend.usersOf(volume)).length === 0, UNTIL);
    expect(frontend.buffersInUse).toBe(0);
    expect(volume.seen.filter((op) => op.startsWith('write'))).toEqual([]);
  });

  it('that closes its sending side gets its answers and the end', async () => {
    await makeFrontend({ receiveInPlace }).start();
    const client = await new Client(socketPath).choose();
    client.socket.end(requestBytes({ type: 0, cookie: 1, length: 4096 }));
    await client.take(16 + 4096);
    await client.whenClosed();
  });
});

describe('users', () => {
  it('are counted per volume, and named with the socket', async () => {
    const frontend = makeFrontend();
    await frontend.start();
    expect(await frontend.usersOf(volume)).toEqual([]);
    const first = await new Client(socketPath).choose();
    const second = await new Client(socketPath).choose();
    expect(await frontend.usersOf(volume)).toEqual([`2 NBD connections to ${socketPath}`]);
    first.socket.destroy();
    await vi.waitUntil(async () => (await frontend.usersOf(volume))[0] === `1 NBD connection to ${socketPath}`, UNTIL);
    second.socket.destroy();
    await vi.waitUntil(async () => (await frontend.usersOf(volume)).length === 0, UNTIL);
  });

  it('cannot become users of a volume that is being detached; existing users stay', async () => {
    const frontend = makeFrontend();
    await frontend.start();
    const user = await new Client(socketPath).choose();
    await expect(frontend.hide(volume, false)).rejects.toMatchObject({
      code: 'E_IN_USE',
      message: `It is in use by 1 NBD connection to ${socketPath}: end that first, or use --force`,
    });
    await frontend.hide(volume, true);
    const late = new Client(socketPath);
    late.socket.write(Buffer.concat([u32(3), optionBytes(7, named('osl/oracle'))]));
    await vi.waitUntil(() => late.text().includes('No export "osl/oracle", nothing is exported'), UNTIL);
    expect(await frontend.usersOf(volume)).toHaveLength(1);
    user.socket.write(requestBytes({ type: 3, cookie: 1 }));
    expect(replies(await user.take(16))).toMatchObject([{ cookie: 1, errno: 0 }]);
  });

  it('are cut off if nobody has the volume any more', async () => {
    const frontend = makeFrontend();
    await frontend.start();
    const user = await new Client(socketPath).choose();
    frontend.cut(volume);
    await user.whenClosed();
    await vi.waitUntil(async () => (await frontend.usersOf(volume)).length === 0, UNTIL);
  });

  it(`are at most ${NBD_CONNECTIONS_MAX}`, async () => {
    await makeFrontend().start();
    const open = Array.from({ length: NBD_CONNECTIONS_MAX }, () => new Client(socketPath));
    await Promise.all(open.map((client) => client.take(18)));
    const tooMany = new Client(socketPath);
    await tooMany.take(18);
    tooMany.socket.write(Buffer.concat([u32(3), optionBytes(7, named('oracle'))]));
    const sentence = `${NBD_CONNECTIONS_MAX} NBD connections are open, which is the limit: close one of them`;
    const [answer] = optionAnswers(await tooMany.take(20 + sentence.length));
    expect([answer?.type, answer?.data.toString()]).toEqual([0x80000002, sentence]);
    const more = Array.from({ length: 2 * NBD_REFUSED_MAX }, () => new Client(socketPath));
    await vi.waitUntil(() => more.filter((client) => client.closed).length === NBD_REFUSED_MAX + 1, UNTIL);
    expect(warnings).toEqual([`NBD connection refused (1 so far): ${sentence}`]);
    tooMany.socket.write(optionBytes(1, Buffer.from('oracle')));
    await tooMany.whenClosed();
    open[0]?.socket.destroy();
    await vi.waitUntil(async () => {
      const next = new Client(socketPath);
      next.socket.write(Buffer.concat([u32(3), optionBytes(1)]));
      await vi.waitUntil(() => next.closed || next.receivedBytes >= 28, UNTIL);
      return !next.closed;
    }, UNTIL);
  });

  it('must choose an export in time', async () => {
    const clock = new FakeClock();
    await makeFrontend({ clock }).start();
    const idle = new Client(socketPath);
    await idle.take(18);
    const user = await new Client(socketPath).choose();
    clock.advance(NBD_HANDSHAKE_TIMEOUT_MS);
    await idle.whenClosed();
    user.socket.write(requestBytes({ type: 3, cookie: 1 }));
    await user.take(16);
  });
});

describe('stop', () => {
  it('answers the requests in flight, then closes and removes the socket', async () => {
    const held: (() => void)[] = [];
    volume = new MemoryVolume({ schedule: (fire) => held.push(fire) });
    const frontend = makeFrontend();
    await frontend.start();
    const client = await new Client(socketPath).choose();
    client.socket.write(requestBytes({ type: 0, cookie: 1, length: 512 }));
    await vi.waitUntil(() => held.length === 1, UNTIL);
    const stopped = frontend.close();
    expect(existsSync(socketPath)).toBe(false);
    for (const fire of held) fire();
    await stopped;
    expect(replies(await client.take(16 + 512), new Map([[1, 512]]))).toMatchObject([{ cookie: 1, errno: 0 }]);
    await client.whenClosed();
  });

  it('does not wait forever', async () => {
    const clock = new FakeClock();
    volume = new MemoryVolume({ schedule: () => {} });
    const frontend = makeFrontend({ clock });
    await frontend.start();
    const client = await new Client(socketPath).choose();
    client.socket.write(requestBytes({ type: 0, cookie: 1, length: 512 }));
    await vi.waitUntil(() => volume.seen.length === 1, UNTIL);
    const stopped = frontend.close();
    clock.advance(NBD_STOP_TIMEOUT_MS);
    await stopped;
    await client.whenClosed();
    frontends.length = 0;
  });
});

describe('the socket', () => {
  it('is accessible to its owner alone, whatever the umask', async () => {
    const before = process.umask(0);
    try {
      await makeFrontend().start();
    } finally {
      process.umask(before);
    }
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
  });

  it('is taken over from a dead daemon and refused while one is running', async () => {
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(join(folder, 'other'), resolve));
    renameSync(join(folder, 'other'), socketPath);
    await new Promise((resolve) => dead.close(resolve));
    expect(existsSync(socketPath)).toBe(true);
    await makeFrontend().start();
    await expect(makeFrontend().start()).rejects.toMatchObject({
      code: 'E_ALREADY_RUNNING',
      message: `Another daemon listens on ${socketPath}: stop it first, or choose another --root`,
    });
    await new Client(socketPath).choose();
  });

  it('does not replace a file that is not a socket', async () => {
    writeFileSync(socketPath, 'precious');
    await expect(makeFrontend().start()).rejects.toMatchObject({
      code: 'E_SYSTEM',
      message: `${socketPath} exists and is not a socket: remove it`,
    });
    expect(statSync(socketPath).size).toBe(8);
  });

  it('has a path within the system limit', async () => {
    const fits = join(folder, 'x'.repeat(107 - folder.length - 1));
    await makeFrontend({ socketPath: fits }).start();
    expect(existsSync(fits)).toBe(true);
    await expect(makeFrontend({ socketPath: `${fits}x` }).start()).rejects.toMatchObject({
      code: 'E_SOCKET_PATH',
      context: { bytes: 108 },
    });
  });

  it('reports that its folder cannot be made', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(makeFrontend({ socketPath: join(folder, 'file', 'nbd') }).start()).rejects.toMatchObject({ code: 'E_SYSTEM' });
  });

  it('is opened to an existing group, and is not left behind if the group does not exist', async () => {
    await expect(makeFrontend({ group: 'no-such-group' }).start()).rejects.toMatchObject({ code: 'E_CONFIG' });
    expect(existsSync(socketPath)).toBe(false);
    const file = join(folder, 'group');
    writeFileSync(file, 'root:x:0:\nbroken\nstorage:x:4711:venus,big-2\n');
    expect([groupId('storage', file), groupId('root', file), groupId('broken', file), groupId('none', file)]).toEqual([
      4711,
      0,
      undefined,
      undefined,
    ]);
  });

  it('belongs to its group with mode 0660', async (context) => {
    context.skip(process.getuid?.() !== 0, 'needs root, which may give a file to any group');
    context.skip(groupId('daemon', '/etc/group') === undefined, 'needs the group daemon: install base-passwd');
    await makeFrontend({ group: 'daemon' }).start();
    const { mode, gid } = statSync(socketPath);
    expect([mode & 0o777, gid]).toEqual([0o660, groupId('daemon', '/etc/group')]);
    chmodSync(socketPath, 0o600);
  });
});

// Regression: each client that violated the protocol caused a log line, which made 6,872 lines within three seconds.
it('an endless series of bad clients makes few lines in the log', async () => {
  const frontend = makeFrontend();
  await frontend.start();
  for (let count = 0; count < 3 * RATE_LIMITED_LINES_MAX; count++) {
    const client = new Client(socketPath);
    // Valid client flags, then bytes that are not an option.
    client.socket.write(Buffer.concat([u32(3), Buffer.alloc(64, 0x6e)]));
    await vi.waitFor(() => expect(client.closed).toBe(true), UNTIL);
  }
  expect(warnings).toHaveLength(RATE_LIMITED_LINES_MAX);
  await frontend.close();
  expect(warnings.at(-1)).toBe(`NBD connections that were closed: ${2 * RATE_LIMITED_LINES_MAX} more lines of this kind within 60 s`);
});
