// Servers that misbehave before WELCOME: they send other bytes in place of CHALLENGE or WELCOME, or these frames with wrong fields. rsiod
// closes each such connection with a reason; once the server behaves, the next connection comes up.

import { handshakeFrame } from '@rsio/protocol/auth/handshake-frames';
import { refuseFrame } from '@rsio/protocol/auth/handshake-server';
import type { ErrorCode } from '@rsio/base/lib/errors';
import { INTERFACES_NAMED_MAX, MAC_BYTES } from '@rsio/protocol/wire/limits';
import { ANSWER, OP } from '@rsio/protocol/wire/frames';
import { Farewell } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { asBytes, frameBytes } from '../../support/peers/raw-peer.ts';
import type { Meddle } from '../../support/peers/raw-server.ts';
import { type ClientCase, closingCase } from '../base/case.ts';
import { at, challenge, challengeWithout, type Fields, saying, welcome } from './meddling.ts';

function first(id: string, expects: string, error: RegExp, meddle: Meddle): ClientCase {
  return closingCase(`client.first.${id}`, 'Handshake', `${expects} in place of CHALLENGE closes the connection`, error, meddle);
}

const FIRST_CASES: readonly ClientCase[] = [
  first('garbage', 'Garbage', /op 0xee: no such frame/, saying('hello', Buffer.alloc(100, 0xee))),
  first('http', 'An HTTP answer', /op 0x48: no such frame/, saying('hello', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))),
  first(
    'close',
    'The end of the connection',
    /ended the handshake/,
    at('hello', (link) => link.socket.end()),
  ),
  first(
    'reset',
    'A reset',
    /ended the handshake: ECONNRESET/,
    at('hello', (link) => link.reset()),
  ),
  first(
    'silence',
    'Silence',
    /did not finish the handshake within \d000 ms/,
    at('hello', () => undefined),
  ),
  first(
    'half-frame',
    'A part of a frame',
    /did not finish the handshake within \d000 ms/,
    saying('hello', Buffer.from([OP.CHALLENGE, 0, 0])),
  ),
  first(
    'huge',
    'A frame that claims 4 GiB',
    /CHALLENGE: body of 4294967295 bytes, at most 2048/,
    saying('hello', frameBytes({ op: OP.CHALLENGE, length: 0xffffffff })),
  ),
  first('welcome', 'WELCOME', /CHALLENGE expected, got WELCOME/, saying('hello', handshakeFrame(OP.WELCOME, Buffer.alloc(64)))),
  first('ping', 'PING', /CHALLENGE expected, got PING/, saying('hello', frameBytes({ op: OP.PING, body: Buffer.alloc(8) }))),
  first('io', 'An I/O answer', /READ/, saying('hello', frameBytes({ op: OP.READ | ANSWER, handle: STATUS.IO_ERROR, lba: 0xffffffff0000 }))),
  first(
    'data',
    'Data',
    /READ answer: body of 4096 bytes, at most 0/,
    saying('hello', frameBytes({ op: OP.READ | ANSWER, count: 8, body: Buffer.alloc(4096) })),
  ),
];

function challenged(id: string, expects: string, error: RegExp, meddle: Meddle): ClientCase {
  return closingCase(`client.challenge.${id}`, 'CHALLENGE', `A CHALLENGE ${expects} closes the connection`, error, meddle);
}

function challengeField(id: string, expects: string, changes: Fields): ClientCase {
  const [name = ''] = Object.keys(changes);
  return challenged(id, expects, new RegExp(`CHALLENGE: field ${name} must be|${name}s? must be`), challenge(changes));
}

const CHALLENGE_CASES: readonly ClientCase[] = [
  challenged(
    'version',
    'with a version that was not offered',
    /Server raw-1 chose version 9, but the client offered 1/,
    challenge({ version: 9 }),
  ),
  challenged('feature', 'with a feature that was not offered', /chose a feature that was not offered/, challenge({ features: ['gold'] })),
  ...['version', 'features', 'server', 'serverid', 'instance', 'nonce'].map((name) =>
    challenged(`no-${name}`, `without ${name}`, new RegExp(`CHALLENGE: field ${name} must be`), challengeWithout(name)),
  ),
  challengeField('short-nonce', 'with a nonce of 31 bytes', { nonce: Buffer.alloc(31) }),
  challengeField('instance-form', 'with an instance that is no hexadecimal number', { instance: 'g'.repeat(32) }),
  challengeField('serverid-bound', 'with serverid 256', { serverid: 256 }),
  challengeField('server-form', 'with control characters in the name', { server: 'a\u001b[2J' }),
  challenged('not-a-map', 'that is no map', /CHALLENGE must be a map/, saying('hello', handshakeFrame(OP.CHALLENGE, Buffer.from([7])))),
  challenged(
    'header-form',
    'with a slot in its header',
    /CHALLENGE: header must hold the body's length and otherwise zeros/,
    saying('hello', frameBytes({ op: OP.CHALLENGE, slot: 1, body: Buffer.alloc(8) })),
  ),
  challenged('twice', 'that comes twice', /WELCOME expected, got CHALLENGE/, (step, link, frame) => {
    if (step !== 'hello' || frame === null) return false;
    const answer = link.handshake.onHello(asBytes(frame), () => link.server.options.nodekey);
    if (answer.kind === 'challenge') link.send(answer.frame, answer.frame);
    return true;
  }),
];

function welcomed(id: string, expects: string, error: RegExp, meddle: Meddle): ClientCase {
  return closingCase(`client.welcome.${id}`, 'WELCOME', `${expects} in place of WELCOME closes the connection`, error, meddle);
}

function welcomeField(id: string, expects: string, changes: Fields): ClientCase {
  const [name = ''] = Object.keys(changes);
  return welcomed(id, `A WELCOME ${expects}, rightly signed,`, new RegExp(`WELCOME: field .*${name}|${name} must`), welcome(changes));
}

const NOT_PROVEN = /could not prove that it knows the key of node big-2/;

const WELCOME_CASES: readonly ClientCase[] = [
  welcomed(
    'changed-mac',
    'A WELCOME with a bit of the mac changed',
    NOT_PROVEN,
    at('proof', (link, frame) => {
      const bytes = link.welcome(link.proven(frame));
      bytes[bytes.length - 1]! ^= 1;
      link.send(bytes);
    }),
  ),
  welcomed(
    'changed-map',
    'A WELCOME with a bit of the map changed',
    NOT_PROVEN,
    at('proof', (link, frame) => {
      const bytes = link.welcome(link.proven(frame));
      bytes[40]! ^= 1;
      link.send(bytes);
    }),
  ),
  welcomed(
    'no-mac',
    'A WELCOME without mac',
    NOT_PROVEN,
    at('proof', (link, frame) => {
      const bytes = link.welcome(link.proven(frame));
      link.send(handshakeFrame(OP.WELCOME, bytes.subarray(16, bytes.length - MAC_BYTES)));
    }),
  ),
  welcomed('empty', 'A WELCOME without a body', NOT_PROVEN, saying('proof', handshakeFrame(OP.WELCOME))),
  welcomed(
    'silence',
    'Silence for 5 s',
    /did not finish the handshake within 5000 ms/,
    at('proof', () => undefined),
  ),
  welcomed('ping', 'A PING', /WELCOME expected, got PING/, saying('proof', frameBytes({ op: OP.PING, body: Buffer.alloc(8) }))),
  welcomed('fenced', 'A FENCED', /WELCOME expected, got FENCED/, saying('proof', frameBytes({ op: OP.FENCED }))),
  welcomeField('few-slots', 'of 8 slots', { slots: 8 }),
  welcomeField('many-slots', 'of 65,536 slots', { slots: 65_536 }),
  welcomeField('small-window', 'of a window of 1 MiB', { windowBytes: 1024 * 1024 }),
  welcomeField('short-session', 'with a session of 15 bytes', { session: Buffer.alloc(15) }),
  welcomeField('path-bound', 'with path 2^32', { path: 2 ** 32 }),
  welcomeField('interfaces', 'with 65 interfaces', {
    interfaces: Array.from({ length: INTERFACES_NAMED_MAX + 1 }, () => ({ name: 'i' })),
  }),
  welcomeField('interface-address', 'with an interface without an address', { interfaces: [{ name: 'if1', address: 'here', port: 1 }] }),
  welcomeField('generation', 'with generation -1', { generation: -1 }),
  welcomeField('release', 'with a number as its release', { release: 2 }),
  welcomeField('time', 'with the time -1', { wallMs: -1 }),
];

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

function refused(id: string, expects: string, error: RegExp, meddle: Meddle): ClientCase {
  return closingCase(`client.refuse.${id}`, 'REFUSE and BYE', expects, error, meddle);
}

const REFUSE_CASES: readonly ClientCase[] = [
  ...REFUSALS.map((code) =>
    refused(
      code.toLowerCase().replaceAll('_', '-'),
      `A REFUSE ${code} is shown, and the server is tried again later`,
      new RegExp(`Server refused the connection.*: No ${code} today`),
      at('hello', (link) => {
        link.send(refuseFrame({ code, sentence: `No ${code} today` }));
        link.socket.end();
      }),
    ),
  ),
  refused(
    'late',
    'The status shows a REFUSE in place of WELCOME',
    /Server refused the connection: Not you/,
    saying('proof', refuseFrame({ code: 'E_AUTH', sentence: 'Not you' })),
  ),
  refused(
    'newer-code',
    'The status shows a REFUSE with an unknown code, without control characters',
    /Server refused the connection \(E_FROM_THE_FUTURE\): a \[2Jb/,
    saying('hello', handshakeFrame(OP.REFUSE, Farewell.encode({ code: 'E_FROM_THE_FUTURE', sentence: 'a\u001b[2Jb' }))),
  ),
  refused('garbage', 'An empty REFUSE closes the connection', /REFUSE: body of 0 bytes/, saying('hello', handshakeFrame(OP.REFUSE))),
  refused(
    'bye',
    'The status shows a BYE in place of WELCOME like a REFUSE',
    /Server refused the connection: More than 64 paths/,
    saying('proof', handshakeFrame(OP.BYE, Farewell.encode({ code: 'E_LIMIT', sentence: 'More than 64 paths' }))),
  ),
];

export const BEFORE_WELCOME_CASES: readonly ClientCase[] = [...FIRST_CASES, ...CHALLENGE_CASES, ...WELCOME_CASES, ...REFUSE_CASES];
