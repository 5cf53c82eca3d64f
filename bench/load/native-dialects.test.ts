// Tests the RSIO and iSCSI dialects of the load generator against small servers in this file, which keep written data and check what they
// receive. native-load.test.ts tests the NBD dialect and the content of the data. Each run of the bench compares every byte of the real
// servers.

import { once } from 'node:events';
import net from 'node:net';
import { needPrograms } from '@rsio/base/testing/needs';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { HEADER_BYTES } from '@rsio/protocol/wire/limits';
import { ANSWER, OP } from '@rsio/protocol/wire/frames';
import { bodyLengthBytes, emptyHeader, readHeader, writeIoHeader, writeMessageHeader } from '@rsio/protocol/wire/header';
import { Ping } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { afterEach, expect, test, type TestContext } from 'vitest';
import { ByteStream } from './byte-stream.ts';
import { LoadClient } from './load-client.ts';
import type { LoadShape, OpenConnection, Place } from './orders.ts';

const BYTES = 4 * 1024 * 1024;
const HANDLE = 7;
const FIRST_SLOT = 40;
const MIX: LoadShape = { readPercent: 70, order: 'random', blockBytes: 8192, depth: 32 };
const HOST = '127.0.0.1';
const ends: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end();
});

function needCompiler(context: TestContext): void {
  needPrograms(context, 'cc', 'taskset');
}

/**
 * Listens, and passes the unused bytes of each connection to `serve`, which returns how many bytes it has used; 0: `serve` needs more
 * bytes.
 */
async function listen(serve: (said: Buffer, socket: net.Socket) => number): Promise<Place> {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    let said: Buffer = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      said = Buffer.concat([said, bytes]);
      for (let used = -1; used !== 0; said = said.subarray(used)) used = serve(said, socket);
    });
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { host: HOST, port: (server.address() as net.AddressInfo).port };
}

async function connected(place: Place, words: OpenConnection['words'], early: Buffer): Promise<OpenConnection> {
  return { ...(await ByteStream.connect(place)).release(words), early };
}

function ended(client: LoadClient): LoadClient {
  ends.push(() => client.stop());
  return client;
}

// --- RSIO

/** A server that also sends PINGs and checks the PONGs. */
class RsioServer {
  readonly store = Buffer.alloc(BYTES);
  pings = 0;
  pongs = 0;
  requests = 0;
  /** Number of volumes: the store is cut into equal pieces, each with a handle. */
  volumes = 1;
  readonly volumesAsked = new Set<number>();
  /** Called with each answer before it is sent. A test replaces this function to spoil the answer. */
  spoil: (answer: Buffer) => void = () => undefined;
  private readonly seqs = new Map<number, number>();

  ping(): Buffer {
    this.pings++;
    const body = Ping.encode({ number: this.pings, clockMs: this.pings * 1000.25, heard: 3, oldestMs: 1.5, generation: 9 });
    return message(OP.PING, body);
  }

  serve(said: Buffer, socket: net.Socket): number {
    if (said.length < HEADER_BYTES) return 0;
    const header = emptyHeader();
    readHeader(said, 0, header);
    const bodyBytes = bodyLengthBytes(header);
    if (said.length < HEADER_BYTES + bodyBytes) return 0;
    const body = said.subarray(HEADER_BYTES, HEADER_BYTES + bodyBytes);
    if (header.op === OP.PONG) {
      this.pongs++;
      const expected = { number: this.pongs, clockMs: this.pongs * 1000.25, heard: this.pongs, oldestMs: 0, generation: 0 };
      expect(Ping.decode(body, 0, body.length)).toEqual(expected);
    } else if (header.op !== OP.BYE) {
      this.execute(header, body, socket);
    }
    return HEADER_BYTES + bodyBytes;
  }

  private execute({ op, handle, slot, seq, lba, count }: ReturnType<typeof emptyHeader>, body: Buffer, socket: net.Socket): void {
    const volumeBytes = BYTES / this.volumes;
    const volume = handle - HANDLE;
    this.volumesAsked.add(volume);
    expect(volume).toBeGreaterThanOrEqual(0);
    expect((lba + count) * SECTOR_BYTES).toBeLessThanOrEqual(volumeBytes);
    expect(slot).toBeGreaterThanOrEqual(FIRST_SLOT);
    expect(seq).toBe((this.seqs.get(slot) ?? 0) + 1);
    this.seqs.set(slot, seq);
    const start = volume * volumeBytes + lba * SECTOR_BYTES;
    const end = start + count * SECTOR_BYTES;
    if (op === OP.WRITE) body.copy(this.store, start);
    else expect(op).toBe(OP.READ);
    const answer = Buffer.alloc(HEADER_BYTES + (op === OP.READ ? end - start : 0));
    writeIoHeader(answer, 0, op | ANSWER, 0, STATUS.OK, slot, seq, lba, count);
    if (op === OP.READ) this.store.copy(answer, HEADER_BYTES, start, end);
    this.spoil(answer);
    socket.write(answer.subarray(0, 11));
    socket.write(answer.subarray(11));
    this.requests++;
    if (this.requests % 20 === 0) socket.write(this.ping());
  }
}

function message(op: number, body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  writeMessageHeader(header, 0, op, 0, 0, 0, 0, body.length, 0);
  return Buffer.concat([header, body]);
}

async function rsioLoad(server: RsioServer, paths = 1, early: Buffer = Buffer.alloc(0)): Promise<LoadClient> {
  const place = await listen((said, socket) => server.serve(said, socket));
  const slotsEach = 60;
  const connections: OpenConnection[] = [];
  for (let path = 0; path < paths; path++) connections.push(await connected(place, [HANDLE, FIRST_SLOT + path * slotsEach], early));
  return ended(await LoadClient.adopt(connections, 'rsio', [0], BYTES, server.volumes));
}

test('RSIO: every request has its slot and the next seq, written data is read, and each PING gets its PONG', async (context) => {
  needCompiler(context);
  const server = new RsioServer();
  const early = server.ping();
  const client = await rsioLoad(server, 1, early);
  await client.sweep('write');
  await client.checked(MIX, 500);
  await client.sweep('read');
  await client.checked({ ...MIX, blockBytes: 1024 * 1024, depth: 4 }, 20);
  expect(server.pongs).toBeGreaterThan(20);
});

test('RSIO: the file may be many volumes, and each block is read from its own', async (context) => {
  needCompiler(context);
  const server = new RsioServer();
  server.volumes = 64;
  const client = await rsioLoad(server);
  await client.sweep('write');
  expect([...server.volumesAsked]).toEqual(Array.from({ length: 64 }, (_unused, volume) => volume));
  await client.checked(MIX, 500);
  await client.sweep('read');
});

test('RSIO: the paths of a session share its slots', async (context) => {
  needCompiler(context);
  const server = new RsioServer();
  const client = await rsioLoad(server, 3);
  await client.checked({ ...MIX, readPercent: 0 }, 15);
  expect(server.requests).toBe(15);
});

test('RSIO: an error answer, or an answer to another request, ends the load', async (context) => {
  needCompiler(context);
  const spoilers: [(answer: Buffer) => void, RegExp][] = [
    [(answer) => answer.writeUInt16BE(STATUS.IO_ERROR, 2), /answered with status 1$/],
    [(answer) => answer.writeUInt16BE(answer.readUInt16BE(6) + 1, 6), /to another request$/],
    [(answer) => answer.writeUInt16BE(answer.readUInt16BE(12) ^ 1, 12), /to another request$/],
    [(answer) => answer.writeUInt16BE(FIRST_SLOT - 1, 4), /which owes none$/],
    [(answer) => answer.writeUInt8(OP.BYE, 0), /ended the path/],
  ];
  for (const [spoil, sentence] of spoilers) {
    const server = new RsioServer();
    server.spoil = spoil;
    const client = await rsioLoad(server);
    await expect(client.checked({ ...MIX, readPercent: 0 }, 10)).rejects.toThrow(sentence);
  }
});

// --- iSCSI

const PDU_BYTES = 48;
const DATA_IN_BYTES = 4096;

/** A target whose unit first reports a unit attention, and which sends the data of a READ in several PDUs. */
class Target {
  readonly store = Buffer.alloc(BYTES);
  nops = 0;
  private statSn = 100;
  private cmdSn = 1;
  private reports = 2;

  serve(said: Buffer, socket: net.Socket): number {
    if (said.length < PDU_BYTES) return 0;
    const dataBytes = said.readUIntBE(5, 3);
    const used = PDU_BYTES + dataBytes + ((4 - (dataBytes % 4)) % 4);
    if (said.length < used) return 0;
    const pdu = said.subarray(0, PDU_BYTES);
    const data = said.subarray(PDU_BYTES, PDU_BYTES + dataBytes);
    const opcode = pdu.readUInt8(0) & 0x3f;
    if (opcode === 0x03) socket.write(this.loggedIn(pdu, data));
    else if (opcode === 0x00) this.nops++;
    else socket.write(this.executed(pdu, data));
    return used;
  }

  private loggedIn(pdu: Buffer, data: Buffer): Buffer {
    const wanted = data.toString().split('\0');
    expect(wanted).toContain('TargetName=iqn.2026-11.bench:test');
    const agreed = Buffer.from('MaxRecvDataSegmentLength=1048576\0FirstBurstLength=1048576\0ImmediateData=Yes\0');
    return Buffer.concat([this.answer(0x23, 0x87, pdu, agreed.length), agreed, Buffer.alloc((4 - (agreed.length % 4)) % 4)]);
  }

  private executed(pdu: Buffer, data: Buffer): Buffer {
    expect(pdu.readUInt8(0)).toBe(0x01);
    expect(pdu.readUInt32BE(24)).toBe(this.cmdSn++);
    expect(pdu.readUInt8(9)).toBe(1);
    const operation = pdu.readUInt8(32);
    if (operation === 0x00) {
      const answer = this.answer(0x21, 0x80, pdu, 0);
      if (this.reports-- > 0) answer.writeUInt8(2, 3);
      return answer;
    }
    const start = Number(pdu.readBigUInt64BE(34)) * SECTOR_BYTES;
    const length = pdu.readUInt32BE(42) * SECTOR_BYTES;
    expect(pdu.readUInt32BE(20)).toBe(length);
    if (operation === 0x8a) {
      expect(data.length).toBe(length);
      data.copy(this.store, start);
      return this.answer(0x21, 0x80, pdu, 0);
    }
    expect(operation).toBe(0x88);
    return this.dataOf(pdu, start, length);
  }

  private dataOf(pdu: Buffer, start: number, length: number): Buffer {
    const pieces: Buffer[] = [];
    for (let at = 0; at < length; at += DATA_IN_BYTES) {
      const header = Buffer.alloc(PDU_BYTES);
      header.writeUInt8(0x25, 0);
      header.writeUIntBE(DATA_IN_BYTES, 5, 3);
      pdu.copy(header, 16, 16, 20);
      header.writeUInt32BE(at, 40);
      pieces.push(header, this.store.subarray(start + at, start + at + DATA_IN_BYTES));
    }
    const ping = Buffer.alloc(PDU_BYTES);
    ping.writeUInt8(0x20, 0);
    ping.writeUInt32BE(0xffffffff, 16);
    ping.writeUInt32BE(5, 20);
    return Buffer.concat([...pieces, ping, this.answer(0x21, 0x80, pdu, 0)]);
  }

  private answer(opcode: number, flags: number, pdu: Buffer, dataBytes: number): Buffer {
    const header = Buffer.alloc(PDU_BYTES);
    header.writeUInt8(opcode, 0);
    header.writeUInt8(flags, 1);
    header.writeUIntBE(dataBytes, 5, 3);
    pdu.copy(header, 16, 16, 20);
    header.writeUInt32BE(this.statSn++, 24);
    return header;
  }
}

test('iSCSI: login, the first unit attention, writes with their data, reads in parts, and pings', async (context) => {
  needCompiler(context);
  const target = new Target();
  const place = await listen((said, socket) => target.serve(said, socket));
  const volume = { kind: 'iscsi', target: 'iqn.2026-11.bench:test' } as const;
  const plan = { client: 0, connections: 1, isReadonly: false, cores: [0] };
  const client = ended(await LoadClient.open({ ...place, volume }, plan, BYTES));
  await client.sweep('write');
  await client.checked(MIX, 300);
  await client.sweep('read');
  expect(target.nops).toBeGreaterThan(100);
});
