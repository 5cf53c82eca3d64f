// A raw iSCSI initiator on a real socket, for tests. It waits for each answer, answers pings, and repeats commands that a unit attention
// has stopped. raw-socket.ts implements the waiting.

import { connect } from 'node:net';
import { RawSocket } from '../../testing/raw-socket.ts';
import { chapResponse, HOST, keysOf, loginPdu, pdu, read10, type TargetPdu, targetPdus, write10 } from './iscsi-host.ts';

const ATTENTION = 6;
const NO_TAG = 0xffff_ffff;

export interface InitiatorLogin {
  readonly target: string;
  readonly lun: number;
  readonly host?: string;
  readonly isid?: string;
  /** Secret with which the host proves itself, by SHA-256. */
  readonly secret?: string;
}

export interface ScsiResult {
  readonly status: number;
  /** Key, code and qualifier, such as `2/040b`; empty without sense data. */
  readonly sense: string;
  readonly data: Buffer;
}

export class SocketInitiator extends RawSocket<TargetPdu> {
  /** A silent host answers no pings. */
  isSilent = false;
  private readonly lun: number;
  private cmdSn = 1;
  private tag = 1;

  private constructor(port: number, address: string, lun: number) {
    super(connect({ port, host: address }));
    this.lun = lun;
  }

  /** Logs in. Throws with the status of a refused login. */
  static async login(port: number, login: InitiatorLogin, address = '127.0.0.1'): Promise<SocketInitiator> {
    const { target, lun, host = HOST, isid = '400001370000', secret } = login;
    const one = new SocketInitiator(port, address, lun);
    const names = { InitiatorName: host, SessionType: 'Normal', TargetName: target };
    if (secret !== undefined) {
      await one.asks(loginPdu({ isid, stage: 0, keys: { ...names, AuthMethod: 'CHAP' } }));
      const { CHAP_I = '', CHAP_C = '' } = keysOf((await one.asks(loginPdu({ isid, stage: 0, keys: { CHAP_A: '7' } }))).data);
      const CHAP_R = chapResponse('7', CHAP_I, secret, CHAP_C);
      await one.asks(loginPdu({ isid, stage: 0, next: 1, keys: { CHAP_N: host, CHAP_R } }));
    }
    const keys = { InitialR2T: 'No', MaxRecvDataSegmentLength: '262144', ...(secret === undefined ? names : {}) };
    await one.asks(loginPdu({ isid, stage: 1, next: 3, keys }));
    return one;
  }

  /** The bytes of a write of whole 512-byte blocks, with its data in the command. */
  writeCommand(block: number, data: Buffer): Buffer {
    const words = { 20: data.length, 24: this.cmdSn++ };
    return pdu({ opcode: 1, flags: 0xa1, lun: this.lun, tag: this.tag++, words, cdb: write10(block, data.length / 512), data });
  }

  /** The bytes of a read of whole blocks of 512 bytes. */
  readCommand(block: number, bytes: number): Buffer {
    const words = { 20: bytes, 24: this.cmdSn++ };
    return pdu({ opcode: 1, flags: 0xc1, lun: this.lun, tag: this.tag++, words, cdb: read10(block, bytes / 512) });
  }

  /** Executes a command; `bytes` is the length of its data to the host. Commands that a unit attention has stopped are repeated. */
  async run(cdb: readonly number[], { bytes = 0, data }: { bytes?: number; data?: Buffer } = {}): Promise<ScsiResult> {
    for (let tries = 0; ; tries++) {
      const tag = this.tag++;
      const flags = data === undefined ? (bytes > 0 ? 0xc1 : 0x81) : 0xa1;
      const words = { 20: data?.length ?? bytes, 24: this.cmdSn++ };
      this.write(pdu({ opcode: 1, flags, lun: this.lun, tag, words, cdb, ...(data === undefined ? {} : { data }) }));
      const result = await this.result(tag);
      if (!result.sense.startsWith(`${ATTENTION}/`) || tries > 20) return result;
    }
  }

  async writeBlock(block: number, data: Buffer): Promise<ScsiResult> {
    return await this.run(write10(block, data.length / 512), { data });
  }

  async readBlock(block: number, bytes: number): Promise<Buffer> {
    const { status, sense, data } = await this.run(read10(block, bytes / 512), { bytes });
    if (status !== 0) throw new Error(`Read: ${status} ${sense}`);
    return data;
  }

  private async result(tag: number): Promise<ScsiResult> {
    const parts: Buffer[] = [];
    for (;;) {
      const one = await this.next((answer) => answer.tag === tag);
      if (one.opcode === 0x25) parts.push(one.data);
      if (one.opcode === 0x25 && (one.flags & 1) === 0) continue;
      const { data } = one;
      const sense = one.opcode === 0x21 && data.length > 16 ? `${data[4]! & 15}/${data.toString('hex', 14, 16)}` : '';
      return { status: one.head[3]!, sense, data: Buffer.concat(parts) };
    }
  }

  private async asks(bytes: Buffer): Promise<TargetPdu> {
    this.write(bytes);
    const answer = await this.next(({ opcode }) => opcode === 0x23);
    const status = answer.head.readUInt16BE(36);
    if (status !== 0) throw new Error(`Login: 0x${status.toString(16)}`);
    return answer;
  }

  protected override take(bytes: Buffer): Buffer {
    const { pdus, rest } = targetPdus(bytes);
    for (const one of pdus) {
      const isPing = one.opcode === 0x20 && one.tag === NO_TAG;
      if (isPing && this.isSilent) continue;
      if (isPing) this.write(pdu({ opcode: 0, isImmediate: true, tag: NO_TAG, words: { 20: one.head.readUInt32BE(20), 24: this.cmdSn } }));
      else this.found.push(one);
    }
    return rest;
  }
}
