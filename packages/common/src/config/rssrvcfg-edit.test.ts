// Tests which lines of rssrvcfg change, and which lines stay unchanged, when rsadm edits the file.
// config-file.test.ts tests saving the file.

import { expect, test } from 'vitest';
import { parseIni, printIni } from './reader/ini-document.ts';
import { examineRssrvConfig } from './reader/rssrvcfg.ts';
import {
  addClient,
  addPeer,
  addPool,
  addSecondKey,
  changeRights,
  dropFirstKey,
  dropSecondKey,
  removeClient,
  renameClient,
  removeServerSection,
  setRights,
} from './rssrvcfg-edit.ts';

const FILE = `# Our server.
[namespace osl]
namespaceid = 200

[server big-9]
serverid = 1

[interface if1]
address     = 10.0.0.1

[clients]
big-2 0123456789abcdef0
; the old one
venus 0123456789abcdef1
`;

const KEY = '0123456789abcdef2';

/** Returns the lines that an edit adds (+) and removes (-). */
function diff(edited: string): string[] {
  const [before, after] = [FILE.split('\n'), edited.split('\n')];
  return [
    ...before.filter((line) => !after.includes(line)).map((line) => `-${line}`),
    ...after.filter((line) => !before.includes(line)).map((line) => `+${line}`),
  ];
}

test('a pool, a client and rights are added, and nothing else changes', () => {
  let document = addPool(parseIni(FILE), 'fast', [
    ['path', '/storage/fast'],
    ['limit', '2t'],
  ]);
  document = addClient(document, 'mars', KEY);
  document = setRights(document, 'mars', 'manage pool=fast');
  const text = printIni(document);
  expect(diff(text)).toEqual([
    '+[pool fast]',
    '+path        = /storage/fast',
    '+limit       = 2t',
    '+mars 0123456789abcdef2',
    '+[rights]',
    '+mars manage pool=fast',
  ]);
  const { problems, config } = examineRssrvConfig(text, 'f');
  expect(problems).toEqual([]);
  expect(config?.pools).toMatchObject([{ name: 'fast', path: '/storage/fast' }]);
  expect(config?.rights).toMatchObject([{ name: 'mars', role: 'manage', pools: ['fast'] }]);
});

test('a peer is added and removed, and no message shows its key', () => {
  const document = addPeer(parseIni(FILE), 'oslo-1', [
    ['address', '10.0.0.5'],
    ['nodekey', KEY],
  ]);
  expect(diff(printIni(document))).toEqual(['+[peer oslo-1]', '+address     = 10.0.0.5', `+nodekey     = ${KEY}`]);
  expect(examineRssrvConfig(printIni(document), 'f')).toMatchObject({
    problems: [],
    config: { peers: [{ name: 'oslo-1', nodekey: KEY }] },
  });
  expect(() => addPeer(document, 'oslo-1', [])).toThrow('Peer oslo-1 exists, in line 11: remove it first');
  expect(() => addPeer(document, 'a b', [])).toThrow('Wrong peer name "a b"');
  expect(() => addPeer(document, 'x', [['nodekey', 'zu kurz']])).toThrow(/^Wrong nodekey of peer x: allowed is 1 to 256 printable/);
  expect(printIni(removeServerSection(document, 'peer', 'oslo-1'))).toBe(FILE);
});

test('a removed client keeps neither key nor rights, and comments stay', () => {
  const document = removeClient(setRights(setRights(parseIni(FILE), 'venus', 'admin'), 'big-2', 'use'), 'venus');
  expect(diff(printIni(document))).toEqual(['-venus 0123456789abcdef1', '+[rights]', '+big-2 use']);
  expect(printIni(document)).toContain('; the old one');
});

test('rights without a client can be removed, and are given only to a client', () => {
  const document = setRights(parseIni(FILE), 'mars', 'admin');
  expect(diff(printIni(removeClient(document, 'mars')))).toEqual(['+[rights]']);
  expect(diff(printIni(changeRights(document, 'venus', 'use')))).toEqual(['+[rights]', '+mars admin', '+venus use']);
  expect(() => changeRights(document, 'mars', 'use')).toThrow('No client "mars" in [clients]: rsadm client list shows the clients');
  expect(() => setRights(document, 'venus', 'use\nmars admin')).toThrow(
    'Wrong rights "use\\nmars admin" of client venus: give them in one line',
  );
});

test('rights are replaced, not added twice', () => {
  const document = setRights(setRights(parseIni(FILE), 'venus', 'admin'), 'venus', 'use');
  expect(diff(printIni(document))).toEqual(['+[rights]', '+venus use']);
});

test('a file without [clients] gets the section', () => {
  const bare = parseIni(FILE.slice(0, FILE.indexOf('[clients]')));
  expect(printIni(addClient(bare, 'mars', KEY))).toMatch(/\n\n\[clients\]\nmars 0123456789abcdef2\n$/);
});

test('what exists or is wrong is refused, and no message shows a key', () => {
  const document = addPool(parseIni(FILE), 'fast', [['path', '/p']]);
  expect(() => addPool(document, 'fast', [['path', '/q']])).toThrow(
    'Pool fast exists, in line 11: choose another name, or give that pool up first (rsadm pool remove fast)',
  );
  expect(() => addPool(document, 'a b', [])).toThrow(/^Wrong pool name "a b"/);
  expect(() => addClient(document, 'venus', KEY)).toThrow('Client venus exists, in line 17: choose another name, or remove it first');
  expect(() => addClient(document, 'x', 'se cret')).toThrow(/^Wrong key of client x: allowed is 1 to 256/);
  expect(() => removeClient(document, 'mars')).toThrow('No client "mars" in [clients]: rsadm client list shows the clients');
});

test('a key is changed in two steps, in its line alone, whose spacing and comments stay', () => {
  const file = FILE.replace('venus 0', '\tvenus \t 0').replace('cdef1\n', 'cdef1  \n');
  const both = addSecondKey(parseIni(file), 'venus', KEY);
  expect(printIni(both)).toBe(file.replace('cdef1  ', `cdef1 ${KEY}  `));
  expect(examineRssrvConfig(printIni(both), 'f').config?.clients[1]).toEqual({ name: 'venus', key: '0123456789abcdef1', newKey: KEY });
  expect(printIni(dropFirstKey(both, 'venus'))).toBe(file.replace('0123456789abcdef1', KEY));
  expect(printIni(dropSecondKey(both, 'venus'))).toBe(file);
});

test('a client gets another name in each line that names it, and in no other', () => {
  const file = `${FILE}\n[rights]\nvenus manage pool=fast\nvenus-2 use\n[volume v]\npath = /venus\nclients=big-2,venus venus-2\ntake-over = venus\n`;
  const renamed = printIni(renameClient(parseIni(file), 'venus', 'mars'));
  expect(renamed).toBe(
    file
      .replace('venus 0', 'mars 0')
      .replace('venus manage', 'mars manage')
      .replace(',venus venus-2', ',mars venus-2')
      .replace('take-over = venus', 'take-over = mars'),
  );
  for (const to of ['big-2', 'venus-2', 'venus']) expect(() => renameClient(parseIni(file), 'venus', to)).toThrow(`Client ${to} exists`);
  expect(() => renameClient(parseIni(file), 'venus', 'a b')).toThrow('Wrong client name "a b"');
  expect(() => renameClient(parseIni(file), 'mars', 'pluto')).toThrow('No client "mars" in [clients]');
});

test('only a client with one key gets a second one, only one with two loses one, and no message shows a key', () => {
  const both = addSecondKey(parseIni(FILE), 'venus', KEY);
  const refusals: readonly (readonly [() => unknown, string])[] = [
    [
      () => addSecondKey(both, 'venus', 'x'.repeat(20)),
      'Client venus has two keys already: rsadm client rekey venus --finish drops the old one',
    ],
    [() => addSecondKey(both, 'mars', KEY), 'No client "mars" in [clients]: rsadm client list shows the clients'],
    [() => addSecondKey(both, 'big-2', 'two words'), 'Wrong key of client big-2: allowed is'],
    [() => dropFirstKey(both, 'big-2'), 'Client big-2 has one key: rsadm client rekey big-2 gives it another one first'],
    [() => dropSecondKey(both, 'big-2'), 'Client big-2 has one key'],
    [() => dropFirstKey(both, 'mars'), 'No client "mars"'],
  ];
  for (const [edit, message] of refusals) {
    expect(edit).toThrow(message);
    expect(edit).not.toThrow(/0123456789|xxxx|two words/);
  }
});
