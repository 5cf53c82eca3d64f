// Compares encoded frames byte for byte with fixed values, which docs/PROTOCOL.md also shows. A new value means a changed protocol. The
// macs were verified with an independent program.

import { expect, test } from 'vitest';
import { OP } from '../wire/frames.ts';
import { writeMessageHeader } from '../wire/header.ts';
import { Ping } from '../wire/messages.ts';
import { ClientHandshake } from './handshake-client.ts';
import { handshakeFrame } from './handshake-frames.ts';
import { buildWelcome, provedRefusal, refuseFrame, ServerHandshake } from './handshake-server.ts';

/** Returns `length` bytes that count up from `first`. */
function counting(first: number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => first + index));
}

const SESSION = counting(0x40, 16);

function handshake(
  join: { session: Buffer; secret: Buffer } | null,
): Record<'hello' | 'challenge' | 'proof' | 'welcome' | 'refusal', Buffer> {
  const client = new ClientHandshake(
    {
      nodekey: '0xbig2',
      serverkey: null,
      hello: {
        versions: [1],
        features: ['digest'],
        namespaceid: 200,
        node: 'big-2',
        instance: 7,
        machine: '00112233445566778899aabbccddeeff',
        boot: 'b0075afe-0000-4000-8000-000000000001',
        process: '9c0ce550-0000-4000-8000-000000000001',
        interface: 'if0',
      },
    },
    (lengthBytes) => counting(0x00, lengthBytes),
  );
  const server = new ServerHandshake(
    {
      namespaceid: 200,
      server: 'big-9',
      serverid: 1,
      instance: 'ffeeddccbbaa99887766554433221100',
      serverkey: null,
      versions: [1],
      features: ['digest'],
    },
    (lengthBytes) => counting(0x20, lengthBytes),
  );
  const hello = client.start();
  const challenged = server.onHello(hello, () => '0xbig2');
  if (challenged.kind !== 'challenge') throw new Error(challenged.logReason);
  client.onChallenge(challenged.frame);
  const proof = client.proof(join, join === null ? [] : [2]);
  const proven = server.onProof(proof, () => join?.secret ?? null, null);
  if (proven.kind === 'refuse') throw new Error(proven.logReason);
  const welcome = buildWelcome(proven.welcomeKey, proven.transcript, {
    session: SESSION,
    path: 1,
    slots: 256,
    windowBytes: 33554432,
    interfaces: [
      { name: 'if1', address: '192.168.45.10', port: 5000 },
      { name: 'if2', address: '192.168.46.10', port: 5000 },
    ],
    generation: 3,
  });
  client.onWelcome(welcome);
  return {
    hello,
    challenge: challenged.frame,
    proof,
    welcome,
    refusal: refuseFrame(provedRefusal(proven, 'E_NO_SESSION', 'No such session')),
  };
}

/** Returns a frame with an empty body and the number `aux` in its field aux. */
function bare(op: number, aux: number): Buffer {
  const frame = Buffer.alloc(16);
  writeMessageHeader(frame, 0, op, 0, 0, 0, 0, 0, aux);
  return frame;
}

const first = handshake(null);
const joined = handshake({ session: SESSION, secret: counting(0x80, 32) });

// Like the handshake frames, PING uses neither slot nor aux.
const FRAMES: readonly (readonly [string, Buffer, string])[] = [
  [
    'HELLO',
    first.hello,
    '0100000000000000000000f9000000008aa876657273696f6e739101a8666561747572657391a6646967657374ab6e616d6573706163656964ccc8a46e6f6465a56269672d32a8696e7374616e636507a76d616368696e65d9203030313132323333343435353636373738383939616162626363646465656666a4626f6f74d92462303037356166652d303030302d343030302d383030302d303030303030303030303031a770726f63657373d92439633063653535302d303030302d343030302d383030302d303030303030303030303031a9696e74657266616365a3696630a56e6f6e6365c420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
  ],
  [
    'CHALLENGE',
    first.challenge,
    '0200000000000000000000850000000086a776657273696f6e01a8666561747572657391a6646967657374a6736572766572a56269672d39a8736572766572696401a8696e7374616e6365d9206666656564646363626261613939383837373636353534343333323231313030a56e6f6e6365c420202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f',
  ],
  [
    'PROOF of a new session',
    first.proof,
    '0300000000000000000000300000000082a773657373696f6ec0a464656164901834749c393b06e075cd36e650d1f4a3c1c9e92aca1f10b18a437092a24e6d80',
  ],
  [
    'WELCOME to a new session',
    first.welcome,
    '0400000000000000000000c30000000086a773657373696f6ec410404142434445464748494a4b4c4d4e4fa47061746801a5736c6f7473cd0100ab77696e646f774279746573ce02000000aa696e74657266616365739283a46e616d65a3696631a761646472657373ad3139322e3136382e34352e3130a4706f7274cd138883a46e616d65a3696632a761646472657373ad3139322e3136382e34362e3130a4706f7274cd1388aa67656e65726174696f6e0330c54840011c91e0523bf61bac62af1b203a34ce50e03eb5c4613e61617c845a',
  ],
  [
    'PROOF that joins a session',
    joined.proof,
    '0300000000000000000000620000000082a773657373696f6ec410404142434445464748494a4b4c4d4e4fa4646561649102ea43b1d1f24cdf824e330d73efbc3a9a62c7e77becc994241588af67b07974da7b2bd8d1f4e11be678a4511b9842df053ad05a7e044c2fe00443e215f0a3b4f0',
  ],
  [
    'WELCOME to a join',
    joined.welcome,
    '0400000000000000000000c30000000086a773657373696f6ec410404142434445464748494a4b4c4d4e4fa47061746801a5736c6f7473cd0100ab77696e646f774279746573ce02000000aa696e74657266616365739283a46e616d65a3696631a761646472657373ad3139322e3136382e34352e3130a4706f7274cd138883a46e616d65a3696632a761646472657373ad3139322e3136382e34362e3130a4706f7274cd1388aa67656e65726174696f6e0365b97b67311af940b462ba4e03b3b1f00341baf14ff0acad3fcc7ed332b66fb2',
  ],
  [
    'REFUSE',
    refuseFrame({ code: 'E_NAMESPACE', sentence: 'Server big-9 serves namespaceid 200, not 201' }),
    '05000000000000000000004e0000000083a4636f6465ab455f4e414d455350414345a873656e74656e6365d92c536572766572206269672d3920736572766573206e616d6573706163656964203230302c206e6f7420323031a36d6163c0',
  ],
  [
    'REFUSE behind a PROOF that joins',
    joined.refusal,
    '0500000000000000000000520000000083a4636f6465ac455f4e4f5f53455353494f4ea873656e74656e6365af4e6f20737563682073657373696f6ea36d6163c4202a3d9fc0f903c772776bc822f59b7070fab966859127786e7b6331c4317f102a',
  ],
  [
    'PING',
    handshakeFrame(OP.PING, Ping.encode({ number: 5, clockMs: 1234.5, heard: 4, oldestMs: 0, generation: 3 })),
    '1000000000000000000000370000000085a66e756d62657205a7636c6f636b4d73cb40934a0000000000a5686561726404a86f6c646573744d7300aa67656e65726174696f6e03',
  ],
  ['FENCE of path 2', bare(OP.FENCE, 2), '12000000000000000000000000000002'],
  ['FENCED for path 2', bare(OP.FENCED, 2), '13000000000000000000000000000002'],
];

test.each(FRAMES)('%s', (_name, frame, golden) => {
  expect(frame.toString('hex')).toBe(golden);
});
