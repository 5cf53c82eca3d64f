// An eavesdropper records every byte of every path. Encrypted paths show neither data nor keys. Even with the nodekey, the eavesdropper
// cannot derive the key of TLS, because the X25519 secrets never cross the network. A run with plain paths shows that the test would find
// data and keys. Rules: G22. docs/PROTOCOL.md, Encrypted paths.

import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { baseKey, joinKey, sessionSecret, tlsPsk } from '@rsio/protocol/auth/keys';
import { FEATURE } from '@rsio/protocol/wire/features';
import { HEADER_BYTES } from '@rsio/protocol/wire/limits';
import { Challenge, Hello } from '@rsio/protocol/wire/messages';
import { expect, it } from 'vitest';
import { type ChaosProxy, chaosProxies } from '../support/faults/chaos-proxy.ts';
import { ENCRYPTED, keyOf, startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { RawClient } from '../support/peers/raw-peer.ts';
import { clientHelloOf, isBoundBy, PSK_DHE_KE } from '../support/peers/tls-records.ts';

const NODE = 'big-2';
const NAMESPACEID = 200;
const SERVERKEY = '0xserverkey-of-the-whole-lab';
const DATA_BYTES = 1024 * 1024;
const PATTERN_BYTES = 64;

const hosts = useHosts();

/** The bytes of one direction of all paths. */
class Recording {
  private readonly chunks: Buffer[] = [];
  readonly tap = (bytes: Buffer): void => void this.chunks.push(bytes);

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

interface Tapped {
  readonly server: Host;
  readonly client: Host;
  readonly network: TestNetwork;
  readonly toServer: readonly Recording[];
  readonly toClient: readonly Recording[];
  readonly serverAddresses: readonly string[];
}

async function tapped(): Promise<Tapped> {
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  const { proxies, serverAddresses } = await chaosProxies(hosts, network);
  await startServer(server, network, {
    volumes: { oracle: { path: server.file('oracle.img'), size: '16m' } },
    server: { serverkey: SERVERKEY },
  });
  const record = (proxy: ChaosProxy): readonly [Recording, Recording] => {
    const [there, back] = [new Recording(), new Recording()];
    proxy.set({ toServer: { tap: there.tap }, toClient: { tap: back.tap } });
    return [there, back];
  };
  const recordings = proxies.map(record);
  const [toServer, toClient] = [recordings.map(([there]) => there), recordings.map(([, back]) => back)];
  return { server, client, network, toServer, toClient, serverAddresses };
}

/** Returns the transcript T of a connection, which consists of the clear bytes at its beginning. */
function transcriptOf(toServer: Buffer, toClient: Buffer): Buffer {
  return createHash('sha256').update(frameAt(toServer, 0)).update(frameAt(toClient, 0)).digest();
}

function frameAt(bytes: Buffer, at: number): Buffer {
  return bytes.subarray(at, at + HEADER_BYTES + bytes.readUInt32BE(at + 8));
}

/** Returns the bytes that the client sent after HELLO and PROOF. */
function behindProof(toServer: Buffer): Buffer {
  const hello = frameAt(toServer, 0);
  return toServer.subarray(hello.length + frameAt(toServer, hello.length).length);
}

/** Whether the recording contains a piece of the secret. The piece is so long that it cannot be there by chance. */
function holds(recorded: Buffer, secret: Buffer): boolean {
  return recorded.includes(secret) || recorded.includes(secret.toString('hex')) || recorded.includes(secret.toString('base64'));
}

it.each([
  { what: 'plain paths: the listener has the data', defaults: {}, sees: true },
  { what: 'encrypted paths: the listener has none of it', defaults: ENCRYPTED, sees: false },
])('$what, and never a key', async ({ defaults, sees }) => {
  const { client, network, toServer, toClient, serverAddresses } = await tapped();
  await startClient(client, network, { serverAddresses, serverkey: SERVERKEY, defaults });
  await client.rsconfigWell('-a');
  const [written, read] = [randomBytes(PATTERN_BYTES), randomBytes(PATTERN_BYTES)];
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  for (const [index, pattern] of [written, read].entries()) {
    await nbd.write(index * DATA_BYTES, Buffer.alloc(DATA_BYTES, pattern));
    expect((await nbd.read(index * DATA_BYTES, DATA_BYTES)).equals(Buffer.alloc(DATA_BYTES, pattern))).toBe(true);
  }
  nbd.close();
  const [there, back] = [Buffer.concat(toServer.map(({ bytes }) => bytes)), Buffer.concat(toClient.map(({ bytes }) => bytes))];
  expect(there.length).toBeGreaterThan(2 * DATA_BYTES);
  expect(back.length).toBeGreaterThan(2 * DATA_BYTES);
  // A leak would be found even if only a quarter of the pattern was in the recording.
  const part = written.subarray(0, PATTERN_BYTES / 4);
  expect([there.includes(part), back.includes(part), there.includes('oracle'), back.includes('oracle')]).toEqual([sees, sees, sees, sees]);
  const key = baseKey(keyOf(NODE), SERVERKEY, NAMESPACEID);
  const first = transcriptOf(toServer[0]?.bytes ?? there, toClient[0]?.bytes ?? back);
  const secrets = [
    Buffer.from(keyOf(NODE)),
    Buffer.from(SERVERKEY),
    key,
    sessionSecret(key, first, null),
    joinKey(key, sessionSecret(key, first, null)),
  ];
  for (const secret of secrets) expect([holds(there, secret), holds(back, secret)]).toEqual([false, false]);
});

it('a recorded session cannot be decrypted with the nodekey: no key that a listener can derive is the one of TLS', async () => {
  const { network, toServer, toClient, serverAddresses } = await tapped();
  const raw = await RawClient.connect(
    { address: serverAddresses[0] ?? '', port: network.port, from: network.clientAddresses()[0] ?? '' },
    { node: NODE, nodekey: keyOf(NODE), serverkey: SERVERKEY, namespaceid: NAMESPACEID, hello: { features: [FEATURE.TLS] } },
  );
  await raw.greet();
  raw.prove(null);
  const real = await raw.keyOfTls();
  if (real === null) throw new Error('The server did not begin TLS');
  await raw.secure(real);
  await raw.welcomedBy(null);
  raw.close();
  const [there, back] = [toServer[0]?.bytes ?? Buffer.alloc(0), toClient[0]?.bytes ?? Buffer.alloc(0)];
  const hello = clientHelloOf(behindProof(there));
  expect([hello.identities, hello.keyExchangeModes]).toEqual([[NODE], [PSK_DHE_KE]]);
  // First shows that the check works: it accepts the key on which both ends have agreed.
  expect(isBoundBy(hello, real.psk)).toBe(true);
  const key = baseKey(keyOf(NODE), SERVERKEY, NAMESPACEID);
  const transcript = transcriptOf(there, back);
  const guesses = guessesOf(key, transcript, sharesOf(there, back));
  expect(guesses.filter((guess) => isBoundBy(hello, guess) || guess.equals(real.psk))).toEqual([]);
  const secret = raw.session.secret;
  expect(guesses.filter((guess) => guess.equals(secret) || joinKey(key, guess).equals(joinKey(key, secret)))).toEqual([]);
});

/** Returns both public shares of a recorded handshake. */
function sharesOf(there: Buffer, back: Buffer): Buffer[] {
  const [hello, challenge] = [frameAt(there, 0), frameAt(back, 0)];
  const shares = [
    Hello.decode(hello, HEADER_BYTES, hello.length - HEADER_BYTES).share,
    Challenge.decode(challenge, HEADER_BYTES, challenge.length - HEADER_BYTES).share,
  ];
  expect(shares.map((share) => share?.length)).toEqual([32, 32]);
  return shares.map((share) => Buffer.from(share ?? []));
}

/**
 * Returns the keys that an eavesdropper with K could guess. Each key is derived from a value that the eavesdropper could try in place of
 * the secret of the shares.
 */
function guessesOf(key: Buffer, transcript: Buffer, shares: readonly Buffer[]): Buffer[] {
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = shares;
  const agreed = [Buffer.alloc(0), Buffer.alloc(32), first, second, Buffer.concat([first, second]), Buffer.concat([second, first])];
  const keys = [key, ...agreed.map((one) => sessionSecret(key, transcript, one)), sessionSecret(key, transcript, null)];
  const joined = keys.map((one) => joinKey(key, one));
  const infos = ['rsio tls 1', 'rsio session 1', 'rsio session 2', 'rsio join 1', 'rsio key 1'];
  return [
    ...keys,
    ...joined,
    ...[...keys, ...joined].flatMap((one) => agreed.map((secret) => tlsPsk(one, transcript, secret))),
    ...infos.map((info) => Buffer.from(hkdfSync('sha256', key, transcript, info, 32))),
  ];
}
