// PROOF and its answer in a first handshake: keys, macs, replays, early bytes, and time. join.ts has the cases about joining. All cases
// without MANY_FAILURES together fail fewer proofs from one address than FAILED_PROOFS_AT_ONCE.

import { randomBytes } from 'node:crypto';
import { FAILED_PROOFS_AT_ONCE, PROOF_TIMEOUT_MS } from '@rsio/protocol/auth/limits';
import { DEAD_PATHS_NAMED_MAX, SESSION_ID_BYTES, SHORT_TEXT_MAX_CHARS, SLOTS_RESERVED } from '@rsio/protocol/wire/limits';
import { UNPROVEN_PER_ADDRESS_MAX } from '@rsio/rssrv/server/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { asBytes, frameBytes, RawClient, type RawIdentity } from '../../../support/peers/raw-peer.ts';
import { type ServerCase, serverCase } from '../../base/case.ts';
import { closed, equals, holds, refused, refusedWith } from '../../base/check.ts';
import { pack } from '../../base/pack.ts';
import type { Target } from '../../base/target.ts';
import { type Fields, greet, helloFields, helloFrame, joinBody, proofFrame, welcomed } from './handshake-steps.ts';

const NEW_SESSION = { session: null, dead: [] };
/** For cases that fail more proofs than the server permits for one address. These cases need several source addresses. */
const MANY_FAILURES = { needs: ['addresses'] } as const;
const MIB = 1024 * 1024;
/** Longest wait for the end of an unproven connection. This wait is longer than the bound of the server. */
const PATIENCE_MS = PROOF_TIMEOUT_MS + 30_000;

/** Sends HELLO and PROOF as this node. Expects a REFUSE with E_AUTH, and returns its sentence. */
async function unproven(target: Target, identity: RawIdentity): Promise<string> {
  const peer = await target.connectUnproven(identity);
  await peer.greet();
  peer.prove(null);
  return (await refused(peer, 'E_AUTH')).sentence;
}

async function refusesChanged(target: Target, change: (proof: Buffer) => Buffer): Promise<void> {
  const { peer, keys } = await greet(target);
  const proof = proofFrame(keys, pack(NEW_SESSION));
  const body = change(Buffer.from(proof.subarray(16)));
  peer.send(frameBytes({ op: OP.PROOF, body }));
  await refused(peer, 'E_AUTH');
}

/** Makes a case in which a middleman has changed HELLO, so that T differs at both ends and the server must refuse PROOF. */
function tampered(id: string, expects: string, sent: Fields, pretended: Fields, extra: Parameters<typeof serverCase>[4] = {}): ServerCase {
  return serverCase(
    id,
    'Keys and macs',
    expects,
    async (target) => {
      const { peer, keys } = await greet(target, sent, pretended);
      peer.send(proofFrame(keys, pack(NEW_SESSION)));
      await refused(peer, 'E_AUTH');
    },
    extra,
  );
}

/** Makes a case with a PROOF that has a correct mac and an invalid body. */
function signedNonsense(id: string, expects: string, before: () => Buffer): ServerCase {
  return serverCase(`handshake.proof.${id}`, 'PROOF', expects, async (target) => {
    const { peer, keys } = await greet(target);
    peer.send(proofFrame(keys, before()));
    await closed(peer);
  });
}

function early(id: string, expects: string, extra: Buffer): ServerCase {
  const run = async (target: Target): Promise<void> => {
    const { peer, keys } = await greet(target);
    peer.send(proofFrame(keys, pack(NEW_SESSION)), extra);
    await closed(peer);
  };
  return serverCase(`handshake.early.${id}`, 'Silence', expects, run, { log: /before it was welcomed/ });
}

async function flipped(target: Target, at: (body: Buffer) => number): Promise<void> {
  await refusesChanged(target, (body) => {
    body[at(body)]! ^= 1;
    return body;
  });
}

async function silentUntilClosed(target: Target, begin: (peer: RawClient) => Promise<void>): Promise<void> {
  // The time is taken before sending, because the server may receive the bytes before the test continues.
  const startMs = performance.now();
  const peer = await target.connectUnproven();
  await begin(peer);
  await peer.ended(PATIENCE_MS);
  const elapsedMs = performance.now() - startMs;
  holds(elapsedMs > PROOF_TIMEOUT_MS - 500, `The connection was closed after ${Math.round(elapsedMs)} ms already`);
  equals('Frames that came', peer.frames.length, 0);
}

export const PROOF_CASES: readonly ServerCase[] = [
  serverCase(
    'handshake.proof.by-the-page',
    'Keys and macs',
    'A first handshake and a join with the keys of docs/PROTOCOL.md succeed, and both WELCOMEs have its macs',
    async (target) => {
      target.leave();
      const first = await greet(target);
      first.peer.send(proofFrame(first.keys, pack(NEW_SESSION)));
      const { welcome, secret } = await welcomed(first);
      const second = await greet(target);
      second.peer.send(proofFrame(second.keys, joinBody(second.keys, secret, { session: welcome.session, dead: [] })));
      const joined = await welcomed(second, secret);
      equals('The session that was joined', Buffer.compare(joined.welcome.session, welcome.session), 0);
    },
  ),
  serverCase(
    'handshake.welcome.fields',
    'WELCOME',
    'WELCOME grants slots and a window within their bounds, and names interfaces',
    async (target) => {
      const { welcome } = await target.first();
      equals('Length of the session', welcome.session.length, SESSION_ID_BYTES);
      holds(!Buffer.from(welcome.session).equals(Buffer.alloc(SESSION_ID_BYTES)), "The session is that of a probe's WELCOME");
      holds(welcome.slots > SLOTS_RESERVED && welcome.slots <= 65_535, `WELCOME grants ${welcome.slots} slots`);
      holds(welcome.windowBytes >= 2 * MIB, `WELCOME grants a window of ${welcome.windowBytes} bytes`);
      const { address, port } = target.options;
      const isNamed = welcome.interfaces.some((one) => one.address === address && one.port === port);
      holds(isNamed || !target.has('addresses'), `WELCOME does not name ${address} port ${port}`);
    },
  ),
  serverCase(
    'handshake.welcome.display',
    'WELCOME',
    'WELCOME tells the release as a text and the time of day as a counter, if at all, and no other time than its last one or later',
    async (target) => {
      target.leave();
      const told = async (): Promise<{ readonly release?: string | undefined; readonly wallMs?: number | undefined }> => {
        const greeted = await greet(target);
        greeted.peer.send(proofFrame(greeted.keys, pack(NEW_SESSION)));
        return (await welcomed(greeted)).welcome;
      };
      const [first, second] = [await told(), await told()];
      equals('The release of the second WELCOME', second.release, first.release);
      holds(first.release !== '' && (first.release ?? '').length <= SHORT_TEXT_MAX_CHARS, `WELCOME tells release '${first.release}'`);
      equals('WELCOME tells the time', second.wallMs === undefined, first.wallMs === undefined);
      holds((second.wallMs ?? 0) >= (first.wallMs ?? 0), `The time of day goes from ${first.wallMs} to ${second.wallMs}`);
    },
  ),
  serverCase(
    'handshake.proof.wrong-key',
    'Step by step',
    'A PROOF with another nodekey is refused with E_AUTH',
    async (target) => {
      await unproven(target, { ...target.identity(), nodekey: '0xanother-secret-of-somebody' });
    },
    { log: /wrong key for node/ },
  ),
  serverCase(
    'handshake.proof.unknown-node',
    'Step by step',
    'An unknown name is refused at PROOF with the text for a wrong key',
    async (target) => {
      const wrong = await unproven(target, { ...target.identity(), nodekey: '0xanother-secret-of-somebody' });
      equals('The sentence', await unproven(target, { ...target.identity(), node: 'nobody-of-this-name' }), wrong);
    },
    { log: /unknown node nobody-of-this-name/ },
  ),
  serverCase(
    'handshake.proof.serverkey',
    'Keys and macs',
    "A client whose serverkey differs from the server's is refused with E_AUTH",
    async (target) => {
      const { serverkey = null } = target.identity();
      await unproven(target, { ...target.identity(), serverkey: serverkey === null ? '0xa-server-key' : null });
    },
  ),
  serverCase('handshake.proof.changed-map', 'Keys and macs', 'A bit changed in the map of PROOF is refused with E_AUTH', (target) =>
    flipped(target, () => 5),
  ),
  serverCase(
    'handshake.proof.changed-mac',
    'Keys and macs',
    'A bit changed in the mac of PROOF is refused with E_AUTH',
    (target) => flipped(target, (body) => body.length - 1),
    MANY_FAILURES,
  ),
  serverCase(
    'handshake.proof.no-mac',
    'PROOF',
    'A PROOF without a mac is refused with E_AUTH',
    (target) => refusesChanged(target, (body) => body.subarray(0, body.length - 32)),
    MANY_FAILURES,
  ),
  serverCase(
    'handshake.proof.empty',
    'PROOF',
    'A PROOF without a body is refused with E_AUTH',
    (target) => refusesChanged(target, () => Buffer.alloc(0)),
    MANY_FAILURES,
  ),
  serverCase(
    'handshake.proof.replayed',
    'Keys and macs',
    'A PROOF recorded from another connection is refused with E_AUTH',
    async (target) => {
      const victim = await greet(target);
      const thief = await greet(target);
      thief.peer.send(proofFrame(victim.keys, pack(NEW_SESSION)));
      await refused(thief.peer, 'E_AUTH');
    },
    MANY_FAILURES,
  ),
  serverCase(
    'handshake.proof.replayed-whole',
    'Keys and macs',
    'HELLO and PROOF of a recorded client are refused with E_AUTH',
    async (target) => {
      const victim = await target.connectUnproven();
      const hello = victim.handshake.start();
      victim.send(hello);
      victim.handshake.onChallenge(asBytes(await victim.next()));
      const proof = victim.handshake.proof(null, []);
      const thief = await target.connectUnproven();
      thief.send(hello);
      equals('The op of the answer', (await thief.next()).op, OP.CHALLENGE);
      thief.send(proof);
      await refused(thief, 'E_AUTH');
    },
  ),
  tampered(
    'handshake.downgrade.versions',
    'A version removed from HELLO on the way changes the mac: E_AUTH',
    { versions: [1] },
    { versions: [2, 1] },
  ),
  tampered(
    'handshake.downgrade.features',
    'A feature removed from HELLO on the way changes the mac: E_AUTH',
    { features: [] },
    { features: ['digest'] },
    MANY_FAILURES,
  ),
  signedNonsense('not-a-map', 'A signed PROOF that is not a map closes the connection', () => pack([1, 2])),
  signedNonsense('no-dead', 'A signed PROOF without the field dead closes the connection', () => pack({ session: null })),
  signedNonsense('short-session', 'A signed PROOF with a session of 15 bytes closes the connection', () =>
    pack({ session: Buffer.alloc(15), dead: [] }),
  ),
  signedNonsense('too-many-dead', 'A signed PROOF that names 129 paths dead closes the connection', () =>
    pack({ session: null, dead: Array.from({ length: DEAD_PATHS_NAMED_MAX + 1 }, (_, path) => path) }),
  ),
  signedNonsense('join-mac-of-none', 'A signed PROOF of a new session with a second mac closes the connection', () =>
    Buffer.concat([pack(NEW_SESSION), randomBytes(32)]),
  ),
  early('byte', 'A byte after PROOF closes the connection before WELCOME', Buffer.from([OP.READ])),
  early('frame', 'A frame after PROOF closes the connection before WELCOME', frameBytes({ op: OP.LIST, seq: 1 })),
  serverCase('handshake.early.before-challenge', 'Silence', 'A byte after HELLO closes the connection before WELCOME', async (target) => {
    const peer = await target.connectUnproven();
    peer.send(helloFrame(helloFields(target)), Buffer.from([0]));
    const { op } = await peer.next();
    equals('The op of the answer', op, OP.CHALLENGE);
    peer.send(frameBytes({ op: OP.PROOF, body: Buffer.alloc(48) }));
    await closed(peer);
  }),
  serverCase('handshake.proof.a-read', 'Silence', 'READ in place of PROOF closes the connection', async (target) => {
    const { peer } = await greet(target);
    peer.request({ op: OP.READ, handle: 1, seq: 1, count: 1 });
    await closed(peer);
  }),
  serverCase(
    'handshake.time.silent',
    'Limits before the proof',
    'A client that sends nothing is closed after 5 s',
    (target) => silentUntilClosed(target, () => Promise.resolve()),
    { isPatient: true },
  ),
  serverCase(
    'handshake.time.halfway',
    'Limits before the proof',
    'A client that sends only HELLO is closed 5 s after it connected',
    (target) => silentUntilClosed(target, async (peer) => void (await peer.greet())),
    { isPatient: true },
  ),
  serverCase(
    'handshake.time.half-frame',
    'Limits before the proof',
    'A client that stops in the middle of HELLO is closed after 5 s',
    (target) =>
      silentUntilClosed(target, async (peer) => {
        peer.send(helloFrame(helloFields(target)).subarray(0, 40));
      }),
    { isPatient: true },
  ),
  serverCase(
    'handshake.limit.unproven',
    'Limits before the proof',
    'The 17th unproven connection of an address closes the oldest one with E_LIMIT; other addresses are not affected',
    async (target) => {
      const place = target.place();
      const waiting: RawClient[] = [];
      for (let count = 0; count < UNPROVEN_PER_ADDRESS_MAX; count++) waiting.push(await target.connectUnproven(target.identity(), place));
      await waiting.at(-1)?.greet();
      const elsewhere = await target.connectUnproven();
      const newClient = await target.connectUnproven(target.identity(), place);
      const [oldest] = waiting;
      if (oldest !== undefined) await refused(oldest, 'E_LIMIT');
      await newClient.greet();
      await waiting[1]?.greet();
      await elsewhere.greet();
    },
    { needs: ['addresses'] },
  ),
  serverCase(
    'handshake.limit.failed-proofs',
    'Limits before the proof',
    'After 10 failed proofs a node is refused with E_LIMIT after its PROOF; joins of its session and other addresses are not',
    async (target) => {
      const place = target.place();
      const first = await target.first();
      const wrong = { ...target.identity(), nodekey: '0xanother-secret-of-somebody' };
      for (let count = 0; count < FAILED_PROOFS_AT_ONCE; count++) {
        const peer = await target.connectUnproven(wrong, place);
        await peer.greet();
        peer.prove(null);
        await refused(peer, 'E_AUTH');
      }
      const right = await target.connectUnproven(target.identity(), place);
      await right.greet();
      right.prove(null);
      await refused(right, 'E_LIMIT');
      target.keep(await RawClient.login(place, first.identity, first));
      await greet(target);
    },
    { needs: ['addresses'] },
  ),
  serverCase(
    'handshake.limit.no-failure',
    'Limits before the proof',
    'Joins of an ended session, broken handshakes and correct proofs do not count as failed proofs',
    async (target) => {
      const first = await target.first();
      const place = target.place();
      for (let count = 0; count <= FAILED_PROOFS_AT_ONCE; count++) {
        const gone = await target.connectUnproven(target.identity(), place);
        await gone.greet();
        gone.prove({ session: randomBytes(16), secret: Buffer.alloc(32) });
        await refused(gone, 'E_NO_SESSION');
        const garbage = await target.connectUnproven(target.identity(), place);
        garbage.send(Buffer.alloc(16, 0xff));
        await garbage.ended();
        (await RawClient.login(place, first.identity, first)).close();
      }
      target.keep(await RawClient.login(place, first.identity, first));
    },
    { needs: ['addresses'] },
  ),
  serverCase(
    'handshake.instance.older',
    'H4',
    'An older instance of the node is refused with E_REPLACED',
    async (target) => {
      const { hello } = target.identity(1);
      const instance = hello?.instance ?? 0;
      const now = await target.login(1);
      await refusedWith('E_REPLACED', RawClient.login(target.place(), target.identity(1, { instance: instance - 1 })));
      await now.call({ op: OP.LIST });
    },
    { needs: ['second node'] },
  ),
  serverCase(
    'handshake.instance.other-machine',
    'H4',
    "Another machine of the node is refused with E_OTHER_MACHINE and the first one's address while the first is alive",
    async (target) => {
      const now = await target.login(1);
      const peer = await target.connectUnproven(target.identity(1, { machine: 'another-machine' }));
      await peer.greet();
      peer.prove(null);
      const { sentence } = await refused(peer, 'E_OTHER_MACHINE');
      const from = now.socket.localAddress ?? '';
      holds(sentence.includes(from), `The refusal does not name ${from}: ${sentence}`);
      await now.call({ op: OP.LIST });
    },
    { needs: ['second node'] },
  ),
  serverCase(
    'handshake.instance.copy',
    'H4',
    'A copy of the machine (another boot, or the same number in another process) is refused with E_OTHER_MACHINE while the first is alive',
    async (target) => {
      target.newInstance(1);
      const instance = target.identity(1).hello?.instance ?? 0;
      // The server remembers replaced processes, also those of an earlier run of this suite.
      const [first, second] = [`process-1-${instance}`, `process-2-${instance}`];
      const identity = target.identity(1, { process: first });
      const now = target.keep(await RawClient.begin(target.place(), identity));
      for (const hello of [{ boot: 'boot-2', process: second, instance: instance + 1 }, { process: second }]) {
        const peer = await target.connectUnproven(target.identity(1, hello));
        await peer.greet();
        peer.prove(null);
        await refused(peer, 'E_OTHER_MACHINE');
      }
      await now.call({ op: OP.LIST });
    },
    { needs: ['second node'] },
  ),
];
