// NBD connections that go to another process, with real sockets and a real child process (testing/data-process.ts). The oracle is the data
// that a client reads back. nbd-connection-passed.test.ts tests one in-memory connection, with the input cut at any position.

import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, readdirSync, readlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '@rsio/base/lib/clock';
import { misfit } from '@rsio/base/lib/shape';
import { useProgram } from '@rsio/base/testing/program-file';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { NBD_CONNECTIONS_MAX, NBD_FRONTEND_BYTES_MAX, NBD_REQUEST_MAX_BYTES } from '../limits.ts';
import { type NbdElsewhere, NbdFrontend } from './nbd-frontend.ts';
import { sendConnection } from '../streams/socket.ts';
import type { PassedConnection } from './passed-connection.ts';
import { DISC, FLUSH, READ, WRITE } from './testing/connection-rig.ts';
import type { FromDataProcess } from './testing/data-process.ts';
import { MemoryVolume } from './testing/memory-volume.ts';
import { contexts, named, optionAnswers, optionBytes, replies, requestBytes, u32 } from './testing/nbd-client.ts';
import { EXPORT_FACTS, exportFacts, type NbdExport } from './wire/nbd-export.ts';

const UNTIL = { timeout: 20_000, interval: 2 };
const GREETING_BYTES = 18;
/** The answer to EXPORT_NAME without padding. */
const CHOSEN_BYTES = 10;

const program = useProgram(new URL('testing/data-process.ts', import.meta.url));

let folder: string;
let child: ChildProcess | null;
let frontend: NbdFrontend;
let told: FromDataProcess[];
let warnings: string[];
const clients: Client[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nbd-passing-'));
  child = null;
  told = [];
  warnings = [];
});

afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.destroy();
  child?.kill('SIGKILL');
  await frontend.close();
  await removeFolder(folder);
});

class Client {
  closed = false;
  bytes = Buffer.alloc(0);
  readonly socket: Socket = connect({ path: join(folder, 'nbd') });

  constructor() {
    const pieces: Buffer[] = [];
    this.socket.on('data', (piece: Buffer) => {
      pieces.push(piece);
      this.bytes = Buffer.concat(pieces);
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => (this.closed = true));
    clients.push(this);
  }

  async has(bytes: number): Promise<Buffer> {
    await vi.waitUntil(() => this.bytes.length >= bytes, UNTIL);
    return this.bytes;
  }

  async whenClosed(): Promise<void> {
    await vi.waitUntil(() => this.closed, UNTIL);
  }
}

async function listen(elsewhere: NbdElsewhere, receiveInPlace = true): Promise<void> {
  const warn = (line: string): void => void warnings.push(line);
  const options = { socketPath: join(folder, 'nbd'), group: null, attached: () => [], mayExport: () => true, clock: systemClock };
  frontend = new NbdFrontend({ ...options, log: { info: () => {}, warn, error: warn }, elsewhere, receiveInPlace });
  await frontend.start();
}

/** Starts the process that has the volume, and the frontend that has the socket. */
async function begin(receiveInPlace = true): Promise<ChildProcess> {
  const process = fork(program(), [String(receiveInPlace)], { execArgv: [] });
  child = process;
  const endings = new Map<number, () => void>();
  process.on('message', (message: FromDataProcess) => {
    told.push(message);
    if ('ended' in message) endings.get(message.ended)?.();
  });
  process.on('exit', () => endings.forEach((ended) => ended()));
  const facts = await vi.waitUntil(() => told.flatMap((one) => ('facts' in one ? [one.facts] : []))[0] as NbdExport[] | undefined, UNTIL);
  await listen(
    {
      exports: () => facts,
      pass: (passed, socket, ended) => {
        endings.set(passed.number, ended);
        sendConnection(process, { passed }, socket);
      },
    },
    receiveInPlace,
  );
  return process;
}

/** The Unix-domain connections that this process has open. */
function socketsOpen(): number {
  return readdirSync('/proc/self/fd').filter((fd) => linkOf(fd).startsWith('socket:')).length;
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

const ended = (): FromDataProcess | undefined => told.find((one) => 'ended' in one);
const warned = (): string[] => told.flatMap((one) => ('warned' in one ? [one.warned] : []));

describe.each([true, false])('a connection to an export of another process (received in place: %s)', (receiveInPlace) => {
  it('loses no byte of requests that follow the choice of the export at once', async () => {
    await begin(receiveInPlace);
    const openBefore = socketsOpen();
    const client = new Client();
    const [size, count] = [17 * 1024, 100];
    const data = Buffer.from(Array.from({ length: size * count }, (_, at) => (at * 7 + (at >> 8) * 13 + (at >> 16)) & 0xff));
    const writes = Array.from({ length: count }, (_, cookie) => {
      return requestBytes({ type: WRITE, cookie, offset: cookie * size, data: data.subarray(cookie * size, (cookie + 1) * size) });
    });
    const sent = Buffer.concat([u32(3), optionBytes(1, Buffer.from('osl/oracle')), ...writes]);
    // The first piece fills the receive buffer of the first process.
    for (const [start, end] of [[0, 250_000], [250_000, 250_001], [250_001, 900_000], [900_000, sent.length]] as const) client.socket.write(sent.subarray(start, end)); // biome-ignore format: pairs
    const answered = GREETING_BYTES + CHOSEN_BYTES + 16 * count;
    const answers = replies((await client.has(answered)).subarray(GREETING_BYTES + CHOSEN_BYTES));
    expect(answers.map(({ cookie, errno }) => [cookie, errno])).toEqual(answers.map((_, cookie) => [cookie, 0]));
    client.socket.write(requestBytes({ type: READ, cookie: 1, offset: 0, length: data.length }));
    expect((await client.has(answered + 16 + data.length)).subarray(answered + 16).equals(data)).toBe(true);
    // In this process, only the client's end of the connection is still open.
    expect(socketsOpen() - openBefore).toBe(1);
    client.socket.write(requestBytes({ type: DISC, cookie: 2 }));
    await client.whenClosed();
    await vi.waitUntil(ended, UNTIL);
    expect(ended()).toEqual({ ended: 1, seen: count + 1, buffersInUse: 0 });
    expect(warned()).toEqual([]);
  });

  it('loses no byte behind many options whose answers the client reads late', async () => {
    await begin(receiveInPlace);
    const client = new Client();
    const [lists, count] = [1_000, 200];
    const writes = Array.from({ length: count }, (_, cookie) => requestBytes({ type: WRITE, cookie, data: Buffer.alloc(1024) }));
    client.socket.write(Buffer.concat([u32(3), ...Array.from({ length: lists }, () => optionBytes(3)), optionBytes(1), ...writes]));
    const name = Buffer.byteLength('osl/oracleVolume oracle of namespace osl, universe 0');
    const chosen = GREETING_BYTES + lists * (20 + 4 + name + 20) + CHOSEN_BYTES;
    const answers = replies((await client.has(chosen + 16 * count)).subarray(chosen));
    expect(answers.map(({ cookie, errno }) => [cookie, errno])).toEqual(writes.map((_, cookie) => [cookie, 0]));
  });

  it('keeps what the handshake has agreed on, and closes one direction as an accepted connection does', async () => {
    await begin(receiveInPlace);
    const client = new Client();
    const options = [
      optionBytes(8),
      optionBytes(3),
      optionBytes(10, contexts('oracle', ['base:allocation'])),
      optionBytes(7, named('', [])),
    ];
    client.socket.write(Buffer.concat([u32(3), ...options]));
    await vi.waitUntil(() => optionTypes(client).length === 8, UNTIL);
    expect(optionTypes(client)).toEqual([1, 2, 1, 4, 1, 3, 3, 1]);
    const chosen = client.bytes.length;
    // GO without a request for the block sizes permits any range.
    client.socket.end(
      Buffer.concat([requestBytes({ type: READ, cookie: 1, offset: 1, length: 5 }), requestBytes({ type: 7, cookie: 2, length: 512 })]),
    );
    await client.whenClosed();
    expect(replies(client.bytes.subarray(chosen)).map(({ cookie, errno, chunk }) => [cookie, errno, chunk])).toEqual([[1, 0, 1], [2, 0, 5]]); // biome-ignore format: pairs
  });
});

function optionTypes(client: Client): number[] {
  return optionAnswers(client.bytes.subarray(GREETING_BYTES)).map(({ type }) => type);
}

/** Chooses the volume, and sends a FLUSH without waiting for an answer. */
function choose(): Client {
  const client = new Client();
  client.socket.write(Buffer.concat([u32(3), optionBytes(1), requestBytes({ type: FLUSH, cookie: 1 })]));
  return client;
}

it('the client sees the end of the connection when the process ends, and the connection no longer counts', async () => {
  const process = await begin();
  const client = choose();
  await client.has(GREETING_BYTES + CHOSEN_BYTES + 16);
  process.kill('SIGKILL');
  await client.whenClosed();
  // A later connection is closed, because the process no longer runs.
  const late = choose();
  await late.whenClosed();
  expect(late.bytes).toHaveLength(GREETING_BYTES);
});

it('a stopped process gets the connections when it goes on; when it is killed, the clients see the end', async () => {
  const process = await begin();
  process.kill('SIGSTOP');
  const waiting = [choose(), choose(), choose()];
  await Promise.all(waiting.map((client) => client.has(GREETING_BYTES)));
  process.kill('SIGCONT');
  await Promise.all(waiting.map((client) => client.has(GREETING_BYTES + CHOSEN_BYTES + 16)));
  process.kill('SIGSTOP');
  const lost = [choose(), choose(), choose()];
  await Promise.all(lost.map((client) => client.has(GREETING_BYTES)));
  process.kill('SIGKILL');
  await Promise.all([...waiting, ...lost].map((client) => client.whenClosed()));
});

it('an export that is gone when the connection arrives closes the connection, and the log says so', async () => {
  const process = await begin();
  process.send({ hide: true });
  const client = choose();
  await client.whenClosed();
  expect(client.bytes).toHaveLength(GREETING_BYTES);
  await vi.waitUntil(ended, UNTIL);
  expect(warned()).toEqual(['An NBD connection from another process was closed: osl/oracle is not exported any more']);
});

const volume = new MemoryVolume();

it('passed connections count, whatever process has them, until their end is reported', async () => {
  const endings: (() => void)[] = [];
  await listen({ exports: () => [exportFacts(volume)], pass: (_passed, _socket, end) => void endings.push(end) });
  const users = Array.from({ length: NBD_CONNECTIONS_MAX }, choose);
  await vi.waitUntil(() => endings.length === users.length, UNTIL);
  const refused = choose();
  await refused.whenClosed();
  expect(warnings).toEqual([
    `NBD connection refused (1 so far): ${NBD_CONNECTIONS_MAX} NBD connections are open, which is the limit: close one of them`,
  ]);
  // The end of a passed connection closes its socket in this process.
  endings[0]?.();
  await users[0]?.whenClosed();
  choose();
  await vi.waitUntil(() => endings.length === users.length + 1, UNTIL);
});

it('a connection that cannot be passed because of a bug is closed, and the next one is passed', async () => {
  let calls = 0;
  const pass = (): void => {
    if (++calls === 1) throw new Error('a bug');
  };
  await listen({ exports: () => [exportFacts(volume)], pass });
  await choose().whenClosed();
  expect(warnings).toEqual(['NBD connection 1 closed: an error of rsiod itself, please report it']);
  choose();
  await vi.waitUntil(() => calls === 2, UNTIL);
});

describe('a process that adopts', () => {
  let passed: { readonly connection: PassedConnection; readonly socket: Socket }[];
  let adopter: NbdFrontend;

  /** Collects passed connections; each test hands them to `adopter`, which is in this process. */
  beforeEach(async () => {
    passed = [];
    await listen({ exports: () => adopter.facts(), pass: (connection, socket) => void passed.push({ connection, socket }) });
    const log = { info: () => {}, warn: (line: string) => void warnings.push(line), error: () => {} };
    const options = { socketPath: join(folder, 'none'), listens: false, group: null, attached: () => [volume], mayExport: () => true };
    adopter = new NbdFrontend({ ...options, log, clock: systemClock });
    await Promise.all([adopter.start(), adopter.show(volume)]);
    volume.seen.length = 0;
  });

  afterEach(() => adopter.close());

  it('accepts no description with a wrong field, and no connection after its end', async () => {
    const client = choose();
    await vi.waitUntil(() => passed.length === 1, UNTIL);
    const { connection, socket } = passed[0]!;
    let ends = 0;
    const end = (): void => void ends++;
    const wrong = [null, 7, {}, { ...connection, rest: 'no base64' }, { ...connection, universe: 9 }, { ...connection, more: 1 }];
    for (const one of wrong) adopter.adopt(undefined, one, end);
    for (const id of ['other', '']) adopter.adopt(undefined, { ...connection, id }, end);
    adopter.adopt(undefined, connection, end);
    await adopter.close();
    adopter.adopt(socket, connection, end);
    await client.whenClosed();
    expect(ends).toBe(wrong.length + 4);
    const place = 'An NBD connection from another process was closed: ';
    expect(warnings.map((line) => line.slice(place.length))).toEqual([
      'its description is wrong: it is not an object',
      'its description is wrong: it is not an object',
      'its description is wrong: number is missing',
      expect.stringMatching(/^its description is wrong: rest is not base64 of at most \d+ bytes$/),
      'its description is wrong: universe is not a whole number from 0 to 3',
      'its description is wrong: more is not known',
      'osl/oracle is not exported any more',
      'osl/oracle is not exported any more',
      'it has ended on the way',
      'this process stops',
    ]);
  });

  it('executes nothing for a client that has gone on the way', async () => {
    const client = choose();
    await vi.waitUntil(() => passed.length === 1, UNTIL);
    expect(Buffer.from(passed[0]!.connection.rest, 'base64')).toEqual(requestBytes({ type: FLUSH, cookie: 1 }));
    client.socket.destroy();
    await client.whenClosed();
    await new Promise<void>((resolve) => adopter.adopt(passed[0]!.socket, passed[0]!.connection, resolve));
    expect(volume.seen).toEqual([]);
  });

  it('loses nothing that Node has read for a connection before it is adopted', async () => {
    await frontend.close();
    await listen({ exports: () => adopter.facts(), pass: (connection, socket) => void passed.push({ connection, socket }) }, false);
    const client = choose();
    await vi.waitUntil(() => passed.length === 1, UNTIL);
    const { connection, socket } = passed[0]!;
    socket.read(0);
    client.socket.write(requestBytes({ type: FLUSH, cookie: 2 }));
    await vi.waitUntil(() => socket.readableLength > 0, UNTIL);
    adopter.adopt(socket, connection, () => {});
    client.socket.write(requestBytes({ type: FLUSH, cookie: 3 }));
    const answers = (await client.has(GREETING_BYTES + CHOSEN_BYTES + 3 * 16)).subarray(GREETING_BYTES + CHOSEN_BYTES);
    expect(replies(answers).map(({ cookie }) => cookie)).toEqual([1, 2, 3]);
  });

  it('has users like accepted connections, and answers requests in flight when it stops', async () => {
    const client = choose();
    await vi.waitUntil(() => passed.length === 1, UNTIL);
    let isOver = false;
    adopter.adopt(passed[0]!.socket, passed[0]!.connection, () => (isOver = true));
    expect(await adopter.usersOf(volume)).toEqual([`1 NBD connection to ${join(folder, 'none')}`]);
    await adopter.close();
    expect(isOver).toBe(true);
    await client.whenClosed();
    expect(client.bytes).toHaveLength(GREETING_BYTES + CHOSEN_BYTES + 16);
  });
});

it('facts of an export are plain JSON of a checked shape, and part of the memory has room for the largest request', async () => {
  const snapshot = new MemoryVolume({ name: 'oracle@now', readonly: true, olderSnapshots: [{ name: 'monday', id: 'x' }] });
  for (const one of [volume, snapshot]) {
    const sent: unknown = JSON.parse(JSON.stringify(exportFacts(one)));
    expect(misfit(EXPORT_FACTS, sent, 'exactly')).toBeNull();
    expect(sent).toEqual(exportFacts(one));
  }
  expect(misfit(EXPORT_FACTS, { ...exportFacts(volume), blockSizeBytes: 2 ** 32 })).not.toBeNull();
  await listen({ exports: () => [], pass: () => {} });
  const options = { socketPath: '', group: null, attached: () => [], mayExport: () => true, clock: systemClock };
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const make = (limitBytes: number, reserveBytes: number) => () =>
    new NbdFrontend({ ...options, log, budget: { limitBytes, reserveBytes } });
  expect(make(NBD_FRONTEND_BYTES_MAX / 8, NBD_FRONTEND_BYTES_MAX / 8)).not.toThrow();
  expect(make(NBD_REQUEST_MAX_BYTES, 0)).toThrow('The largest NBD request must fit the memory of its process');
});
