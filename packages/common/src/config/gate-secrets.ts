// Secrets with which the hosts of a gate authenticate, and the file that has them. A line has the NQN of a host, or of the gate itself, and its
// secret, as hosts have it: DHHC-1:HASH:BASE64: (NVMe Base 2.0, 8.13.5.8). Invariant: no message shows a secret, and a file with a wrong line
// yields no secrets at all.

import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type ConfigProblem, throwProblems } from './reader/findings.ts';
import type { GateSecret } from './schema/types.ts';
import { isNqn } from './schema/value-types.ts';

const SECRET = /^DHHC-1:0([0-3]):([A-Za-z0-9+/]+={0,2}):$/;
const KEY_BYTES: readonly number[] = [32, 48, 64];
const CHECKSUM_BYTES = 4;
/** The hash that new secrets name, and the length of its keys. Hosts of all ages take a key of the length of its hash. */
const NEW = { hash: 1, keyBytes: 32 } as const;

/** Reads one secret; null if the text is none, or if its checksum is wrong. */
export function parseGateSecret(text: string): GateSecret | null {
  const [, hash, encoded] = SECRET.exec(text) ?? [];
  if (hash === undefined || encoded === undefined) return null;
  const bytes = Buffer.from(encoded, 'base64');
  const keyBytes = bytes.length - CHECKSUM_BYTES;
  if (!KEY_BYTES.includes(keyBytes) || bytes.toString('base64') !== encoded) return null;
  const key = bytes.subarray(0, keyBytes);
  return bytes.readUInt32LE(keyBytes) === crc32(key) ? { hash: Number(hash), key } : null;
}

/** Returns a new random secret. */
export function newGateSecret(): string {
  const key = randomBytes(NEW.keyBytes);
  const checksum = Buffer.alloc(CHECKSUM_BYTES);
  checksum.writeUInt32LE(crc32(key));
  return `DHHC-1:0${NEW.hash}:${Buffer.concat([key, checksum]).toString('base64')}:`;
}

/** Returns the secrets in the text of a file, by NQN. Throws E_CONFIG with each wrong line. */
export function parseGateSecrets(text: string, file: string): ReadonlyMap<string, GateSecret> {
  const secrets = new Map<string, GateSecret>();
  const problems: ConfigProblem[] = [];
  for (const [index, content] of text.split('\n').entries()) {
    const [nqn = '', encoded = '', ...more] = content.trim().split(/\s+/);
    if (nqn === '' || nqn.startsWith('#')) continue;
    const secret = parseGateSecret(encoded);
    const message = !isNqn(nqn)
      ? 'No NQN at the beginning of the line: write NQN SECRET'
      : secret === null || more.length > 0
        ? `No secret for ${nqn}, or a damaged one: rsconfig gate secret ${nqn} prints a line with a new one`
        : secrets.has(nqn)
          ? `A second secret for ${nqn}: remove one of them`
          : null;
    if (message !== null) problems.push({ line: index + 1, message });
    else if (secret !== null) secrets.set(nqn, secret);
  }
  throwProblems(file, problems);
  return secrets;
}
