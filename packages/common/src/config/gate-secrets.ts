// Secrets with which the hosts of a gate authenticate, their keys for TLS, and the file that has both. Each line names a host, or the gate
// itself, and has its secret in the form that hosts use: DHHC-1:HASH:BASE64: (NVMe Base 2.0, 8.13.5.8), NVMeTLSkey-1:HASH:BASE64: (NVMe/TCP
// 1.0, 3.6.1.5) or, for an IQN, the secret of CHAP. Invariant: no message shows a secret, and a file with a wrong line yields no secrets.

import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type ConfigProblem, throwProblems } from './reader/findings.ts';
import type { ClientGateConfig, GateSecret } from './schema/types.ts';
import { CHAP_SECRET_BYTES, CHAP_SECRET_MAX_BYTES, CHAP_SECRET_MIN_BYTES } from './schema/limits.ts';
import { isIqn, isNqn } from './schema/value-types.ts';

const SECRET = /^DHHC-1:0([0-3]):([A-Za-z0-9+/]+={0,2}):$/;
const KEY_BYTES: readonly number[] = [32, 48, 64];
/** Keys for SHA-384, with 48 bytes and the hash 2, are for a cipher that gates do not have. */
const TLS_KEY = /^NVMeTLSkey-1:0([01]):([A-Za-z0-9+/]+={0,2}):$/;
const TLS_KEY_BYTES: readonly number[] = [32];
const TLS_KEY_OF_SHA384 = /^NVMeTLSkey-1:0(2:|0:[A-Za-z0-9+/]{70}==:)/;
const CHECKSUM_BYTES = 4;
/** The hash that new secrets name, and the length of its keys. Old and new hosts accept a key that is as long as its hash. */
const NEW = { hash: 1, keyBytes: 32 } as const;

/** Reads one secret; null if the text is not a secret, or if its checksum is wrong. */
export function parseGateSecret(text: string): GateSecret | null {
  return parseKey(text, SECRET, KEY_BYTES);
}

/** Reads one key for TLS (PSK interchange format); null if the text is not a key for SHA-256, or if its checksum is wrong. */
export function parseTlsKey(text: string): GateSecret | null {
  return parseKey(text, TLS_KEY, TLS_KEY_BYTES);
}

/** Reads the secret of CHAP; null if it is too short or too long, or has characters that hosts do not accept. */
export function parseChapSecret(text: string): GateSecret | null {
  const isUsable = text.length >= CHAP_SECRET_MIN_BYTES && text.length <= CHAP_SECRET_MAX_BYTES && /^[\x21-\x7e]+$/.test(text);
  return isUsable ? { hash: 0, key: Buffer.from(text, 'latin1') } : null;
}

/** Returns a new random secret for CHAP, of a length that all hosts take. */
export function newChapSecret(): string {
  return randomBytes(CHAP_SECRET_BYTES).toString('base64url').slice(0, CHAP_SECRET_BYTES);
}

function parseKey(text: string, form: RegExp, lengths: readonly number[]): GateSecret | null {
  const [, hash, encoded] = form.exec(text) ?? [];
  if (hash === undefined || encoded === undefined) return null;
  const bytes = Buffer.from(encoded, 'base64');
  const keyBytes = bytes.length - CHECKSUM_BYTES;
  if (!lengths.includes(keyBytes) || bytes.toString('base64') !== encoded) return null;
  const key = bytes.subarray(0, keyBytes);
  return bytes.readUInt32LE(keyBytes) === crc32(key) ? { hash: Number(hash), key } : null;
}

/** Returns a new random secret. */
export function newGateSecret(): string {
  return newKey('DHHC-1');
}

/** Returns a new random key for TLS. */
export function newTlsKey(): string {
  return newKey('NVMeTLSkey-1');
}

function newKey(kind: string): string {
  const key = randomBytes(NEW.keyBytes);
  const checksum = Buffer.alloc(CHECKSUM_BYTES);
  checksum.writeUInt32LE(crc32(key));
  return `${kind}:0${NEW.hash}:${Buffer.concat([key, checksum]).toString('base64')}:`;
}

/** Returns the secrets and the keys for TLS in the text of a file, by NQN or IQN. Throws E_CONFIG with each wrong line. */
export function parseGateSecrets(text: string, file: string): Pick<ClientGateConfig, 'tlsKeys'> & { secrets: Map<string, GateSecret> } {
  const [secrets, tlsKeys] = [new Map<string, GateSecret>(), new Map<string, GateSecret>()];
  const problems: ConfigProblem[] = [];
  for (const [index, content] of text.split('\n').entries()) {
    const [given = '', encoded = '', ...more] = content.trim().split(/\s+/);
    if (given === '' || given.startsWith('#')) continue;
    const isChap = isIqn(given.toLowerCase());
    const nqn = isChap ? given.toLowerCase() : given;
    const isTls = !isChap && encoded.startsWith('NVMeTLSkey');
    const known = isTls ? tlsKeys : secrets;
    const secret = isChap ? parseChapSecret(encoded) : isTls ? parseTlsKey(encoded) : parseGateSecret(encoded);
    const message = problemOf(nqn, encoded, more.length === 0 ? secret : null, known.has(nqn));
    if (message !== null) problems.push({ line: index + 1, message });
    else if (secret !== null) known.set(nqn, secret);
  }
  throwProblems(file, problems);
  return { secrets, tlsKeys };
}

function problemOf(nqn: string, encoded: string, secret: GateSecret | null, isKnown: boolean): string | null {
  const isChap = isIqn(nqn);
  const option = !isChap && encoded.startsWith('NVMeTLSkey') ? ' --tls' : '';
  const remedy = `rsconfig gate secret ${nqn}${option} prints a line with a new one`;
  if (!isNqn(nqn) && !isChap) return 'No NQN or IQN at the beginning of the line: write NQN SECRET, or IQN SECRET';
  if (isChap && secret === null)
    return `No secret of ${CHAP_SECRET_MIN_BYTES} to ${CHAP_SECRET_MAX_BYTES} printable characters for ${nqn}: ${remedy}`;
  if (TLS_KEY_OF_SHA384.test(encoded)) return `A TLS key for SHA-384 for ${nqn}, which gates do not have: ${remedy} for SHA-256`;
  if (secret === null) return `No secret for ${nqn}, or a damaged one: ${remedy}`;
  return isKnown ? `A second secret for ${nqn}: remove one of them` : null;
}
