// HELLO and its answer: CHALLENGE, REFUSE, or the end of the connection. Bodies are packed by hand, so that a field can have any value.
// proof.ts has the cases about PROOF.

import { NAMESPACEID_MAX } from '@rsio/base/lib/limits';
import { HANDSHAKE_MESSAGE_MAX_BYTES } from '@rsio/protocol/auth/limits';
import { DATA_PROCESSES_MAX, FEATURES_OFFERED_MAX, VERSIONS_OFFERED_MAX } from '@rsio/protocol/wire/limits';
import { FEATURE } from '@rsio/protocol/wire/features';
import { OP } from '@rsio/protocol/wire/frames';
import { frameBytes } from '../../../support/peers/raw-peer.ts';
import { type ServerCase, serverCase } from '../../base/case.ts';
import { closed, equals, holds, refused } from '../../base/check.ts';
import { type Packable, pack } from '../../base/pack.ts';
import type { Target } from '../../base/target.ts';
import { type Fields, greet, helloFields, helloFrame } from './handshake-steps.ts';

/** Sends these bytes as the first bytes of a connection. Expects that the server closes the connection without a message. */
async function drops(target: Target, ...bytes: readonly Buffer[]): Promise<void> {
  const peer = await target.connectUnproven();
  peer.send(...bytes);
  await closed(peer);
}

function field(id: string, expects: string, changes: (target: Target) => Fields, log: RegExp): ServerCase {
  const run = (target: Target): Promise<void> => drops(target, helloFrame(helloFields(target, changes(target))));
  return serverCase(`handshake.hello.${id}`, 'HELLO', expects, run, { log });
}

function first(id: string, expects: string, bytes: Buffer, log: RegExp): ServerCase {
  return serverCase(`handshake.first.${id}`, 'Silence', expects, (target) => drops(target, bytes), { log });
}

function without(fields: Fields, name: string): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([key]) => key !== name));
}

const items = (count: number, item: Packable): Packable[] => Array.from({ length: count }, () => item);

export const HELLO_CASES: readonly ServerCase[] = [
  serverCase(
    'handshake.hello.answered',
    'CHALLENGE',
    'A valid HELLO is answered with a CHALLENGE whose fields are within their bounds',
    async (target) => {
      const { challenge } = await greet(target);
      equals('The version', challenge.version, 1);
      equals('The features', challenge.features, []);
    },
  ),
  serverCase(
    'handshake.hello.fresh-nonce',
    'CHALLENGE',
    'Each CHALLENGE has another nonce, and all have the same instance',
    async (target) => {
      const [one, other] = [(await greet(target)).challenge, (await greet(target)).challenge];
      holds(!Buffer.from(one.nonce).equals(other.nonce), 'Two CHALLENGEs have the same nonce');
      equals('The instance', other.instance, one.instance);
      equals('Server and serverid', [other.server, other.serverid], [one.server, one.serverid]);
    },
  ),
  serverCase(
    'handshake.hello.unknown-node',
    'Step by step',
    'A HELLO with an unknown name gets a CHALLENGE like one with a known name',
    async (target) => {
      const { challenge } = await greet(target, { node: 'nobody-of-this-name' });
      equals('The version', challenge.version, 1);
    },
  ),
  serverCase('handshake.hello.unknown-field', 'Message bodies', 'The server ignores unknown fields of HELLO', async (target) => {
    await greet(target, { colour: 'blue', more: { deep: [1, 2, { deeper: null }] } });
  }),
  serverCase('handshake.hello.any-order', 'Message bodies', 'The fields of HELLO may come in any order', async (target) => {
    const peer = await target.connectUnproven();
    peer.send(helloFrame(Object.fromEntries(Object.entries(helloFields(target)).toReversed())));
    equals('The op of the answer', (await peer.next()).op, OP.CHALLENGE);
  }),
  serverCase('handshake.hello.any-cuts', 'Frame', 'A HELLO that arrives byte by byte is accepted', async (target) => {
    const peer = await target.connectUnproven();
    for (const byte of helloFrame(helloFields(target))) {
      await new Promise((resolve) => peer.socket.write(Buffer.from([byte]), resolve));
    }
    equals('The op of the answer', (await peer.next()).op, OP.CHALLENGE);
  }),
  serverCase('handshake.version.none', 'Step by step', 'A HELLO without a common version is refused with E_VERSION', async (target) => {
    const peer = await target.connectUnproven();
    peer.send(helloFrame(helloFields(target, { versions: [9, 7] })));
    const { sentence } = await refused(peer, 'E_VERSION');
    holds(/\b1\b.*\b9, 7\b/.test(sentence), `The refusal does not name both sides' versions: ${sentence}`);
  }),
  serverCase('handshake.version.highest', 'CHALLENGE', 'The server chooses the highest common version', async (target) => {
    equals('The version', (await greet(target, { versions: [65_535, 1] })).challenge.version, 1);
  }),
  serverCase('handshake.version.most', 'HELLO', 'Sixteen versions may be offered', async (target) => {
    const versions = [1, ...items(VERSIONS_OFFERED_MAX - 1, 77)];
    equals('The version', (await greet(target, { versions })).challenge.version, 1);
  }),
  serverCase(
    'handshake.features.unknown',
    'CHALLENGE',
    'CHALLENGE does not contain features that the server does not have',
    async (target) => {
      equals('The features', (await greet(target, { features: ['gold', 'silver-2'] })).challenge.features, []);
    },
  ),
  serverCase('handshake.features.common', 'CHALLENGE', 'CHALLENGE contains exactly the common features', async (target) => {
    const { challenge } = await greet(target, { features: ['gold', FEATURE.DIGEST] });
    equals('The features', challenge.features, [FEATURE.DIGEST]);
  }),
  serverCase(
    'handshake.namespace.other',
    'Step by step',
    'Another namespaceid is refused with E_NAMESPACE, naming both',
    async (target) => {
      const { namespaceid } = target.options;
      const other = namespaceid === NAMESPACEID_MAX ? 0 : namespaceid + 1;
      const peer = await target.connectUnproven();
      peer.send(helloFrame(helloFields(target, { namespaceid: other })));
      const { sentence } = await refused(peer, 'E_NAMESPACE');
      holds(sentence.includes(String(other)) && sentence.includes(String(namespaceid)), `The refusal does not name both: ${sentence}`);
    },
  ),
  ...['versions', 'features', 'namespaceid', 'node', 'instance', 'machine', 'boot', 'interface', 'nonce'].map((name) =>
    serverCase(
      `handshake.hello.no-${name}`,
      'Message bodies',
      `A HELLO without ${name} closes the connection`,
      (target) => drops(target, helloFrame(without(helloFields(target), name))),
      { log: new RegExp(`HELLO: field ${name} must be`) },
    ),
  ),
  field('no-version', 'A HELLO that offers no version closes the connection', () => ({ versions: [] }), /versions must be/),
  field('17-versions', 'A HELLO with 17 versions closes the connection', () => ({ versions: items(17, 1) }), /versions must be/),
  field('version-0', 'A HELLO with version 0 closes the connection', () => ({ versions: [0, 1] }), /versions/),
  field(
    'too-many-features',
    'A HELLO with 33 features closes the connection',
    () => ({ features: items(FEATURES_OFFERED_MAX + 1, 'x') }),
    /features must be/,
  ),
  field(
    'data-process-bound',
    'A HELLO of data process 9 closes the connection',
    () => ({ features: [FEATURE.DATA_PROCESSES], dataProcess: DATA_PROCESSES_MAX + 1 }),
    /dataProcess must be/,
  ),
  field(
    'data-process-unoffered',
    'A HELLO of a data process that does not offer its feature closes the connection',
    () => ({ dataProcess: 1 }),
    /does not offer data-processes/,
  ),
  field('feature-form', 'A HELLO with a feature in capitals closes the connection', () => ({ features: ['GOLD'] }), /features/),
  field('namespaceid-bound', 'A HELLO with namespaceid 65,536 closes the connection', () => ({ namespaceid: 65_536 }), /namespaceid must/),
  field('long-node', 'A HELLO with a name of 64 characters closes the connection', () => ({ node: 'n'.repeat(64) }), /node must be/),
  field('node-form', 'A HELLO with control characters in the name closes the connection', () => ({ node: 'a\u001b[2Jb' }), /node must be/),
  field('node-dots', 'A HELLO with the name .. closes the connection', () => ({ node: '..' }), /node must be/),
  field('instance-fraction', 'A HELLO with instance 1.5 closes the connection', () => ({ instance: 1.5 }), /instance must be/),
  field(
    'instance-bound',
    'A HELLO with instance 2^53 - 1 closes the connection',
    () => ({ instance: Number.MAX_SAFE_INTEGER }),
    /instance must be/,
  ),
  field('process-blank', 'A HELLO with a blank in process closes the connection', () => ({ process: 'a b' }), /process must be/),
  field('machine-blank', 'A HELLO with a blank in machine closes the connection', () => ({ machine: 'a b' }), /machine must be/),
  field('short-nonce', 'A HELLO with a nonce of 31 bytes closes the connection', () => ({ nonce: Buffer.alloc(31) }), /nonce must be/),
  field('text-nonce', 'A HELLO with text as nonce closes the connection', () => ({ nonce: 'n'.repeat(32) }), /nonce must be/),
  field(
    'too-deep',
    'A HELLO nested deeper than 8 closes the connection',
    () => ({ more: [[[[[[[[[1]]]]]]]]] }),
    /must be one MessagePack map/,
  ),
  serverCase(
    'handshake.hello.header-form',
    'Handshake',
    'A HELLO whose header has anything but op and length closes the connection',
    async (target) => {
      for (const change of [{ flags: 1 }, { handle: 1 }, { slot: 1 }, { seq: 1 }, { aux: 1 }]) {
        await drops(target, frameBytes({ op: OP.HELLO, body: pack(helloFields(target)), ...change }));
      }
    },
    { log: /header must hold the body's length and otherwise zeros/ },
  ),
  serverCase(
    'handshake.hello.twice',
    'Silence',
    'A second HELLO in place of PROOF closes the connection',
    async (target) => {
      const { peer } = await greet(target);
      peer.send(helloFrame(helloFields(target)));
      await closed(peer);
    },
    { log: /PROOF expected, got HELLO/ },
  ),
  serverCase(
    'handshake.length.largest',
    'Limits before the proof',
    'Before the proof, a body of 2 KiB is received and checked',
    (target) => drops(target, frameBytes({ op: OP.HELLO, body: Buffer.alloc(HANDSHAKE_MESSAGE_MAX_BYTES, 0xc1) })),
    { log: /HELLO: body of 2048 bytes must be one MessagePack map/ },
  ),
  serverCase(
    'handshake.length.past',
    'Limits before the proof',
    'A header before the proof that claims one byte more closes the connection at once',
    (target) => drops(target, frameBytes({ op: OP.HELLO, length: HANDSHAKE_MESSAGE_MAX_BYTES + 1 })),
    { log: /HELLO: body of 2049 bytes, at most 2048/ },
  ),
  serverCase(
    'handshake.length.huge',
    'Limits before the proof',
    'A HELLO that claims four gigabytes closes the connection at once',
    (target) => drops(target, frameBytes({ op: OP.HELLO, length: 0xffffffff })),
    { log: /body of 4294967295 bytes, at most 2048/ },
  ),
  first('garbage', 'Garbage closes the connection', Buffer.alloc(64, 0xee), /op 0xee: no such frame/),
  first('http', 'An HTTP request closes the connection', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), /op 0x47: no such frame/),
  first(
    'proof',
    'PROOF before HELLO closes the connection',
    frameBytes({ op: OP.PROOF, body: Buffer.alloc(48) }),
    /HELLO expected, got PROOF/,
  ),
  first('challenge', 'CHALLENGE from a client closes the connection', frameBytes({ op: OP.CHALLENGE }), /HELLO expected, got CHALLENGE/),
  first(
    'ping',
    'PING before the proof closes the connection',
    frameBytes({ op: OP.PING, body: Buffer.alloc(8) }),
    /HELLO expected, got PING/,
  ),
  first('list', 'LIST before the proof closes the connection', frameBytes({ op: OP.LIST, seq: 1 }), /HELLO expected, got LIST/),
  first('read', 'READ before the proof closes the connection', frameBytes({ op: OP.READ, seq: 1, count: 1 }), /READ does not belong/),
  first(
    'far-read',
    'READ whose lba would be a length of 4 GiB closes the connection',
    frameBytes({ op: OP.READ, seq: 1, lba: 0xffffffff0000 }),
    /READ does not belong/,
  ),
  first(
    'write',
    'WRITE before the proof closes the connection, its body unread',
    frameBytes({ op: OP.WRITE, seq: 1, count: 1, body: Buffer.alloc(512) }),
    /WRITE: body of 512 bytes, at most 0/,
  ),
  serverCase(
    'handshake.first.one-byte',
    'Handshake',
    'A client that closes the connection within its first frame leaves nothing behind',
    async (target) => {
      const peer = await target.connectUnproven();
      peer.socket.end(Buffer.from([OP.HELLO]));
      await closed(peer);
    },
    { log: /closed the connection before it was proven/ },
  ),
];
