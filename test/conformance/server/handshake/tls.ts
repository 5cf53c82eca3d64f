// Encrypted paths as a client sees them: shares, START_TLS, and TLS 1.3 with the key that docs/PROTOCOL.md describes. The cases use Node's
// TLS client and derive keys without the product's code. The unit tests of the handshake cover the checks that the client itself makes.

import { diffieHellman, generateKeyPairSync, createPublicKey, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import tls from 'node:tls';
import { FEATURE } from '@rsio/protocol/wire/features';
import { frameName, OP } from '@rsio/protocol/wire/frames';
import { HEADER_BYTES, SHARE_BYTES } from '@rsio/protocol/wire/limits';
import { frameBytes } from '../../../support/peers/raw-peer.ts';
import { type ServerCase, serverCase } from '../../base/case.ts';
import { closed, equals, holds } from '../../base/check.ts';
import { pack } from '../../base/pack.ts';
import { specPsk } from '../../base/spec-keys.ts';
import type { Target } from '../../base/target.ts';
import { type Greeted, greet, helloFields, helloFrame, proofFrame } from './handshake-steps.ts';

const SECTION = 'Encrypted paths';
const SUITE = 'TLS_AES_128_GCM_SHA256';
const NEW_SESSION = { session: null, dead: [] };
const WELCOME_DEADLINE_MS = 10_000;

interface OwnShare {
  readonly privateKey: KeyObject;
  readonly bytes: Buffer;
}

function ownShare(): OwnShare {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  return { privateKey, bytes: Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url') };
}

function agree({ privateKey }: OwnShare, share: Uint8Array): Buffer {
  const x = Buffer.from(share).toString('base64url');
  return diffieHellman({ privateKey, publicKey: createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' }) });
}

/** Plays the handshake of a new session up to and including START_TLS. */
async function started(target: Target): Promise<Greeted & { readonly psk: Buffer }> {
  target.leave();
  const share = ownShare();
  const greeted = await greet(target, { features: [FEATURE.TLS], share: share.bytes });
  holds(greeted.challenge.share !== undefined, 'CHALLENGE has no share');
  greeted.peer.send(proofFrame(greeted.keys, pack(NEW_SESSION)));
  const frame = await greeted.peer.next();
  equals('What answers PROOF', frameName(frame.op), 'START_TLS');
  equals('Its length', frame.length, 0);
  return { ...greeted, psk: specPsk(greeted.keys, agree(share, greeted.challenge.share)) };
}

/** Begins TLS with this key. Resolves with the socket, or with the reason of the failure. */
async function secure({ peer }: Greeted, identity: string, psk: Buffer): Promise<tls.TLSSocket | string> {
  peer.socket.removeAllListeners('data');
  const options = { socket: peer.socket, ciphers: SUITE, minVersion: 'TLSv1.3', pskCallback: () => ({ psk, identity }) } as const;
  const socket = tls.connect({ ...options, checkServerIdentity: () => undefined });
  const failed = new Promise<string>((resolve) => {
    socket.on('error', (error) => resolve(error.message));
    socket.on('close', () => resolve('closed'));
  });
  return Promise.race([once(socket, 'secureConnect').then(() => socket), failed]);
}

export const TLS_CASES: readonly ServerCase[] = [
  serverCase('handshake.tls.share', SECTION, 'CHALLENGE has a share, and the digest is not chosen beside TLS', async (target) => {
    const { challenge } = await greet(target, { features: [FEATURE.DIGEST, FEATURE.TLS], share: ownShare().bytes });
    equals('The features', challenge.features, [FEATURE.TLS]);
    equals('Bytes of the share', challenge.share?.length, SHARE_BYTES);
  }),
  serverCase('handshake.tls.fresh-share', SECTION, 'Each CHALLENGE has another share', async (target) => {
    const fields = { features: [FEATURE.TLS], share: ownShare().bytes };
    const [one, other] = [(await greet(target, fields)).challenge.share, (await greet(target, fields)).challenge.share];
    holds(one !== undefined && other !== undefined && !Buffer.from(one).equals(other), 'Two CHALLENGEs have the same share');
  }),
  serverCase('handshake.tls.not-offered', SECTION, 'A share without the feature is ignored', async (target) => {
    const { challenge } = await greet(target, { share: ownShare().bytes });
    equals('Features and share', [challenge.features, challenge.share], [[], undefined]);
  }),
  ...[
    { id: 'no-share', expects: 'The feature without a share', share: undefined, log: /HELLO offers TLS without a share/ },
    { id: 'short-share', expects: 'A share of 31 bytes', share: Buffer.alloc(SHARE_BYTES - 1, 9), log: /HELLO: field share must be/ },
  ].map(({ id, expects, share, log }) =>
    serverCase(
      `handshake.tls.${id}`,
      SECTION,
      `${expects} closes the connection`,
      async (target) => {
        const peer = await target.connectUnproven();
        peer.send(helloFrame(helloFields(target, { features: [FEATURE.TLS], ...(share === undefined ? {} : { share }) })));
        await closed(peer);
      },
      { log },
    ),
  ),
  serverCase(
    'handshake.tls.useless-share',
    SECTION,
    'A share that yields no secret closes the connection after PROOF',
    async (target) => {
      const { peer, keys } = await greet(target, { features: [FEATURE.TLS], share: Buffer.alloc(SHARE_BYTES) });
      peer.send(proofFrame(keys, pack(NEW_SESSION)));
      await closed(peer);
    },
    { log: /The share of the peer yields no secret/ },
  ),
  serverCase(
    'handshake.tls.welcome',
    SECTION,
    'TLS with the key of the connection begins, and WELCOME is the first frame inside',
    async (target) => {
      const greeted = await started(target);
      const socket = await secure(greeted, target.identity().node, greeted.psk);
      if (typeof socket === 'string') throw new Error(`There is no TLS: ${socket}`);
      equals('The suite', [socket.getProtocol(), socket.getCipher().standardName], ['TLSv1.3', SUITE]);
      const [first] = (await once(socket, 'data', { signal: AbortSignal.timeout(WELCOME_DEADLINE_MS) })) as [Buffer];
      equals('The first frame inside', first[0], OP.WELCOME);
      holds(first.length > HEADER_BYTES, 'WELCOME is incomplete');
      socket.destroy();
    },
  ),
  ...[
    { id: 'wrong-key', expects: 'TLS with another key', node: null, flip: 1 },
    { id: 'wrong-name', expects: 'TLS with the key under another name', node: 'somebody-else', flip: 0 },
  ].map(({ id, expects, node, flip }) =>
    serverCase(`handshake.tls.${id}`, SECTION, `${expects} does not begin`, async (target) => {
      const greeted = await started(target);
      const psk = Buffer.from(greeted.psk);
      psk[0]! ^= flip;
      const outcome = await secure(greeted, node ?? target.identity().node, psk);
      holds(typeof outcome === 'string', 'TLS has begun');
    }),
  ),
  serverCase('handshake.tls.plain', SECTION, 'A frame outside TLS after START_TLS closes the connection', async (target) => {
    const { peer } = await started(target);
    peer.send(frameBytes({ op: OP.LIST, body: Buffer.alloc(0) }));
    await peer.ended();
    const said = peer.frames.map(({ op }) => op);
    holds(!said.includes(OP.WELCOME), 'WELCOME came outside TLS');
  }),
  serverCase('handshake.tls.early', SECTION, 'A byte between PROOF and START_TLS closes the connection', async (target) => {
    const { peer, keys } = await greet(target, { features: [FEATURE.TLS], share: ownShare().bytes });
    peer.send(proofFrame(keys, pack(NEW_SESSION)), Buffer.of(22));
    await closed(peer);
  }),
];
