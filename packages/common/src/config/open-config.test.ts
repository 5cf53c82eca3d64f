// Tests that no secret of a configuration is shown, whatever its key is called: the secrets follow from the schema. Rules: G56.

import { expect, test } from 'vitest';
import { cleanerOf, openConfig } from './open-config.ts';
import { examineRscltConfig } from './reader/rscltcfg.ts';
import { examineRssrvConfig } from './reader/rssrvcfg.ts';
import type { FileSchema } from './schema/entries.ts';
import { SCHEMA } from './schema/schema.ts';
import { SERVER_FILE_HEAD } from '../testing/sample-rssrvcfg.ts';
import { smallRscltcfg } from '../testing/sample-rscltcfg.ts';

const FILES = ['rssrvcfg', 'rscltcfg'] as const;
const SECRETS = FILES.flatMap((file) =>
  Object.entries(SCHEMA[file] as FileSchema).flatMap(([section, { keys }]) =>
    Object.entries(keys).flatMap(([key, { type }]) => (type.isSecret ? [{ file, section, key }] : [])),
  ),
);
const SECRET = 'k3y-of-this-test/+=';

test('there are secrets in both files', () => {
  expect(SECRETS.map(({ file, key }) => `${file} ${key}`)).toEqual(
    expect.arrayContaining(['rssrvcfg serverkey', 'rscltcfg metrics-token']),
  );
});

test.for(SECRETS)('$file: no line with $key in [$section] shows it, wherever the fault is', ({ file, section, key }) => {
  const line = `${key} = ${SECRET}`;
  for (const text of [
    `[${section} x]\n${line}\n`,
    `${line}\n[${section} x]\n`,
    `[${section}x]\n${line}`,
    `[${section} x\n${line}`,
    `[${section} x] ${line}`,
    `[${line}]\n`,
    `[${section} x]\n# ${line}\n;${line}\n#${line.toUpperCase()}`,
    `[${section} x]\n${key}x = ${SECRET}\n${key} ${SECRET}\n${SECRET} = x\nport = ${SECRET}\nport = 1 ${line}\n\t ${line}\n${key}=${SECRET}`,
    `[rights]\nbig-2 ${SECRET}\n[clients]\n${SECRET} big-2\nbig-2 ${SECRET} ${SECRET}\n`,
  ]) {
    const { text: shown } = openConfig(text, SCHEMA[file], false);
    expect(shown).not.toContain(SECRET);
    expect(shown.split('\n').length, 'the number of lines').toBe(text.replace(/\n$/, '').split('\n').length + 1);
  }
});

test('a good file of a server shows everything but its secrets', () => {
  const text = `${SERVER_FILE_HEAD}[pool fast]\npath = /srv/fast\ndisk = /dev/sdb\nowners = big-9\nfence = command:/sbin/off -p pa55word9\n
[clients]\nbig-2 ${SECRET} another-key\n[rights]\nbig-2 manage pool=fast\n`;
  expect(examineRssrvConfig(text, 'f').problems).toEqual([]);
  const { text: shown, secrets } = openConfig(text, SCHEMA.rssrvcfg, true);
  expect(shown).toBe(
    text
      .replace('# Server of the test', '# (left out)')
      .replace(' -p pa55word9', ' (left out)')
      .replace(`${SECRET} another-key`, '(left out)'),
  );
  expect(secrets).toEqual(expect.arrayContaining([SECRET, 'another-key', 'pa55word9']));
});

test('a good file of a client shows everything but its secrets', () => {
  const text = smallRscltcfg(`namespacekey = ${SECRET}\nstall = 5m\n`);
  expect(examineRscltConfig(text, 'f').problems).toEqual([]);
  const shown = openConfig(text, SCHEMA.rscltcfg, true).text;
  expect(shown).toBe(text.replace('0xa-secret-of-sixteen', '(left out)').replace(SECRET, '(left out)'));
});

test('a message about a faulty file is cleaned of what may be a key', () => {
  const text = `[namespace osl]\nnamespaceid = ${SECRET}\n[server big-9]\nbig-2 ${SECRET}\n[rights]\nbig-2 ${SECRET}\n[clients]\n${SECRET} ${SECRET}\n`;
  const { problems } = examineRssrvConfig(text, 'f');
  const clean = cleanerOf(openConfig(text, SCHEMA.rssrvcfg, false).secrets);
  expect(JSON.stringify(problems)).toContain(SECRET);
  expect(clean(JSON.stringify(problems))).not.toContain(SECRET.slice(0, 12));
});

test('secrets are found in each form, also where one begins another', () => {
  const [short, long] = ['0xa"\\key', '0xa"\\key-and-more'];
  const clean = cleanerOf([short, long, 'tiny']);
  for (const form of ['utf8', 'hex', 'base64', 'base64url'] as const)
    expect(clean(`<${Buffer.from(long).toString(form)}>`)).toMatch(/^<\(left out\)=*>$/);
  expect(clean(Buffer.from(short).toString('hex').toUpperCase())).toBe('(left out)');
  expect(clean(JSON.stringify({ long, short }))).toBe('{"long":"(left out)","short":"(left out)"}');
  expect(clean('tiny text')).toBe('tiny text');
  expect(cleanerOf([])('text')).toBe('text');
});

test.each([`[clients ${SECRET}]\n`, `[pool ${SECRET}]\n`, `[web1 ${SECRET}]\n`, `[peer ${SECRET}$]\n`, `${SECRET}\n[clients]\n`])(
  'a key in the place of a header is left out, and messages are cleaned of it: %#',
  (text) => {
    const { text: shown, secrets } = openConfig(text, SCHEMA.rssrvcfg, false);
    expect(shown).not.toContain(SECRET);
    expect(cleanerOf(secrets)(JSON.stringify(examineRssrvConfig(text, 'f').problems))).not.toContain(SECRET.slice(0, 12));
  },
);
