// Tests the reader of the file of a namespace, and that one meaning has one canonical text.

import { expect, test } from 'vitest';
import { canonicalText, hashOf, readNamespaceFile, withKeys } from './namespace-file.ts';
import { parseIni, printIni } from './reader/ini-document.ts';

const KEY = 'a-key-of-the-lab-1';

const FILE = `# what all servers have in common
[namespace osl]
namespaceid = 200
tls = require

[group dbs]
rights = manage pool=fast limit=500g
iops = 5000

[client big-2]
key = ${KEY}
group = dbs
iops = 100
[client old]
state = absent
[peer s9]
server = s1
address = 10.0.0.9
nodekey = a-key-of-the-lab-9
`;

const problemsOf = (text: string, isPart = false): string[] =>
  readNamespaceFile(text, 'osl.conf', isPart).problems.map(({ line, message }) => `${line} ${message}`);

test('clients have the rights and limits of their group, unless they set their own', () => {
  const { wanted, problems } = readNamespaceFile(FILE, 'osl.conf');
  expect(problems).toEqual([]);
  expect(wanted).toEqual({
    namespaceid: 200,
    settings: [['tls', 'require']],
    clients: [
      { name: 'big-2', key: KEY, rights: 'manage pool=fast limit=500g', limits: [['iops', '100']], isAbsent: false },
      { name: 'old', key: null, rights: null, limits: [], isAbsent: true },
    ],
    peers: [
      {
        name: 's9',
        server: 's1',
        entries: [
          ['address', '10.0.0.9'],
          ['nodekey', 'a-key-of-the-lab-9'],
        ],
        isAbsent: false,
      },
    ],
  });
});

test('each fault is named with its line, and no message has a key', () => {
  const cases: readonly (readonly [text: string, problem: RegExp])[] = [
    ['[client a]\nkey = x\n', /^0 No section \[namespace NAME\]/],
    ['[namespace osl]\nnamespaceid = 1\n[client a]\n', /^3 Client "a" has no key: add "key-file = FILE"/],
    ['[namespace osl]\nnamespaceid = 1\n[client a]\nkey = k1\n[client a]\nkey = k2\n', /^5 Duplicate client "a" \(first in line 3\)/],
    ['[namespace osl]\nnamespaceid = 1\n[client a]\nkey = k1\ngroup = dbs\n', /^5 Client "a" has the group "dbs": add a section/],
    ['[namespace osl]\nnamespaceid = 1\n[client a]\nkey = k1\nrights = rule\n', /^5 Client a in \[rights\] has the right "rule"/],
    ['[namespace osl]\nnamespaceid = 1\n[client a]\nkey = k1\nrights = manage foo=1\n', /^5 .*"foo=1"/],
    [
      '[namespace osl]\nnamespaceid = 1\n[client a]\nkey = k1\nrights = use iops=5\n',
      /^5 rights in \[client a\] has iops: write it as a key/,
    ],
    ['[namespace osl]\nnamespaceid = 1\n[group a]\nrights = rule\n', /^4 .*has the right "rule"/],
    ['[namespace osl]\nnamespaceid = 1\n[client a]\nkey-file = k1\n', /^4 key-file in \[client a\] was not read/],
    ['[namespace osl]\nnamespaceid = 1\n[peer s9]\naddress = 10.0.0.9\n', /^3 .*server/],
    ['[namespace osl]\nnamespaceid = 1\n[peer s9]\nserver = s1\naddress = 10.0.0.9\n', /^3 Peer "s9" of server "s1" has no key/],
    ['[namespace osl]\nnamespaceid = 1\n[client a]\nkey = secret word\n', /^4 Wrong value for key/],
  ];
  for (const [text, problem] of cases) {
    const found = problemsOf(text);
    expect(found.join('\n'), text).toMatch(problem);
    expect(found.join('\n')).not.toMatch(/k1|k2|secret/);
  }
  expect(problemsOf('[namespace osl]\nnamespaceid = 1\n[client a]\nrights = use\n', true)).toEqual([]);
});

test('comments, order and spaces do not change the hash, and each value does', () => {
  const hash = (text: string): string => hashOf(canonicalText(parseIni(text)));
  const moved = `[client old]\nstate=absent\n[client big-2]\niops=100\ngroup = dbs\n ; a note\nkey=${KEY}\n${FILE.replace(/\[client big-2\][^]*?(?=\[peer)/, '')}`;
  expect(hash(moved)).toBe(hash(FILE));
  expect(readNamespaceFile(canonicalText(parseIni(FILE)), 'x').wanted).toMatchObject({ namespaceid: 200, settings: [['tls', 'require']] });
  for (const [from, to] of [
    [KEY, `${KEY}x`],
    ['tls = require', 'tls = allow'],
    ['absent', 'present'],
    ['s1', 's2'],
  ] as const)
    expect(hash(FILE.replace(from, to))).not.toBe(hash(FILE));
});

test('the files of keys are read, and a section with a key and its file is refused', () => {
  const text = '[namespace osl]\nnamespaceid = 1\n[client a]\nkey-file = a.key\n[client b]\nkey = k\nkey-file = b.key\n';
  const read: string[] = [];
  const document = withKeys(parseIni(text), (file) => {
    read.push(file);
    return `key-in-${file}`;
  });
  expect(read).toEqual(['a.key']);
  expect(printIni(document)).toMatch(/\[client a\]\nkey += key-in-a\.key\n/);
  expect(problemsOf(printIni(document)).join('\n')).toMatch(/^7 key-file in \[client b\] was not read/);
  const twice = withKeys(parseIni('[client c]\nkey-file = a\nkey-file = b\n[client d]\nconstructor = x\n'), () => 'K');
  expect(printIni(twice)).toBe('[client c]\nkey-file = a\nkey-file = b\n[client d]\nconstructor = x\n');
});
