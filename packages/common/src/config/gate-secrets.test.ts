// Secrets of hosts: their form, the file that has them, and the configuration that names the file.
// The secrets of the first test are the specification's, and nvme-cli's.

import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RsError } from '../lib/errors.ts';
import { removeFolder } from '../testing/remove-folder.ts';
import { sampleRscltcfg } from '../testing/sample-rscltcfg.ts';
import { newGateSecret, parseGateSecret, parseGateSecrets } from './gate-secrets.ts';
import { loadRscltConfig } from './load-config.ts';
import { problemTexts } from './reader/findings.ts';

const HOST = 'nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555';
const SECRET = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';
const LONG = 'DHHC-1:02:uCeKCcWa3l/H/wi13HbavHsnIzuASCbbJmlApedc5cizxt51Lo+hDIbB+HmhOAbbZqojKw==:';

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

test('a file has a secret for each NQN, and comments', () => {
  const secrets = parseGateSecrets(`# hosts\n\n${HOST} ${SECRET}\r\n  nqn.2026-01.com.example:gate\t${LONG}\n`, 'f');
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
    'f:3: No NQN at the beginning of the line: write NQN SECRET',
    ...['x', 'y', 'z'].map(
      (one, at) =>
        `f:${at + 4}: No secret for ${HOST}${one}, or a damaged one: rsconfig gate secret ${HOST}${one} prints a line with a new one`,
    ),
  ]);
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
  chmodSync(secretFile, 0o644);
  expect(loadRscltConfig(file).warnings.some(({ message }) => message.includes(`Every user can read the keys in ${secretFile}`))).toBe(
    true,
  );
  writeFileSync(secretFile, `${HOST}\n`);
  expect(problemsOf(() => loadRscltConfig(file))[0]).toContain(`${secretFile}:1: No secret for ${HOST}`);
});
