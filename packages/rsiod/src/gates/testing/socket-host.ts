// A raw NVMe/TCP host on a real socket, for tests. It waits for each answer.
// Invariant: every wait has a bound, and ends when the gate closes the connection.

import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { systemClock } from '@rsio/common/lib/clock';
import { authReceive, authSend, ChapHost } from '../nvme/testing/chap-host.ts';
import { type Answer, answers, capsule, connectCommand, icRequest, type Sqe } from '../nvme/testing/nvme-host.ts';

const ANSWER_MS = 20_000;
const QUIET_MS = 600_000;

export interface HostLogin {
  readonly nqn: string;
  readonly hostNqn?: string;
  readonly qid?: number;
  readonly cntlid?: number;
  readonly keepAliveMs?: number;
  /** Secret with which the host proves itself. */
  readonly key?: Buffer;
  /** Secret that the gate has to prove. */
  readonly gateKey?: Buffer;
  /** Key with which the host uses TLS. */
  readonly tls?: { readonly identity: string; readonly psk: Buffer };
}

export class SocketHost {
  isClosed = false;
  cntlid = 0;
  private readonly socket: Socket;
  private rest = Buffer.alloc(0);
  private readonly found: Answer[] = [];
  private wake: (() => void) | null = null;

  /** Session tickets that the gate has sent. */
  tickets = 0;

  private constructor(port: number, address: string, tls: HostLogin['tls']) {
    this.socket = tls === undefined ? connect({ port, host: address }) : this.secure(port, address, tls);
    this.socket.on('data', (bytes: Buffer) => this.take(bytes));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.isClosed = true;
      this.wake?.();
    });
  }

  /** Connects, and logs in. Throws with the status of a refused Connect, or with the failure of an authentication. */
  static async login(port: number, login: HostLogin, address = '127.0.0.1'): Promise<SocketHost> {
    const host = await SocketHost.unproven(port, login, address);
    if (login.key !== undefined) await host.prove(login.key, login);
    if ((login.qid ?? 0) === 0) await host.run({ opcode: 0x7f, fabricsType: 0, cid: 1, dwords: [0, 0x14, 0x46_0001] });
    return host;
  }

  /** Sends no more than Connect. */
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

  private secure(port: number, host: string, psk: { readonly identity: string; readonly psk: Buffer }): Socket {
    const options = { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256', checkServerIdentity: () => undefined } as const;
    return connectTls({ port, host, ...options, pskCallback: () => psk }).on('session', () => this.tickets++);
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** Sends a command without data to the host, or one with data, and resolves with its first answer. */
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

  close(): void {
    this.socket.destroy();
  }

  /** Resolves with the next answer that `isIt` accepts, and drops the answers before it. Rejects if the gate closes the connection. */
  async next(isIt: (answer: Answer) => boolean): Promise<Answer> {
    const endMs = systemClock.monotonicMs() + ANSWER_MS;
    for (;;) {
      for (let one = this.found.shift(); one !== undefined; one = this.found.shift()) if (isIt(one)) return one;
      if (this.isClosed) throw new Error('The gate has closed the connection');
      if (systemClock.monotonicMs() > endMs) throw new Error('No answer of the gate');
      await new Promise<void>((resolve) => {
        const timer = systemClock.after(ANSWER_MS, resolve);
        this.wake = () => {
          timer.cancel();
          resolve();
        };
      });
    }
  }

  private take(bytes: Buffer): void {
    this.rest = Buffer.concat([this.rest, bytes]);
    let end = 0;
    while (this.rest.length - end >= 8 && this.rest.length - end >= this.rest.readUInt32LE(end + 4)) end += this.rest.readUInt32LE(end + 4);
    this.found.push(...answers(this.rest.subarray(0, end)));
    this.rest = this.rest.subarray(end);
    this.wake?.();
  }
}
