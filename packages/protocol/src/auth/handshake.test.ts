// Runs both sides of the handshake against each other. The test can observe, change or replace every frame on its way. keys.test.ts tests
// single keys and macs. Invariant: every random generator has a fixed text as its seed, so that every failure is reproducible. Rules: G9.

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { HEADER_BYTES } from '../wire/limits.ts';
import { HANDSHAKE_MESSAGE_MAX_BYTES } from './limits.ts';
import { OP } from '../wire/frames.ts';
import { FEATURE } from '../wire/features.ts';
import { emptyHeader, readHeader } from '../wire/header.ts';
import { Hello, type Welcome } from '../wire/messages.ts';
import { ClientHandshake, type ClientIdentity, type SessionToJoin } from './handshake-client.ts';
import { handshakeFrame, type RandomBytes, wholeFrame } from './handshake-frames.ts';
import {
  buildWelcome,
  type Proven,
  provedRefusal,
  refuseFrame,
  type SecretLookup,
  ServerHandshake,
  type ServerIdentity,
} from './handshake-server.ts';

const CLIENT: ClientIdentity = {
  nodekey: '0xbig2',
  serverkey: null,
  hello: {
    versions: [1, 2],
    features: ['digest', 'extra'],
    namespaceid: 200,
    node: 'big-2',
    instance: 1,
    machine: 'machine-1',
    boot: 'boot-1',
    process: 'process-1',
    interface: 'if0',
  },
};
const SERVER: ServerIdentity = {
  namespaceid: 200,
  server: 'big-9',
  serverid: 1,
  instance: '0123456789abcdef0123456789abcdef',
  serverkey: null,
  versions: [1, 2],
  features: ['digest'],
};
const SESSION = Buffer.alloc(16, 0x5e);
const WELCOME: Welcome = {
  session: SESSION,
  path: 1,
  slots: 256,
  windowBytes: 32 * 1024 * 1024,
  interfaces: [{ name: 'if1', address: '192.168.45.10', port: 5000 }],
  generation: 3,
};

/** Bytes that differ on every call but are the same in every run. */
function seededRandom(seed: string): RandomBytes {
  let count = 0;
  return (lengthBytes) => createHash('sha256').update(`${seed} ${count++}`).digest().subarray(0, lengthBytes);
}

interface Setup {
  client?: Partial<ClientIdentity>;
  hello?: Partial<Hello>;
  server?: Partial<ServerIdentity>;
  keys?: ReadonlyMap<string, string>;
  join?: SessionToJoin;
  dead?: readonly number[];
  secretOf?: SecretLookup;
  welcome?: Welcome;
  seed?: string;
  /** Observes, and may change, every frame in transit. */
  between?: (op: number, frame: Buffer) => Buffer;
}

interface Outcome {
  /** The server's final result; if the server refused, the error code. */
  server: Proven | string;
  logReason: string;
  isFailedProof: boolean;
  /** The client's final result; if the client threw, the error code. */
  client: Welcome | string;
  message: string;
  /** A refusal that the client may trust as the server's statement. */
  isProved: boolean;
  sessionSecret: Buffer | null;
}

const KEYS: ReadonlyMap<string, string> = new Map([['big-2', '0xbig2']]);

function run(setup: Setup = {}): Outcome {
  const outcome: Outcome = {
    server: 'none',
    logReason: '',
    isFailedProof: false,
    client: 'none',
    message: '',
    isProved: false,
    sessionSecret: null,
  };
  const between = setup.between ?? ((_op, frame) => frame);
  const identity: ClientIdentity = { ...CLIENT, ...setup.client, hello: { ...CLIENT.hello, ...setup.hello } };
  const client = new ClientHandshake(identity, seededRandom(`client ${setup.seed}`));
  const server = new ServerHandshake({ ...SERVER, ...setup.server }, seededRandom(`server ${setup.seed}`));
  const answer = (op: number, take: () => { frame: Buffer } | Proven | ReturnType<ServerHandshake['onHello']>): Buffer => {
    const step = take();
    if ('frame' in step) return between(op, step.frame);
    if (step.kind === 'refuse') {
      Object.assign(outcome, { server: step.code, logReason: step.logReason, isFailedProof: step.isFailedProof });
      return between(OP.REFUSE, refuseFrame(step));
    }
    outcome.server = step;
    return between(op, buildWelcome(step.welcomeKey, step.transcript, setup.welcome ?? WELCOME));
  };
  try {
    const hello = between(OP.HELLO, client.start());
    client.onChallenge(answer(OP.CHALLENGE, () => server.onHello(hello, (node) => (setup.keys ?? KEYS).get(node) ?? null)));
    const proof = between(OP.PROOF, client.proof(setup.join ?? null, setup.dead ?? []));
    outcome.client = client.onWelcome(answer(OP.WELCOME, () => server.onProof(proof, setup.secretOf ?? (() => null), null)));
    outcome.sessionSecret = setup.join === undefined ? client.sessionSecret : null;
  } catch (thrown) {
    if (!(thrown instanceof RsError)) throw thrown;
    outcome.client = thrown.code;
    outcome.message = thrown.message;
    outcome.isProved = thrown.context['proved'] === true;
  }
  return outcome;
}

function proven(outcome: Outcome): Proven {
  if (typeof outcome.server === 'string') throw new Error(`The server refused: ${outcome.server} ${outcome.logReason}`);
  return outcome.server;
}

/** Runs a first handshake, and returns the data that are needed to join its session. */
function firstThenJoin(): { join: SessionToJoin; secretOf: SecretLookup } {
  const first = proven(run({ seed: 'first' }));
  if (first.kind !== 'new') throw new Error('A first handshake began no session');
  const { sessionSecret } = first;
  const secretOf: SecretLookup = (session, node) => (SESSION.equals(session) && node === 'big-2' ? sessionSecret : null);
  return { join: { session: SESSION, secret: sessionSecret }, secretOf };
}

describe('a handshake with the right key', () => {
  test('proves both sides, with the highest common version and the common features', () => {
    const outcome = run({ client: { serverkey: 'swordfish' }, server: { serverkey: 'swordfish' } });
    expect(outcome.client).toEqual(WELCOME);
    const server = proven(outcome);
    expect(server).toMatchObject({
      kind: 'new',
      version: 2,
      features: ['digest'],
      hello: CLIENT.hello,
      proof: { session: null, dead: [] },
    });
    expect(server.kind === 'new' && server.sessionSecret).toEqual(outcome.sessionSecret);
  });

  test('chooses version 1 if one side has no later one', () => {
    expect(run({ hello: { versions: [1] } }).server).toMatchObject({ version: 1 });
    expect(run({ server: { versions: [1], features: [] } }).server).toMatchObject({ version: 1, features: [] });
  });

  test('joins a session, naming dead paths', () => {
    const { join, secretOf } = firstThenJoin();
    const outcome = run({ join, secretOf, dead: [3, 0xffffffff] });
    expect(outcome.client).toEqual(WELCOME);
    expect(outcome.server).toMatchObject({ kind: 'join', session: SESSION, proof: { dead: [3, 0xffffffff] } });
  });

  test('what WELCOME needs in another process survives JSON', () => {
    const server = proven(run());
    const { welcomeKey, transcript } = JSON.parse(JSON.stringify(server)) as Proven;
    expect(buildWelcome(welcomeKey, transcript, WELCOME)).toEqual(buildWelcome(server.welcomeKey, server.transcript, WELCOME));
  });

  test('every frame stays within the bound before the proof, even with the longest names', () => {
    const long = {
      hello: { node: 'n'.repeat(63), machine: 'm'.repeat(128), boot: 'b'.repeat(128), process: 'p'.repeat(128), interface: 'i'.repeat(63) },
    };
    const between = (_op: number, frame: Buffer): Buffer => {
      expect(frame.length - HEADER_BYTES).toBeLessThanOrEqual(HANDSHAKE_MESSAGE_MAX_BYTES);
      return frame;
    };
    expect(run({ ...long, keys: new Map([['n'.repeat(63), '0xbig2']]), between }).client).toEqual(WELCOME);
  });

  test('a frame reassembled from header and body is the same frame', () => {
    const between = (_op: number, frame: Buffer): Buffer => {
      const header = emptyHeader();
      readHeader(frame, 0, header);
      return wholeFrame(header, Buffer.concat([Buffer.alloc(5), frame.subarray(HEADER_BYTES)]), 5);
    };
    expect(run({ between }).client).toEqual(WELCOME);
  });
});

describe('a data process', () => {
  const supporting = { features: ['digest', FEATURE.DATA_PROCESSES] };

  test('names its number to a server that supports data processes', () => {
    const outcome = run({ hello: { dataProcess: 3 }, server: supporting });
    expect(outcome.client).toEqual(WELCOME);
    expect(proven(outcome)).toMatchObject({ hello: { dataProcess: 3 }, features: ['digest', FEATURE.DATA_PROCESSES] });
  });

  test('never sends a PROOF to an older server, where it would end the session of the main process', () => {
    const ops: number[] = [];
    const between = (op: number, frame: Buffer): Buffer => (ops.push(op), frame);
    const outcome = run({ hello: { dataProcess: 1 }, between });
    expect(outcome).toMatchObject({ client: 'E_VERSION', server: 'none' });
    expect(outcome.message).toBe(
      'Server big-9 does not support data processes of a client: update the server, or set processes = 1 in section [defaults] of /etc/rscltcfg on this client',
    );
    expect(ops).toEqual([OP.HELLO, OP.CHALLENGE]);
  });

  test('is a protocol error without the feature, and the main process does not offer the feature', () => {
    const between = (op: number, frame: Buffer): Buffer => {
      if (op !== OP.HELLO) return frame;
      const hello = Hello.decode(frame, HEADER_BYTES, frame.length - HEADER_BYTES);
      return handshakeFrame(OP.HELLO, Hello.encode({ ...hello, features: [], dataProcess: 1 }));
    };
    expect(run({ server: supporting, between }).client).toBe('E_PROTOCOL');
    expect(proven(run({ server: supporting })).features).toEqual(['digest']);
  });
});

describe('refusals', () => {
  test('an unknown name and a wrong key look the same from outside, but not in the log', () => {
    const unknown = run({ hello: { node: 'nobody' } });
    const wrong = run({ client: { nodekey: '0xother' } });
    expect(unknown).toMatchObject({ client: 'E_AUTH', server: 'E_AUTH', logReason: 'unknown node nobody', isFailedProof: true });
    expect(wrong).toMatchObject({ client: 'E_AUTH', server: 'E_AUTH', logReason: 'wrong key for node big-2', isFailedProof: true });
    expect(unknown.message).toBe(wrong.message);
  });

  test('unknown and known names get frames of the same lengths', () => {
    const lengths = (setup: Setup): number[] => {
      const seen: number[] = [];
      run({ ...setup, between: (_op, frame) => (seen.push(frame.length), frame) });
      return seen;
    };
    expect(lengths({ hello: { node: 'big-3' } })).toEqual(lengths({ client: { nodekey: '0xother' } }));
  });

  test('another namespace and the lack of a common version are reported before any key is used', () => {
    const namespace = run({ hello: { namespaceid: 201 } });
    expect(namespace).toMatchObject({ client: 'E_NAMESPACE', isFailedProof: false });
    expect(namespace.message).toContain('Server big-9 serves namespaceid 200, not 201');
    const version = run({ hello: { versions: [7, 9] } });
    expect(version).toMatchObject({ client: 'E_VERSION', isFailedProof: false });
    expect(version.message).toContain('speaks protocol version 1, 2, the client 7, 9');
  });

  test('a serverkey on one side only, or a different one, proves nothing', () => {
    expect(run({ client: { serverkey: 'a' } }).client).toBe('E_AUTH');
    expect(run({ server: { serverkey: 'a' } }).client).toBe('E_AUTH');
    expect(run({ client: { serverkey: 'a' }, server: { serverkey: 'b' } }).client).toBe('E_AUTH');
  });

  test('joining a lost session is refused as such, only after a proof of the node key, and is not a failed proof', () => {
    const { join } = firstThenJoin();
    expect(run({ join, secretOf: () => null })).toMatchObject({ client: 'E_NO_SESSION', isFailedProof: false });
    expect(run({ join, secretOf: () => null, client: { nodekey: '0xother' } })).toMatchObject({ client: 'E_AUTH', isFailedProof: true });
    expect(run({ join, secretOf: () => null, hello: { node: 'nobody' } })).toMatchObject({ client: 'E_AUTH', isFailedProof: true });
  });

  test('the server proves a refusal after a valid PROOF, but none before it', () => {
    const { join, secretOf } = firstThenJoin();
    expect(run({ join, secretOf: () => null })).toMatchObject({ client: 'E_NO_SESSION', isProved: true });
    for (const setup of [
      { hello: { namespaceid: 201 } },
      { client: { nodekey: '0xother' } },
      { join: { ...join, secret: SESSION }, secretOf },
    ])
      expect(run(setup).isProved).toBe(false);
    const byBoth = (op: number, frame: Buffer): Buffer =>
      op === OP.WELCOME ? refuseFrame(provedRefusal(proven(run({ join, secretOf })), 'E_REPLACED', 'You are not the last')) : frame;
    expect(run({ join, secretOf, between: byBoth })).toMatchObject({ client: 'E_REPLACED', isProved: true });
  });

  test('a mac of another handshake, key or code, or from before PROOF, does not prove a refusal', () => {
    const { join } = firstThenJoin();
    const refuses = (words: Parameters<typeof refuseFrame>[0], step: number = OP.REFUSE): Outcome =>
      run({ join, secretOf: () => null, between: (op, frame) => (op === step ? refuseFrame(words) : frame) });
    const provedBy = (setup: Setup): Parameters<typeof refuseFrame>[0] => provedRefusal(proven(run(setup)), 'E_NO_SESSION', '');
    expect(refuses(provedBy({})).isProved).toBe(true);
    expect(refuses(provedBy({}), OP.CHALLENGE)).toMatchObject({ client: 'E_NO_SESSION', isProved: false });
    expect(refuses(provedBy({ seed: 'another' }))).toMatchObject({ client: 'E_NO_SESSION', isProved: false });
    const other = { client: { nodekey: '0xother' }, keys: new Map([['big-2', '0xother']]) };
    expect(refuses(provedBy(other)).isProved).toBe(false);
    expect(refuses({ ...provedBy({}), code: 'E_REPLACED' })).toMatchObject({ client: 'E_REPLACED', isProved: false });
    expect(refuses({ code: 'E_NO_SESSION', sentence: '' })).toMatchObject({ client: 'E_NO_SESSION', isProved: false });
  });

  test('joining with a wrong secret fails, with the same text as a wrong key', () => {
    const { join, secretOf } = firstThenJoin();
    const outcome = run({ join: { ...join, secret: Buffer.alloc(32) }, secretOf });
    expect(outcome).toMatchObject({ client: 'E_AUTH', server: 'E_AUTH', isFailedProof: true });
    expect(outcome.logReason).toContain('secret of the session');
    expect(outcome.message).toBe(run({ client: { nodekey: '0xother' } }).message);
  });

  test('a server that does not know the secret, or answers with another session, is rejected', () => {
    const { join, secretOf } = firstThenJoin();
    const forged = (outcome: Outcome): string => (typeof outcome.client === 'string' ? outcome.client : 'welcome');
    const plainKey = proven(run({ seed: 'same' })).welcomeKey;
    const between = (op: number, frame: Buffer): Buffer =>
      op === OP.WELCOME ? buildWelcome(plainKey, proven(run({ seed: 'same', join, secretOf })).transcript, WELCOME) : frame;
    expect(forged(run({ seed: 'same', join, secretOf, between }))).toBe('E_AUTH');
    expect(forged(run({ join, secretOf, welcome: { ...WELCOME, session: Buffer.alloc(16) } }))).toBe('E_PROTOCOL');
  });

  test.each([
    ['E_LIMIT', 'Too many', 'E_LIMIT', 'Server refused the connection: Too many'],
    ['E_REPLACED', '', 'E_REPLACED', 'Server refused the connection: E_REPLACED'],
    ['E_NEWER', 'a\u001b[2Jb', 'E_PROTOCOL', 'Server refused the connection (E_NEWER): a [2Jb'],
    ['E_INTERNAL', 'x', 'E_PROTOCOL', 'Server refused the connection (E_INTERNAL): x'],
  ])('REFUSE %s is thrown at either step', (code, sentence, thrown, message) => {
    const body = Buffer.concat([Buffer.from([0x82, 0xa4]), Buffer.from('code'), fixText(code), fixText('sentence'), fixText(sentence)]);
    for (const step of [OP.CHALLENGE, OP.WELCOME]) {
      const between = (op: number, frame: Buffer): Buffer => (op === step ? handshakeFrame(OP.REFUSE, body) : frame);
      expect(run({ between })).toMatchObject({ client: thrown, message });
    }
  });

  test('a choice that was not offered ends the handshake', () => {
    const other = (identity: Partial<ServerIdentity>): Buffer => {
      let challenge: Buffer = Buffer.alloc(0);
      run({
        hello: { versions: [1, 2, 3], features: ['digest', 'extra', 'third'] },
        server: { versions: [1, 2, 3], features: ['digest', 'third'], ...identity },
        between: (op, frame) => (op === OP.CHALLENGE ? (challenge = frame) : frame),
      });
      return challenge;
    };
    const outcome = (challenge: Buffer): unknown => run({ between: (op, frame) => (op === OP.CHALLENGE ? challenge : frame) }).client;
    expect(outcome(other({ features: [] }))).toBe('E_VERSION');
    expect(outcome(other({ versions: [2] }))).toBe('E_PROTOCOL');
  });
});

function fixText(text: string): Buffer {
  return Buffer.concat([Buffer.from([0xa0 | text.length]), Buffer.from(text)]);
}

describe('an attacker in between', () => {
  const { join, secretOf } = firstThenJoin();

  test.each([
    ['HELLO', OP.HELLO],
    ['CHALLENGE', OP.CHALLENGE],
    ['PROOF', OP.PROOF],
    ['WELCOME', OP.WELCOME],
  ])(
    'changing any bit of the header of %s, or a bit of any byte behind it, ends the handshake',
    (_name, target) => {
      for (const setup of [{}, { join, secretOf, dead: [4] }]) {
        let bits = 0;
        run({ ...setup, between: (op, frame) => (op === target && (bits = frame.length * 8), frame) });
        expect(bits).toBeGreaterThan(HEADER_BYTES * 8);
        for (let bit = 0; bit < bits; bit++) {
          // Every bit of the header is changed, but only one bit of each later byte, because keys and macs cover the later bytes as a
          // whole.
          if (bit >= HEADER_BYTES * 8 && (bit & 7) !== (bit >> 3) % 8) continue;
          const between = (op: number, frame: Buffer): Buffer => {
            if (op !== target) return frame;
            const changed = Buffer.from(frame);
            changed[bit >> 3]! ^= 1 << (bit & 7);
            return changed;
          };
          const outcome = run({ ...setup, between });
          expect(['E_AUTH', 'E_PROTOCOL', 'E_VERSION', 'E_NAMESPACE']).toContain(outcome.client);
          if (target !== OP.WELCOME) expect(typeof outcome.server).toBe('string');
        }
      }
    },
    60_000,
  );

  test('cannot downgrade the version or the features', () => {
    const weaker =
      (change: Partial<Hello>) =>
      (op: number, frame: Buffer): Buffer =>
        op === OP.HELLO
          ? new ClientHandshake({ ...CLIENT, hello: { ...CLIENT.hello, ...change } }, seededRandom('client undefined')).start()
          : frame;
    for (const change of [{ versions: [1] }, { features: [] }]) {
      expect(run({ between: weaker(change) })).toMatchObject({ client: 'E_AUTH', server: 'E_AUTH', logReason: 'wrong key for node big-2' });
    }
    expect(run({ between: weaker({}) }).client).toEqual(WELCOME);
  });

  test('a PROOF or WELCOME of another connection is rejected', () => {
    const recorded = new Map<number, Buffer>();
    run({ seed: 'recorded', between: (op, frame) => (recorded.set(op, frame), frame) });
    for (const target of [OP.PROOF, OP.WELCOME]) {
      const between = (op: number, frame: Buffer): Buffer => (op === target ? recorded.get(op)! : frame);
      expect(run({ seed: 'later', between }).client).toBe('E_AUTH');
      expect(run({ seed: 'recorded', between }).client).toEqual(WELCOME);
    }
  });

  test('a recorded HELLO and PROOF do not fit a new CHALLENGE', () => {
    const recorded = new Map<number, Buffer>();
    run({ seed: 'recorded', between: (op, frame) => (recorded.set(op, frame), frame) });
    const server = new ServerHandshake(SERVER, seededRandom('another'));
    expect(server.onHello(recorded.get(OP.HELLO)!, () => '0xbig2').kind).toBe('challenge');
    expect(server.onProof(recorded.get(OP.PROOF)!, () => null, null)).toMatchObject({
      kind: 'refuse',
      code: 'E_AUTH',
      isFailedProof: true,
    });
  });

  test('a PROOF for one server is invalid for another with the same keys, even after a CHALLENGE with the same nonce', () => {
    const made = new Map<number, Buffer>();
    run({ between: (op, frame) => (made.set(op, frame), frame) });
    const outcomeAt = (other: Partial<ServerIdentity>): string => {
      const server = new ServerHandshake({ ...SERVER, ...other }, seededRandom('server undefined'));
      expect(server.onHello(made.get(OP.HELLO)!, () => '0xbig2').kind).toBe('challenge');
      const step = server.onProof(made.get(OP.PROOF)!, () => null, null);
      return step.kind === 'refuse' ? step.code : step.kind;
    };
    expect(outcomeAt({})).toBe('new');
    const others = [{ server: 'big-10' }, { serverid: 77 }, { instance: '9'.repeat(32) }, { serverkey: 'swordfish' }];
    expect(others.map(outcomeAt)).toEqual(others.map(() => 'E_AUTH'));
  });

  test("a client's own PROOF does not prove the server", () => {
    let proof: Buffer = Buffer.alloc(0);
    const between = (op: number, frame: Buffer): Buffer => {
      if (op === OP.PROOF) proof = frame;
      return op === OP.WELCOME ? handshakeFrame(OP.WELCOME, proof.subarray(HEADER_BYTES)) : frame;
    };
    expect(run({ between }).client).toBe('E_AUTH');
  });
});

test('a step out of order is our own bug and throws', () => {
  const client = new ClientHandshake(CLIENT, seededRandom('c'));
  expect(() => client.proof(null, [])).toThrow(/in stage new/);
  expect(() => client.sessionSecret).toThrow(/first handshake/);
  const server = new ServerHandshake(SERVER, seededRandom('s'));
  expect(() => server.onProof(Buffer.alloc(0), () => null, null)).toThrow(/a PROOF without a CHALLENGE/);
});

test('a failed step cannot be repeated', () => {
  const client = new ClientHandshake(CLIENT, seededRandom('c'));
  const hello = client.start();
  const server = new ServerHandshake(SERVER, seededRandom('s'));
  const answer = server.onHello(hello, () => '0xbig2');
  expect(() => client.onChallenge(Buffer.alloc(16))).toThrow(/CHALLENGE expected/);
  expect(answer.kind === 'challenge' && (() => client.onChallenge(answer.frame))).toThrow(/in stage over/);
});
