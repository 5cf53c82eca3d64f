// RSIO as the load generator speaks it: handshake and OPEN by the protocol package, then bare I/O frames. One path, no trunk above it: the
// client's own work is not what is measured here. Heartbeats are answered, or the server would close the path while it is idle.

import { randomBytes } from 'node:crypto';
import { ClientHandshake } from '@rsio/protocol/auth/handshake-client';
import { RsError } from '@rsio/protocol/lib/errors';
import { HEADER_BYTES, SECTOR_BYTES, SEQ_MODULUS, SLOTS } from '@rsio/protocol/limits';
import { PROTOCOL_VERSIONS } from '@rsio/protocol/wire/features';
import { ANSWER, frameName, OP } from '@rsio/protocol/wire/frames';
import { bodyLengthBytes, emptyHeader, type Header, readHeader, writeIoHeader, writeMessageHeader } from '@rsio/protocol/wire/header';
import { decodeFarewell, decodeHeartbeat, decodeOpenAnswer, encodeHeartbeat, encodeOpenRequest } from '@rsio/protocol/wire/message-codec';
import { STATUS, statusEntry } from '@rsio/protocol/wire/status';
import type { ByteStream } from './byte-stream.ts';
import type { Dialect } from './dialect.ts';

export interface RsioVolume {
  readonly kind: 'rsio';
  readonly namespaceid: number;
  readonly node: string;
  readonly nodekey: string;
  readonly volume: string;
}

/** Not one of the load's: it uses the first slots. */
const OPEN_SLOT = SLOTS - 1;

export class RsioDialect implements Dialect {
  readonly requestHeaderBytes = HEADER_BYTES;
  slot = -1;
  bodyBytes = 0;
  private readonly target: RsioVolume;
  private readonly header: Header = emptyHeader();
  private readonly seqs = new Uint16Array(SLOTS);
  private handle = 0;
  private pingsHeard = 0;

  constructor(target: RsioVolume) {
    this.target = target;
  }

  async open(stream: ByteStream): Promise<void> {
    const { namespaceid, node, nodekey, volume } = this.target;
    const hello = {
      versions: PROTOCOL_VERSIONS,
      features: [],
      namespaceid,
      node,
      instance: 1,
      machine: 'bench',
      boot: 'bench',
      interface: 'if0',
    };
    const handshake = new ClientHandshake({ nodekey, serverkey: null, hello }, randomBytes);
    stream.send(handshake.start());
    handshake.onChallenge(await this.takeFrame(stream));
    stream.send(handshake.proof(null, []));
    handshake.onWelcome(await this.takeFrame(stream));
    stream.send(openFrame(volume));
    const answer = await this.takeAnswer(stream);
    const body = answer.subarray(HEADER_BYTES);
    this.handle = decodeOpenAnswer(body, 0, body.length).handle;
  }

  writeRequest(buffer: Buffer, offset: number, slot: number, isWrite: boolean, positionBytes: number, lengthBytes: number): void {
    const seq = (this.seqs[slot]! + 1) % SEQ_MODULUS;
    this.seqs[slot] = seq;
    const op = isWrite ? OP.WRITE : OP.READ;
    writeIoHeader(buffer, offset, op, 0, this.handle, slot, seq, positionBytes / SECTOR_BYTES, lengthBytes / SECTOR_BYTES);
  }

  readAnswer(buffer: Buffer, offset: number): void {
    const { header } = this;
    readHeader(buffer, offset, header);
    this.bodyBytes = bodyLengthBytes(header);
    if (header.op === (OP.READ | ANSWER) || header.op === (OP.WRITE | ANSWER)) {
      if (header.handle !== STATUS.OK) throw statusError(header);
      this.slot = header.slot;
    } else if (this.bodyBytes >= 0) {
      this.slot = -1;
    } else {
      throw new RsError('E_PROTOCOL', `${frameName(header.op)}: no such frame`);
    }
  }

  aside(body: Buffer): Buffer | null {
    switch (this.header.op) {
      case OP.PING: {
        const { number, clockMs } = decodeHeartbeat(body, 0, body.length);
        this.pingsHeard++;
        const pong = encodeHeartbeat({ number, clockMs, heard: this.pingsHeard, oldestMs: 0, generation: 0 });
        return messageFrame(OP.PONG, 0, 0, pong);
      }
      case OP.NOTIFY:
        return null;
      case OP.BYE:
      case OP.REFUSE:
        throw new RsError('E_RESET', `The server said: ${decodeFarewell(body, 0, body.length).sentence}`);
      default:
        throw new RsError('E_PROTOCOL', `${frameName(this.header.op)} was not to come here`);
    }
  }

  private async takeFrame(stream: ByteStream): Promise<Buffer> {
    const header = await stream.take(HEADER_BYTES);
    readHeader(header, 0, this.header);
    return Buffer.concat([header, await stream.take(bodyLengthBytes(this.header))]);
  }

  /** The answer to OPEN, whatever else comes before it. */
  private async takeAnswer(stream: ByteStream): Promise<Buffer> {
    for (;;) {
      const frame = await this.takeFrame(stream);
      if (this.header.op === (OP.OPEN | ANSWER)) {
        if (this.header.handle !== STATUS.OK) throw statusError(this.header);
        return frame;
      }
      const answer = this.aside(frame.subarray(HEADER_BYTES));
      if (answer !== null) stream.send(answer);
    }
  }
}

function openFrame(volume: string): Buffer {
  return messageFrame(OP.OPEN, OPEN_SLOT, 1, encodeOpenRequest({ name: volume, universe: 0, readonly: false }));
}

function messageFrame(op: number, slot: number, seq: number, body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  writeMessageHeader(header, 0, op, 0, 0, slot, seq, body.length, 0);
  return Buffer.concat([header, body]);
}

function statusError({ op, handle: status, lba, count }: Header): RsError {
  const { name, sentence } = statusEntry(status);
  return new RsError('E_VOLUME', `${frameName(op)} of sector ${lba} + ${count}: ${name}: ${sentence}`);
}
