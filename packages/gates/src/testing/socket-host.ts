// A raw NVMe/TCP host on a real socket, for tests. It waits for each answer. Like the kernel of Linux, it has an event request at the gate,
// reads the log of states after an event, and sends the next request under the same identifier, unless a test makes it silent.
// raw-socket.ts implements the waiting.

import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { authReceive, authSend, ChapHost } from '../nvme/testing/chap-host.ts';
import { type Answer, answers, capsule, connectCommand, icRequest, type Sqe } from '../nvme/testing/nvme-host.ts';
import { RawSocket } from './raw-socket.ts';

const QUIET_MS = 600_000;
/** Identifiers of the commands that a host sends by itself. */
const EVENTS = { ENABLE: 0xff00, REQUEST: 0xff01, LOG: 0xff02 } as const;
/** The event of a changed state of a namespace. */
const ANA_EVENTS = 1 << 11;

export interface HostLogin {
  readonly nqn: string;
  readonly hostNqn?: string;
  readonly qid?: number;
  readonly cntlid?: number;
  readonly keepAliveMs?: number;
  /** Secret with which the host proves itself. */
  readonly key?: Buffer;
  /** Secret that the gate has to prove to have. */
  readonly gateKey?: Buffer;
  /** Key with which the host uses TLS. */
  readonly tls?: { readonly identity: string; readonly psk: Buffer };
}

export class SocketHost extends RawSocket<Answer> {
  cntlid = 0;
  /** Session tickets that the gate has sent. */
  tickets = 0;
  /** How many events have been answered. While the host is silent, it takes events and does nothing. */
  events = 0;
  isSilent = false;

  private constructor(port: number, address: string, tls: HostLogin['tls']) {
    const socket = tls === undefined ? connect({ port, host: address }) : secure(port, address, tls);
    super(socket);
    socket.on('session', () => this.tickets++);
  }

  /** Connects, and logs in. Throws with the status of a refused Connect, or with the failure of an authentication. */
  static async login(port: number, login: HostLogin, address = '127.0.0.1'): Promise<SocketHost> {
    const host = await SocketHost.unproven(port, login, address);
    if (login.key !== undefined) await host.prove(login.key, login);
    if ((login.qid ?? 0) === 0) await host.run({ opcode: 0x7f, fabricsType: 0, cid: 1, dwords: [0, 0x14, 0x46_0001] });
    return host;
  }

  /** Sends only Connect. */
  static async unproven(port: number, login: HostLogin, address = '127.0.0.1'): Promise<SocketHost> {
    const host = new SocketHost(port, address, login.tls);
    host.write(icRequest());
    await host.next(({ kind }) => kind === 'ic');
    // This host sends no Keep Alive.
    const done = await host.run(connectCommand({ keepAliveMs: QUIET_MS, ...login, entries: (login.qid ?? 0) === 0 ? 32 : 64 }));
    if (done.kind !== 'done' || done.status !== 0) throw new Error(`Connect: ${JSON.stringify(done)}`);
    host.cntlid = done.low & 0xffff;
    return host;
  }

  /** A connection with an admin queue, and one with an I/O queue. */
  static async both(port: number, login: HostLogin, address?: string): Promise<{ readonly admin: SocketHost; readonly io: SocketHost }> {
    const admin = await SocketHost.login(port, login, address);
    admin.write(capsule({ opcode: 9, cid: EVENTS.ENABLE, dwords: [0x0b, ANA_EVENTS] }));
    admin.write(capsule({ opcode: 0x0c, cid: EVENTS.REQUEST }));
    return { admin, io: await SocketHost.login(port, { ...login, qid: 1, cntlid: admin.cntlid }, address) };
  }

  private async prove(key: Buffer, { nqn, hostNqn, gateKey }: HostLogin): Promise<void> {
    const chap = new ChapHost(key, nqn);
    await this.run(authSend(8, chap.negotiate()));
    const options = { ...(hostNqn === undefined ? {} : { hostNqn }), ...(gateKey === undefined ? {} : { gateKey }) };
    await this.run(authSend(8, chap.reply(await this.message(), options)));
    if (!chap.isSuccess(await this.message())) throw new Error('Authentication has failed');
    if (gateKey !== undefined) await this.run(authSend(8, chap.success2()));
  }

  private async message(): Promise<Buffer> {
    const data = await this.run(authReceive(9));
    if (data.kind !== 'data') throw new Error(`Receive: ${JSON.stringify(data)}`);
    await this.next((answer) => answer.kind === 'done' && answer.cid === 9);
    return data.data;
  }

  /** Sends a command, with or without data for the host, and resolves with its first answer. */
  async run(command: Sqe): Promise<Answer> {
    this.write(capsule(command));
    return await this.next((answer) => 'cid' in answer && answer.cid === command.cid);
  }

  async writeBlock(cid: number, block: number, data: Buffer): Promise<number> {
    const done = await this.run({ opcode: 1, cid, nsid: 1, dwords: [block, 0, data.length / 512 - 1], data });
    return done.kind === 'done' ? done.status : -1;
  }

  async readBlock(cid: number, block: number, bytes: number): Promise<Buffer> {
    const data = await this.run({ opcode: 2, cid, nsid: 1, dwords: [block, 0, bytes / 512 - 1], transferBytes: bytes });
    if (data.kind !== 'data') throw new Error(`Read: ${JSON.stringify(data)}`);
    await this.next((answer) => answer.kind === 'done' && answer.cid === cid);
    return data.data;
  }

  /** True for the answers to the commands that the host sends by itself. */
  private isOwn(answer: Answer): boolean {
    if (!('cid' in answer) || answer.cid < EVENTS.ENABLE) return false;
    if (answer.cid !== EVENTS.REQUEST || this.isSilent) return true;
    this.events++;
    this.write(capsule({ opcode: 2, cid: EVENTS.LOG, dwords: [(15 << 16) | 0x0c, 0], transferBytes: 64 }));
    this.write(capsule({ opcode: 0x0c, cid: EVENTS.REQUEST }));
    return true;
  }

  protected override take(bytes: Buffer): Buffer {
    let end = 0;
    while (bytes.length - end >= 8 && bytes.length - end >= bytes.readUInt32LE(end + 4)) end += bytes.readUInt32LE(end + 4);
    for (const answer of answers(bytes.subarray(0, end))) if (!this.isOwn(answer)) this.found.push(answer);
    return bytes.subarray(end);
  }
}

function secure(port: number, host: string, psk: { readonly identity: string; readonly psk: Buffer }): Socket {
  const options = { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256', checkServerIdentity: () => undefined } as const;
  return connectTls({ port, host, ...options, pskCallback: () => psk });
}
