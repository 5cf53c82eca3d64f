// A plain NVMe/TCP target on one file, as a program: it executes what it reads, and knows nothing of other targets of the file. Two of them
// show what rule D1 prevents. Arguments: ADDRESS, PORT, FILE, the controller's id, the NQN. Invariant: the target does not use the codec of
// the gate, and each write has its data in its capsule.

import { fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { pdu } from '@rsio/gates/nvme/testing/nvme-host';

const [address = '', port = '', name = '', controller = '', nqn = ''] = process.argv.slice(2);
const NONE = Buffer.alloc(0);
const TYPE = { IC: 0, COMMAND: 4, ANSWER: 5, DATA: 7 } as const;
const FABRICS = { SET: 0, CONNECT: 1, GET: 4 } as const;
const ADMIN = { LOG: 2, IDENTIFY: 6, FEATURES: 9, EVENT: 12, KEEP_ALIVE: 24, FABRICS: 0x7f } as const;
const IO = { FLUSH: 0, WRITE: 1, READ: 2 } as const;
const INVALID = 0x4002;
const SECTOR = 512;
const PAGE = 4096;
const QUEUE_ENTRIES = 128;
const CAPSULE_DATA_BYTES = 8192;
const VERSION = 0x0001_0400;
/** CAP: queues of QUEUE_ENTRIES, contiguous, 10 s to get ready, the NVM command set. */
const CAP = [(QUEUE_ENTRIES - 1) | (1 << 16) | (20 << 24), 1 << 5] as const;
const LAST_AND_SUCCESS = 0x0c;

class Connection {
  private readonly socket: Socket;
  private isAdmin = true;
  /** CSTS: ready, and shut down. */
  private status = 0;
  private rest: Buffer = NONE;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => this.take(bytes));
  }

  private take(bytes: Buffer): void {
    this.rest = Buffer.concat([this.rest, bytes]);
    while (this.rest.length >= 8 && this.rest.length >= this.rest.readUInt32LE(4)) {
      const one = this.rest.subarray(0, this.rest.readUInt32LE(4));
      this.rest = this.rest.subarray(one.length);
      if (one[0] === TYPE.IC) this.greet();
      else this.command(one.subarray(8, 72), one.subarray(one[3] === 0 ? one.length : one[3]));
    }
  }

  private greet(): void {
    const header = Buffer.alloc(120);
    header.writeUInt32LE(1 << 20, 4);
    this.socket.write(pdu(TYPE.IC + 1, header, NONE));
  }

  private command(sqe: Buffer, data: Buffer): void {
    const [opcode, cid] = [sqe[0], sqe.readUInt16LE(2)];
    if (opcode === ADMIN.FABRICS) this.fabrics(sqe, cid);
    else if (this.isAdmin) this.admin(sqe, cid);
    else this.io(sqe, cid, data);
  }

  private fabrics(sqe: Buffer, cid: number): void {
    switch (sqe[4]) {
      case FABRICS.CONNECT:
        this.isAdmin = sqe.readUInt16LE(42) === 0;
        return this.answer(cid, 0, Number(controller));
      case FABRICS.SET:
        this.status = (sqe[48]! & 1) | ((sqe[49]! & 0xc0) === 0 ? 0 : 8);
        return this.answer(cid);
      case FABRICS.GET: {
        const values: Readonly<Record<number, readonly [number, number]>> = { 0: CAP, 8: [VERSION, 0], 0x1c: [this.status, 0] };
        return this.answer(cid, 0, ...(values[sqe.readUInt32LE(44)] ?? [0, 0]));
      }
      default:
        return this.answer(cid, INVALID);
    }
  }

  private admin(sqe: Buffer, cid: number): void {
    switch (sqe[0]) {
      case ADMIN.IDENTIFY:
        return this.identify(sqe[40]!, cid);
      case ADMIN.LOG:
        return this.send(cid, Buffer.alloc(4 * ((sqe.readUInt32LE(40) >>> 16) + 1)));
      case ADMIN.FEATURES:
        return this.answer(cid, 0, sqe.readUInt32LE(44));
      case ADMIN.KEEP_ALIVE:
        return this.answer(cid);
      case ADMIN.EVENT:
        return;
      default:
        return this.answer(cid, INVALID);
    }
  }

  private identify(what: number, cid: number): void {
    const page = Buffer.alloc(PAGE);
    if (what === 0) {
      for (const at of [0, 8, 16]) page.writeBigUInt64LE(BigInt(fstatSync(file).size / SECTOR), at);
      page[30] = 1;
      page.fill(0xab, 104, 120);
      page[130] = Math.log2(SECTOR);
    } else if (what === 1) {
      page.write('plain'.padEnd(20), 4);
      page.write('plain'.padEnd(40), 24);
      page.write('1'.padEnd(8), 64);
      page[76] = 3;
      page[77] = 5;
      for (const [at, value] of [
        [78, Number(controller)],
        [320, 10],
        [514, QUEUE_ENTRIES],
      ] as const)
        page.writeUInt16LE(value, at);
      for (const [at, value] of [
        [80, VERSION],
        [96, 1],
        [516, 1],
        [536, 1 | (1 << 20)],
        [540, 1],
      ] as const)
        page.writeUInt32LE(value, at);
      page[111] = 1;
      page.set([0x66, 0x44], 512);
      page.write(nqn, 768);
      page.writeUInt32LE((64 + CAPSULE_DATA_BYTES) / 16, 1792);
      page.writeUInt32LE(1, 1796);
      page[1803] = 1;
    } else if (what === 2) page.writeUInt32LE(1, 0);
    else if (what === 3) {
      page.set([2, 16], 0);
      page.fill(0xab, 4, 20);
    } else return this.answer(cid, INVALID);
    this.send(cid, page);
  }

  private io(sqe: Buffer, cid: number, data: Buffer): void {
    const [at, length] = [sqe.readUInt32LE(40) * SECTOR, (sqe.readUInt16LE(48) + 1) * SECTOR];
    if (sqe[0] === IO.READ) {
      const read = Buffer.alloc(length);
      readSync(file, read, 0, length, at);
      this.send(cid, read);
    } else {
      const isWritten = sqe[0] === IO.WRITE && writeSync(file, data, 0, data.length, at) === length;
      this.answer(cid, isWritten || sqe[0] === IO.FLUSH ? 0 : INVALID);
    }
  }

  private send(cid: number, data: Buffer): void {
    const header = Buffer.alloc(16);
    header.writeUInt16LE(cid, 0);
    header.writeUInt32LE(data.length, 8);
    this.socket.write(pdu(TYPE.DATA, header, data, undefined, LAST_AND_SUCCESS));
  }

  private answer(cid: number, status = 0, low = 0, high = 0): void {
    const entry = Buffer.alloc(16);
    entry.writeUInt32LE(low >>> 0, 0);
    entry.writeUInt32LE(high, 4);
    entry.writeUInt16LE(cid, 12);
    entry.writeUInt16LE(status << 1, 14);
    this.socket.write(pdu(TYPE.ANSWER, entry, NONE));
  }
}

const file = openSync(name, 'r+');
createServer({ noDelay: true }, (socket) => new Connection(socket)).listen(Number(port), address, () => console.log('listening'));
