// Connections that never log in, for tests. Each sends a script of steps: the first step at once, and each further step when the gate has
// answered. Invariant: `close` ends all of them.

import { connect, type Socket } from 'node:net';
import { chapResponse, HOST, keysOf, loginPdu, targetPdus } from '../iscsi/testing/iscsi-host.ts';
import { capsule, connectCommand, icRequest } from '../nvme/testing/nvme-host.ts';
import { DISCOVERY_NQN } from '../nvme/wire/constants.ts';

/** Bytes for the step with this number, after the bytes that the gate has sent before; null if there are no more. */
type Script = (step: number, received: Buffer) => Buffer | null;

/** Scripts for floods of an iSCSI gate, by name. `target`: the name of the target. */
export function iscsiFloods(target: string): Readonly<Record<string, Script>> {
  const names = { InitiatorName: HOST, SessionType: 'Normal', TargetName: target };
  const chap = loginPdu({ stage: 0, keys: { ...names, AuthMethod: 'CHAP,None' } });
  const emptyPart = loginPdu({ stage: 1, keys: {} });
  // The text goes on.
  emptyPart[1] = 0x44;
  const emptyParts = Buffer.concat(Array.from({ length: 2000 }, () => emptyPart));
  return {
    'say nothing': () => null,
    'send half a login': (step) => (step === 0 ? chap.subarray(0, 60) : null),
    'stop in the login': (step) => (step === 0 ? chap : null),
    'send a wrong proof': (step, received) => {
      if (step === 0) return chap;
      if (step === 1) return loginPdu({ stage: 0, keys: { CHAP_A: '7' } });
      const { CHAP_I = '', CHAP_C = '' } = keysOf(targetPdus(received).pdus.at(-1)?.data ?? Buffer.alloc(0));
      const CHAP_R = chapResponse('7', CHAP_I, 'another-secret!!', CHAP_C);
      return step === 2 ? loginPdu({ stage: 0, next: 1, keys: { CHAP_N: HOST, CHAP_R } }) : null;
    },
    'send texts without an end': () => emptyParts,
    'send a key at a time': (step) =>
      loginPdu({ stage: 0, keys: { ...(step === 0 ? { ...names, AuthMethod: 'CHAP' } : {}), [`X-${step}`]: '' } }),
  };
}

/** Scripts for floods of an NVMe gate, by name. */
export const NVME_FLOODS: Readonly<Record<string, Script>> = {
  'say nothing': () => null,
  'send half a greeting': (step) => (step === 0 ? icRequest().subarray(0, 60) : null),
  'stop in the login': (step) => (step === 0 ? icRequest() : null),
  'log in to the discovery under the name of the hosts': (step) =>
    step === 0 ? icRequest() : step === 1 ? capsule(connectCommand({ nqn: DISCOVERY_NQN, keepAliveMs: 0 })) : null,
};

export class LoginFlood {
  /** Connections that the gate has closed. */
  closed = 0;
  receivedBytes = 0;
  private readonly port: number;
  private readonly from: string;
  private readonly script: Script;
  private readonly sockets = new Set<Socket>();

  /** `from`: the address of the flood. */
  constructor(port: number, from: string, script: Script) {
    this.port = port;
    this.from = from;
    this.script = script;
  }

  get open(): number {
    return this.sockets.size;
  }

  /** Opens more connections. Resolves when the kernel has accepted all connections. */
  async grow(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.connect()));
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private async connect(): Promise<void> {
    const socket = connect({ port: this.port, host: '127.0.0.1', localAddress: this.from });
    this.sockets.add(socket);
    let step = 0;
    const next = (received: Buffer): void => {
      this.receivedBytes += received.length;
      const bytes = this.script(step, received);
      step++;
      if (bytes !== null) socket.write(bytes);
    };
    socket.on('data', next);
    socket.on('error', () => undefined);
    await new Promise<void>((resolve) => {
      socket.on('connect', () => {
        next(Buffer.alloc(0));
        resolve();
      });
      socket.on('close', () => {
        this.sockets.delete(socket);
        this.closed++;
        resolve();
      });
    });
  }
}
