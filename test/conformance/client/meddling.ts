// Functions that make a scripted server misbehave at a step or in place of an answer, and hand-made bodies. If a Meddle returns `false`,
// test/support/peers/raw-server.ts behaves correctly at this step.

import { createHmac } from 'node:crypto';
import { handshakeFrame } from '@rsio/protocol/auth/handshake-frames';
import { ANSWER, OP } from '@rsio/protocol/wire/frames';
import { frameBytes, type RawFrame } from '../../support/peers/raw-peer.ts';
import type { Meddle, RawServerLink, Step } from '../../support/peers/raw-server.ts';
import { pack, type Packable } from '../base/pack.ts';

export type Act = (link: RawServerLink, frame: RawFrame) => void;
export type Fields = Readonly<Record<string, Packable>>;

export function at(step: Step, act: Act): Meddle {
  return (now, link, frame) => {
    if (now !== step) return false;
    act(link, frame as RawFrame);
    return true;
  };
}

export function saying(step: Step, ...bytes: readonly Buffer[]): Meddle {
  return at(step, (link) => link.send(...bytes));
}

export function answering(op: number, act: Act): Meddle {
  return (step, link, frame) => {
    if (step !== 'request' || frame?.op !== op) return false;
    act(link, frame);
    return true;
  };
}

/** Sends these bytes after WELCOME, and continues normally. */
export function behindWelcome(bytes: (link: RawServerLink) => Buffer): Meddle {
  return (step, link) => {
    if (step === 'welcomed') link.send(bytes(link));
    return false;
  };
}

/** Returns the fields that an answer to this request must repeat. */
export function tag({ op, slot, seq }: RawFrame): { op: number; slot: number; seq: number } {
  return { op: op | ANSWER, slot, seq };
}

const CHALLENGE: Fields = {
  version: 1,
  features: [],
  server: 'raw-1',
  serverid: 7,
  instance: '0'.repeat(32),
  nonce: Buffer.alloc(32),
};

export function challenge(changes: Fields): Meddle {
  return saying('hello', handshakeFrame(OP.CHALLENGE, pack({ ...CHALLENGE, ...changes })));
}

export function challengeWithout(name: string): Meddle {
  return saying('hello', handshakeFrame(OP.CHALLENGE, pack(Object.fromEntries(Object.entries(CHALLENGE).filter(([key]) => key !== name)))));
}

/** Sends a WELCOME with these fields changed and a correct mac. */
export function welcome(changes: Fields): Meddle {
  return at('proof', (link, frame) => {
    const { welcomeKey, transcript } = link.proven(frame);
    const { session, interfaces } = link.server;
    const named = interfaces.map((one) => ({ ...one }));
    const body = pack({ session, path: 0, slots: 256, windowBytes: 2 ** 25, interfaces: named, generation: 1, ...changes });
    const mac = createHmac('sha256', Buffer.from(welcomeKey, 'hex'))
      .update('server')
      .update(Buffer.from(transcript, 'hex'))
      .update(body)
      .digest();
    link.send(frameBytes({ op: OP.WELCOME, body: Buffer.concat([body, mac]) }));
  });
}

/** Returns the errno with which the I/O of an application fails; 0 if it succeeds. */
export async function errnoOf(io: Promise<unknown>): Promise<number> {
  try {
    await io;
    return 0;
  } catch (error) {
    return Number(/^Errno (\d+) /.exec(error instanceof Error ? error.message : '')?.[1] ?? Number.NaN);
  }
}
