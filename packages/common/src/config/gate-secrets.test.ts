// Secrets of hosts: their form, the file that has them, and the configuration that names the file.
// The first test uses secrets from the specification and from nvme-cli.

import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { sampleRscltcfg } from '../testing/sample-rscltcfg.ts';
import {
  newChapSecret,
  newGateSecret,
  newTlsKey,
  parseChapSecret,
  parseGateSecret,
  parseGateSecrets,
  parseTlsKey,
} from './gate-secrets.ts';
import { loadRscltConfig } from './load-config.ts';
import { problemTexts } from './reader/findings.ts';

const HOST = 'nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555';
const SECRET = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';
const LONG = 'DHHC-1:02:uCeKCcWa3l/H/wi13HbavHsnIzuASCbbJmlApedc5cizxt51Lo+hDIbB+HmhOAbbZqojKw==:';

const TLS_KEY = 'NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:';
const TLS_KEY_384 = 'NVMeTLSkey-1:02:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwP/w0S89ELi3W2LxIcLXVsDn8kXZQ==:';

let dir = '';

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'gate-secrets-'));
});

afterAll(() => removeFolder(dir));

function problemsOf(run: () => unknown): string[] {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof RsError) return problemTexts(thrown);
    throw thrown;
  }
  return [];
}

test('secrets of other programs are read, and new ones have the same form', () => {
  expect(parseGateSecret(SECRET)).toMatchObject({ hash: 0, key: { length: 32 } });
  expect(parseGateSecret(SECRET.replace(':00:', ':03:'))).toMatchObject({ hash: 3, key: { length: 32 } });
  expect(parseGateSecret(LONG)).toMatchObject({ hash: 2, key: { length: 48 } });
  const made = newGateSecret();
  expect(made).toMatch(/^DHHC-1:01:[A-Za-z0-9+/]{48}:$/);
  expect(parseGateSecret(made)).toMatchObject({ hash: 1, key: { length: 32 } });
  expect(newGateSecret()).not.toBe(made);
});

test.each([
  ['another checksum', SECRET.replace('aQ2n', 'aQ2o')],
  ['another key', SECRET.replace('ia6z', 'ia6y')],
  ['an unknown hash', SECRET.replace(':00:', ':04:')],
  ['no colon at the end', SECRET.slice(0, -1)],
  ['a key of another length', 'DHHC-1:00:a2tra2tra2tra2tra2tra2tra2s=:'],
  ['letters of another alphabet', SECRET.replace('ia6z', 'ia_z')],
  ['nothing', ''],
])('a secret with %s is none', (_, text) => expect(parseGateSecret(text)).toBeNull());

test('keys for TLS of other programs are read, and new ones have the same form', () => {
  const key = Buffer.from('5512dbb6737d0106f65975b773dfb011ffc344bcf442e2dd6d8bc4870b5d5b03', 'hex');
  expect(parseTlsKey(TLS_KEY)).toEqual({ hash: 1, key });
  expect(parseTlsKey(TLS_KEY.replace(':01:', ':00:'))).toEqual({ hash: 0, key });
  const made = newTlsKey();
  expect([/^NVMeTLSkey-1:01:[A-Za-z0-9+/]{48}:$/.test(made), parseTlsKey(made)?.key.length]).toEqual([true, 32]);
  for (const wrong of [SECRET, TLS_KEY_384, TLS_KEY_384.replace(':02:', ':00:'), TLS_KEY.replace('9LrZ', '9LrY'), TLS_KEY.slice(0, -1)])
    expect(parseTlsKey(wrong)).toBeNull();
  expect(parseGateSecret(TLS_KEY)).toBeNull();
});

test('a file has a secret and a key for TLS for the same NQN, each once', () => {
  const { secrets, tlsKeys } = parseGateSecrets(`${HOST} ${SECRET}\n${HOST} ${TLS_KEY}\n`, 'f');
  expect([[...secrets.keys()], [...tlsKeys.keys()]]).toEqual([[HOST], [HOST]]);
  const text = `${HOST} ${TLS_KEY}\n${HOST} ${TLS_KEY}\n${HOST}x ${TLS_KEY_384}\n${HOST}y ${TLS_KEY.slice(0, -3)}`;
  const remedy = (one: string): string => `rsconfig gate secret ${HOST}${one} --tls prints a line with a new one`;
  expect(problemsOf(() => parseGateSecrets(text, 'f'))).toEqual([
    `f:2: A second secret for ${HOST}: remove one of them`,
    `f:3: A TLS key for SHA-384 for ${HOST}x, which gates do not have: ${remedy('x')} for SHA-256`,
    `f:4: No secret for ${HOST}y, or a damaged one: ${remedy('y')}`,
  ]);
});

test('a file has a secret for each NQN, and comments', () => {
  const { secrets } = parseGateSecrets(`# hosts\n\n${HOST} ${SECRET}\r\n  nqn.2026-01.com.example:gate\t${LONG}\n`, 'f');
  expect([...secrets.keys()]).toEqual([HOST, 'nqn.2026-01.com.example:gate']);
  expect(secrets.get(HOST)).toEqual(parseGateSecret(SECRET));
});

test('each wrong line is named, and no secret is shown', () => {
  const lines = [
    `${HOST} ${SECRET}`,
    `${HOST} ${LONG}`,
    SECRET,
    `${HOST}x ${SECRET.slice(0, -3)}`,
    `${HOST}y ${SECRET} ${LONG}`,
    `${HOST}z`,
  ];
  expect(problemsOf(() => parseGateSecrets(lines.join('\n'), 'f'))).toEqual([
    `f:2: A second secret for ${HOST}: remove one of them`,
    'f:3: No NQN or IQN at the beginning of the line: write NQN SECRET, or IQN SECRET',
    ...['x', 'y', 'z'].map(
      (one, at) =>
        `f:${at + 4}: No secret for ${HOST}${one}, or a damaged one: rsconfig gate secret ${HOST}${one} prints a line with a new one`,
    ),
  ]);
});

test('a line with an IQN has a secret for CHAP', () => {
  const host = 'iqn.2026-01.org.example:Host';
  const { secrets } = parseGateSecrets(`${host} ${'s'.repeat(12)}\n${HOST} ${SECRET}`, 'f');
  expect(secrets.get(host.toLowerCase())).toEqual({ hash: 0, key: Buffer.from('ssssssssssss') });
  expect(parseChapSecret(newChapSecret())?.key).toHaveLength(16);
  expect(problemsOf(() => parseGateSecrets(`${host} short-one\n${host} ${SECRET}x${'y'.repeat(64)}`, 'f'))).toEqual(
    [1, 2].map(
      (line) =>
        `f:${line}: No secret of 12 to 64 printable characters for ${host.toLowerCase()}: rsconfig gate secret ${host.toLowerCase()} prints a line with a new one`,
    ),
  );
});

test('the configuration has the secrets of its gates; without the file, it is refused', () => {
  const [file, secretFile] = [join(dir, 'rscltcfg'), join(dir, 'secrets')];
  const section = `[gate g1]\naddress = 127.0.0.1\nhosts = ${HOST},${HOST}2\nsecret-file = ${secretFile}\n`;
  writeFileSync(file, `${sampleRscltcfg({ near: ['127.45.0.20', '127.46.0.20'], far: ['127.45.0.10', '127.46.0.10'] })}\n${section}`, {
    mode: 0o600,
  });
  expect(problemsOf(() => loadRscltConfig(file))).toEqual([
    `The secret-file of gate g1 cannot be used: No configuration file ${secretFile}: check the name, or write the file`,
  ]);
  writeFileSync(secretFile, `${HOST} ${SECRET}\n`, { mode: 0o600 });
  const { gates, warnings } = loadRscltConfig(file);
  expect([...(gates[0]?.secrets ?? [])]).toEqual([[HOST, parseGateSecret(SECRET)]]);
  expect(warnings.map(({ message }) => message)).toContain(`${secretFile} has no secret for ${HOST}2: gate g1 refuses this host`);
  writeFileSync(secretFile, `${HOST} ${SECRET}\n${HOST}2 ${SECRET}\n`);
  expect(loadRscltConfig(file).warnings.map(({ message }) => message)).toContain(
    `${HOST} and ${HOST}2 have the same secret, so that one can log in as the other: give each its own`,
  );
  writeFileSync(secretFile, `${HOST} ${SECRET}\n`);
  writeFileSync(file, readFileSync(file, 'utf8') + 'tls = required\n');
  expect(loadRscltConfig(file).warnings.map(({ message }) => message)).toContain(
    `${secretFile} has no TLS key for ${HOST}: gate g1 refuses this host`,
  );
  writeFileSync(secretFile, `${HOST} ${SECRET}\n${HOST} ${TLS_KEY}\n`);
  expect(loadRscltConfig(file).gates[0]).toMatchObject({ tls: true, tlsKeys: new Map([[HOST, parseTlsKey(TLS_KEY)]]) });
  chmodSync(secretFile, 0o644);
  expect(loadRscltConfig(file).warnings.some(({ message }) => message.includes(`Every user can read the keys in ${secretFile}`))).toBe(
    true,
  );
  writeFileSync(secretFile, `${HOST}\n`);
  expect(problemsOf(() => loadRscltConfig(file))[0]).toContain(`${secretFile}:1: No secret for ${HOST}`);
});
