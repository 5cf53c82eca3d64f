// The handshake of a connection with a simulated listener: the production handshake, with its time limit. sim-server.ts decides what
// becomes of a proven connection. Invariant: after PROOF, the listener reads nothing more from the connection.

import { wholeFrame } from '@rsio/protocol/auth/handshake-frames';
import {
  type Proven,
  provedRefusal,
  type RefusalText,
  refuseFrame,
  type SecretLookup,
  type ServerHandshake,
} from '@rsio/protocol/auth/handshake-server';
import { PROOF_TIMEOUT_MS } from '@rsio/protocol/auth/limits';
import { BufferPool } from '@rsio/base/structures/buffer-pool';
import { Decoder } from '@rsio/protocol/wire/decoder';
import type { SimProcess } from '../base/sim-clock.ts';
import type { SimEnd } from '../network/sim-link.ts';

export type Refuse = (refusal: RefusalText) => void;

export interface HandshakePorts {
  readonly listener: SimProcess;
  readonly handshake: ServerHandshake;
  readonly nodekey: string;
  readonly secretOf: SecretLookup;
  /** Called when the node is told to retry. */
  saysSlow(node: string): void;
  proven(proven: Proven, refuse: Refuse): void;
}

const handshakeBodies = new BufferPool(1024 * 1024);

export function proveConnection(end: SimEnd, ports: HandshakePorts): void {
  const { listener, handshake } = ports;
  if (end.isClosed) return;
  let isChallenged = false;
  let proven: Proven | null = null;
  const deadline = listener.after(PROOF_TIMEOUT_MS, () => end.destroy(true));
  const answer = (frame: Buffer): void => end.send(frame, 0, frame.length, () => undefined);
  const refuse: Refuse = (refusal) => {
    if (end.isClosed) return;
    answer(refuseFrame(refusal));
    end.end();
  };
  const take = (frame: Buffer): void => {
    const outcome = isChallenged ? handshake.onProof(frame, ports.secretOf, null) : handshake.onHello(frame, () => ports.nodekey);
    isChallenged = true;
    if (outcome.kind === 'challenge') answer(outcome.frame);
    else if (outcome.kind === 'refuse') refuse(outcome);
    else proven = outcome;
  };
  const decoder = new Decoder(
    {
      bodyBegins: () => undefined,
      frame: (header, body, offset) => take(wholeFrame(header, body, offset)),
      malformed: (reason) => {
        throw new Error(`The client's handshake is malformed: ${reason}`);
      },
    },
    handshakeBodies,
  );
  end.events = {
    onBytes: (bytes, offset, lengthBytes) => {
      decoder.push(bytes, offset, lengthBytes);
      if (proven === null) return;
      // The listener reads nothing more from the connection; the process of the session continues to read.
      deadline.cancel();
      end.events = null;
      const toProven = proven;
      ports.proven(proven, ({ code, sentence }) => {
        if (code === 'E_DRAINING') ports.saysSlow(toProven.hello.node);
        refuse(provedRefusal(toProven, code, sentence));
      });
    },
    onClosed: () => {
      deadline.cancel();
      decoder.stop();
    },
  };
}
