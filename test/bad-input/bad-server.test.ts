// Servers that misbehave towards rsiod, all of them at the same time, each in a namespace of its own beside one with a real server: their
// paths are closed with a reason in `-m status -v` and tried again; the real server's volume goes on, and rsconfig is answered.

import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { handshakeFrame } from '@rsio/protocol/auth/handshake-frames';
import { refuseFrame } from '@rsio/protocol/auth/handshake-server';
import type { ErrorCode } from '@rsio/protocol/lib/errors';
import { MAC_BYTES, MESSAGE_MAX_BYTES, PROOF_TIMEOUT_MS } from '@rsio/protocol/limits';
import { ANSWER, FLAG, OP } from '@rsio/protocol/wire/frames';
import { encodeChallenge, encodeFarewell } from '@rsio/protocol/wire/message-codec';
import { STATUS } from '@rsio/protocol/wire/status';
import { clientConfig, keyOf, startServer } from '../support/configs.ts';
import type { Host } from '../support/host.ts';
import { useLab } from '../support/lab.ts';
import { NbdIo } from '../support/nbd-io.ts';
import { asBytes, frameBytes, type RawFrame } from '../support/raw-peer.ts';
import { type Meddle, RAW_VOLUME, RawServer, type RawServerLink } from '../support/raw-server.ts';
import { waitFor } from '../support/wait-for.ts';

const lab = useLab('file');
const NODE = 'big-2';
const VERIFY_BYTES = 64 * 1024;
/** Silence ends after PROOF_TIMEOUT_MS; a retry waits up to 1.6 s by then. */
const DEADLINE_MS = PROOF_TIMEOUT_MS + 5_000;

interface BadServer {
  readonly name: string;
  readonly meddle: Meddle;
  /** `error:` of its path. */
  readonly reason: RegExp;
}

const bad = (name: string, reason: RegExp, meddle: Meddle): BadServer => ({ name, meddle, reason });

/** Does `act` instead of the step. */
function at(step: Parameters<Meddle>[0], act: (link: RawServerLink, frame: RawFrame) => void): Meddle {
  return (now, link, frame) => {
    if (now !== step) return false;
    act(link, frame as RawFrame);
    return true;
  };
}

/** Answers a request of this kind wrongly. */
function answering(op: number, act: (link: RawServerLink, frame: RawFrame) => void): Meddle {
  return (step, link, frame) => {
    if (step !== 'request' || frame?.op !== op) return false;
    act(link, frame);
    return true;
  };
}

const CHALLENGE = { version: 1, features: [], server: 'raw-1', serverid: 7, instance: '0'.repeat(32), nonce: Buffer.alloc(32) };
const challenge = (changes: object): Meddle =>
  at('hello', (link) => link.send(handshakeFrame(OP.CHALLENGE, encodeChallenge({ ...CHALLENGE, ...changes }))));
const behindWelcome = (bytes: (link: RawServerLink) => Buffer): Meddle => at('welcomed', (link) => link.send(bytes(link)));
const tag = ({ op, slot, seq }: RawFrame): { op: number; slot: number; seq: number } => ({ op: op | ANSWER, slot, seq });

const REFUSALS: readonly ErrorCode[] = [
  'E_AUTH',
  'E_VERSION',
  'E_NAMESPACE',
  'E_NO_SESSION',
  'E_LIMIT',
  'E_REPLACED',
  'E_OTHER_MACHINE',
  'E_SHUTTING_DOWN',
  'E_DRAINING',
  'E_INTERNAL',
];

const BEFORE: readonly BadServer[] = [
  bad(
    'garbage',
    /op 0xee: no such frame/,
    at('hello', (link) => link.send(Buffer.alloc(100, 0xee))),
  ),
  bad(
    'html',
    /op 0x48: no such frame/,
    at('hello', (link) => link.send(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))),
  ),
  bad(
    'close',
    /ended the handshake/,
    at('hello', (link) => link.socket.end()),
  ),
  bad(
    'reset',
    /ended the handshake: ECONNRESET/,
    at('hello', (link) => link.reset()),
  ),
  bad(
    'silence',
    /did not finish the handshake within 5000 ms/,
    at('hello', () => undefined),
  ),
  bad(
    'half-frame',
    /did not finish the handshake within 5000 ms/,
    at('hello', (link) => link.send(Buffer.from([OP.CHALLENGE, 0, 0]))),
  ),
  bad(
    'huge',
    /CHALLENGE: body of 4294967295 bytes, at most 2048/,
    at('hello', (link) => link.send(frameBytes({ op: OP.CHALLENGE, length: 0xffffffff }))),
  ),
  bad('version', /Server raw-1 chose version 9, offered: 1/, challenge({ version: 9 })),
  bad('feature', /Server raw-1 chose a feature that was not offered/, challenge({ features: ['gold'] })),
  bad(
    'no-challenge',
    /CHALLENGE expected, got WELCOME/,
    at('hello', (link) => link.send(handshakeFrame(OP.WELCOME, Buffer.alloc(64)))),
  ),
  bad(
    'io-first',
    /READ/,
    at('hello', (link) => link.request({ op: OP.READ | ANSWER, handle: STATUS.IO_ERROR, lba: 0xffffffff0000 })),
  ),
  bad(
    'body-first',
    /READ answer: body of 4096 bytes, at most 0/,
    at('hello', (link) => link.request({ op: OP.READ | ANSWER, count: 8, body: Buffer.alloc(4096) })),
  ),
  bad('twice', /WELCOME expected, got CHALLENGE/, (step, link, frame) => {
    if (step !== 'hello') return false;
    const challenged = link.handshake.onHello(asBytes(frame as RawFrame), () => link.server.options.nodekey);
    if (challenged.kind === 'challenge') link.send(challenged.frame, challenged.frame);
    return true;
  }),
  bad(
    'wrong-mac',
    /could not prove that it knows the key of node big-2/,
    at('proof', (link, frame) => {
      const welcome = link.welcome(link.proven(frame));
      welcome[welcome.length - 1]! ^= 1;
      link.send(welcome);
    }),
  ),
  bad(
    'no-mac',
    /could not prove that it knows the key/,
    at('proof', (link, frame) => {
      const welcome = link.welcome(link.proven(frame));
      link.send(handshakeFrame(OP.WELCOME, welcome.subarray(16, welcome.length - MAC_BYTES)));
    }),
  ),
  bad(
    'mute',
    /did not finish the handshake within 5000 ms/,
    at('proof', () => undefined),
  ),
  ...REFUSALS.map((code) =>
    bad(
      `refuse-${code.toLowerCase()}`,
      new RegExp(`Server refused the connection.*: No ${code} today`),
      at('hello', (link) => {
        link.send(refuseFrame({ code, sentence: `No ${code} today` }));
        link.socket.end();
      }),
    ),
  ),
  bad(
    'refuse-late',
    /Server refused the connection: Not you/,
    at('proof', (link) => link.send(refuseFrame({ code: 'E_AUTH', sentence: 'Not you' }))),
  ),
  bad(
    'refuse-odd',
    /Server refused the connection \(E_FROM_THE_FUTURE\): a \[2Jb/,
    at('hello', (link) => {
      link.send(handshakeFrame(OP.REFUSE, encodeFarewell({ code: 'E_FROM_THE_FUTURE', sentence: 'a\u001b[2Jb' })));
    }),
  ),
];

const AFTER: readonly BadServer[] = [
  bad(
    'stray-answer',
    /Protocol error of the server: READ answer for slot 5 seq 1, of which this path owes none/,
    behindWelcome(() => frameBytes({ op: OP.READ | ANSWER, slot: 5, seq: 1, count: 8, body: Buffer.alloc(4096) })),
  ),
  bad(
    'stray-slot',
    /WRITE answer for slot 65535 seq 65535, of which this path owes none/,
    behindWelcome(() => frameBytes({ op: OP.WRITE | ANSWER, slot: 0xffff, seq: 0xffff })),
  ),
  bad(
    'stray-fenced',
    /Protocol error of the server: FENCED for path 3, which was not asked for/,
    behindWelcome(() => frameBytes({ op: OP.FENCED, aux: 3 })),
  ),
  bad(
    'late-garbage',
    /op 0xee: no such frame/,
    behindWelcome(() => Buffer.alloc(4096, 0xee)),
  ),
  bad(
    'request',
    /Protocol error of the server: WRITE was not to be sent here/,
    behindWelcome(() => frameBytes({ op: OP.WRITE, count: 1, body: Buffer.alloc(512) })),
  ),
  bad(
    'welcome-again',
    /Protocol error of the server: WELCOME was not to be sent here/,
    behindWelcome(() => frameBytes({ op: OP.WELCOME })),
  ),
  bad(
    'bad-ping',
    /Protocol error of the server: PING or PONG: body of 1 bytes must be/,
    behindWelcome(() => frameBytes({ op: OP.PING, body: Buffer.from([0xc1]) })),
  ),
  bad(
    'bye',
    /Back at nine \[E_SHUTTING_DOWN\]/,
    behindWelcome(() => frameBytes({ op: OP.BYE, body: encodeFarewell({ code: 'E_SHUTTING_DOWN', sentence: 'Back at nine' }) })),
  ),
  bad(
    'too-long',
    /LIST answer: body of 65537 bytes, at most 65536/,
    answering(OP.LIST, (link, frame) => link.send(frameBytes({ ...tag(frame), length: MESSAGE_MAX_BYTES + 1 }))),
  ),
  bad(
    'bad-list',
    /Protocol error of the server: LIST answer: body of 3 bytes must be/,
    answering(OP.LIST, (link, frame) => link.request({ ...tag(frame), body: Buffer.from([0xc1, 0, 0]) })),
  ),
  bad(
    'other-op',
    /Protocol error of the server: OPEN answer of \d+ sectors in slot \d+, which holds LIST/,
    answering(OP.LIST, (link, frame) => link.request({ ...tag(frame), op: OP.OPEN | ANSWER })),
  ),
  bad(
    'endless-list',
    /Protocol error of the server: LIST answer goes on past 67108864 bytes/,
    answering(OP.LIST, (link, frame) => {
      const part = frameBytes({ ...tag(frame), flags: FLAG.MORE, body: Buffer.alloc(MESSAGE_MAX_BYTES, 0xc0) });
      const more = (): void => {
        if (link.ending === null) link.socket.write(part, () => setImmediate(more));
      };
      more();
    }),
  ),
];

let host: Host;
let good: NbdIo;
let reader: { server: RawServer; isWrong: boolean };
const servers = new Map<string, RawServer>();

beforeAll(async () => {
  host = lab.host();
  const network = await lab.network(1);
  await startServer(host, network, { volumes: { oracle: { type: 'memory', size: '1m' } } });
  const { port } = network;
  const sections: string[] = [];
  let number = 0;
  const listen = async (name: string, meddle: Meddle): Promise<RawServer> => {
    const namespaceid = 1000 + number;
    const address = network.subnets[0]?.address(100 + number++) ?? '';
    const server = await RawServer.listen({ address, port, namespaceid, nodekey: keyOf(NODE), meddle });
    lab.onClean(() => server.close());
    sections.push(
      `[namespace ${name}]\nnamespaceid = ${namespaceid}\nnodename = ${NODE}\nnodekey = ${keyOf(NODE)}\nattach = all\n[server ${name}]\naddress = ${address}\n`,
    );
    return server;
  };
  for (const { name, meddle } of [...BEFORE, ...AFTER]) servers.set(name, await listen(name, meddle));
  // The reader's READs get half of what they ask for, as long as a test wants it so.
  const wrongRead = answering(OP.READ, (link, frame) =>
    link.request({ ...tag(frame), lba: frame.lba, count: frame.count / 2, body: Buffer.alloc(frame.count * 256, 1) }),
  );
  reader = { isWrong: true, server: await listen('reader', (step, link, frame) => reader.isWrong && wrongRead(step, link, frame)) };
  host.writeConfig('rsiod', `${clientConfig(network)}\n${sections.join('\n')}`);
  await host.start('rsiod');
  await host.rsconfigWell('-a', 'osl:oracle');
  good = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/oracle');
  lab.onClean(() => good.close());
});

afterEach(async () => {
  await good.verify(0, VERIFY_BYTES);
  const { attachments } = await host.call('local', {});
  expect(attachments.map(({ namespace }) => namespace)).toContain('osl');
  const { paths } = await host.call('stats', {});
  expect(paths[0]).toMatchObject({ state: 'up', deaths: 0 });
});

afterAll(() => {
  expect(host.log('rsiod')).not.toMatch(/AssertionError|TypeError|RangeError/);
});

/** The error of a namespace's path. */
async function errorOf(name: string): Promise<string> {
  const { interfaces } = await host.call('status', {});
  const rep = interfaces.flatMap(({ reps }) => reps).find(({ section }) => section === name);
  return rep?.lastError ?? '';
}

describe('before WELCOME', () => {
  it.each(BEFORE.map(({ name, reason }) => [name, reason] as const))('%s', expectReason);
});

describe('after WELCOME', () => {
  it.each(AFTER.map(({ name, reason }) => [name, reason] as const))('%s', expectReason);

  it('a READ answer of another size: not a byte of it is taken; when the server behaves, the READ is answered', async () => {
    const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, `reader/${RAW_VOLUME}`);
    lab.onClean(() => nbd.close());
    const read = nbd.read(0, 8192);
    const { links } = reader.server;
    const before = links.length;
    servers.set('reader', reader.server);
    await expectReason(
      'reader',
      /Protocol error of the server: READ answer of 8 sectors in slot \d+, which holds READ answer of 16|READ answer of 8 sectors in slot \d+, which holds READ of 16/,
    );
    expect(links.length).toBeGreaterThan(before);
    reader.isWrong = false;
    expect((await read).equals(Buffer.alloc(8192, 0x5a))).toBe(true);
  });
});

it('rsconfig -m status -v says it of each of them', async () => {
  const status = await host.rsconfigWell('-m', 'status', '-v');
  for (const { name, reason } of [...BEFORE, ...AFTER]) {
    const address = servers.get(name)?.options.address.replaceAll('.', '\\.');
    expect(status).toMatch(new RegExp(`IP\\(TCP\\) ${address}/.*\\n.*\\n {8}error: .*${reason.source}`));
  }
});

it('rsiod has not grown by what was thrown at it', () => {
  const resident = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${host.pid('rsiod')}/status`, 'utf8'))?.[1]) * 1024;
  expect(resident).toBeLessThan(512 * 1024 * 1024);
});

async function expectReason(name: string, reason: RegExp): Promise<void> {
  await waitFor(async () => reason.test(await errorOf(name)), DEADLINE_MS, `The path to ${name} is down because of ${reason}`).catch(
    async (error: Error) => {
      throw new Error(`${error.message}; it says: ${await errorOf(name)}`);
    },
  );
  const { links } = servers.get(name) ?? { links: [] };
  await waitFor(() => links.length >= 2, DEADLINE_MS, 'It is tried again');
  await links[0]?.ended();
}
