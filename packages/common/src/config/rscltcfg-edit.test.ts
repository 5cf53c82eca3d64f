// Tests edits of the client's file. Starting from an empty file, the edits make the manual's sample byte for byte. Every edit keeps all
// other lines and can be undone. Invalid names and values are refused with a message that says what is permitted.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { INTERFACES_MAX } from '@rsio/base/lib/limits';
import { type IniDocument, parseIni, printIni } from './reader/ini-document.ts';
import { parseRscltConfig } from './reader/rscltcfg.ts';
import {
  addInterface,
  addNamespace,
  addServer,
  changeSection,
  newRscltcfg,
  type SectionRef,
  removeConfigSection,
  renameConfigSection,
  setKey,
} from './rscltcfg-edit.ts';
import { SAMPLE_RSCLTCFG } from '../testing/sample-rscltcfg.ts';

const OSL = { nodekey: '0xbig-2', nodename: 'big-2', namespaceid: '200' };

function edited(text: string, ...edits: readonly ((document: IniDocument) => IniDocument)[]): string {
  return printIni(edits.reduce((document, edit) => edit(document), parseIni(text)));
}

describe('the sample from nothing', () => {
  const if0 = (document: IniDocument) => addInterface(document, 'if0', { address: '192.168.45.20' });
  const if1 = (document: IniDocument) => addInterface(document, 'if1', { address: '192.168.46.20' });
  const osl = (document: IniDocument) => addNamespace(document, 'osl', OSL);
  const one = (document: IniDocument) => addServer(document, 'osl', 'big-9-1', { address: '192.168.45.10' });
  const two = (document: IniDocument) => addServer(document, 'osl', 'big-9-2', { address: '192.168.46.10' });

  test.each([
    ['as an administrator does it', [if0, if1, osl, one, two]],
    ['namespace first', [osl, if0, one, if1, two]],
    ['servers first', [osl, one, two, if0, if1]],
  ])('%s', (_, edits) => {
    const document = edits.reduce((each, edit) => edit(each), newRscltcfg());
    expect(printIni(document)).toBe(SAMPLE_RSCLTCFG);
    expect(parseRscltConfig(printIni(document), 'f').warnings.map(({ message }) => message)).toEqual([
      expect.stringContaining('Short nodekey'),
    ]);
  });

  test('an empty file without [defaults] gets the same look', () => {
    expect(edited('', osl, if0)).toBe(
      '[interface if0]\naddress       = 192.168.45.20\n\n[namespace osl]\nnamespaceid   = 200\nnodename      = big-2\nnodekey       = 0xbig-2\n',
    );
  });
});

const COMMENTED = `# The client in rack 7\r
\r
[defaults]\r
port = 5000\r
\r
; first cable\r
; (the red one)\r
[interface if0]\r
address = 10.0.0.1\r
  # spare: 10.0.2.1\r
\r
# ---- namespaces ----\r
\r
# production\r
[namespace osl]\r
namespaceid = 200\r
nodename = big-2\r
nodekey = 0123456789abcdef\r
# stall = 30s\r
\r
[server s1]\r
address = 10.0.0.9\r
[volume oracle]\r
stall = forever\r
\r
# test\r
[namespace lab]\r
namespaceid = 7\r
nodename = big-2\r
nodekey = 0123456789abcdef`;

/**
 * Returns the lines that only `before` has (`removed`) and the lines that only `after` has (`added`). The lines that both have must be in
 * the same order.
 */
function difference(before: string, after: string): { removed: string[]; added: string[] } {
  const split = (text: string): string[] => text.split(/(?<=\n)/);
  const [left, right] = [split(before), split(after)];
  let head = 0;
  while (head < Math.min(left.length, right.length) && left[head] === right[head]) head += 1;
  let tail = 0;
  while (tail < Math.min(left.length, right.length) - head && left.at(-1 - tail) === right.at(-1 - tail)) tail += 1;
  return { removed: left.slice(head, left.length - tail), added: right.slice(head, right.length - tail) };
}

describe('in a file written by an administrator', () => {
  test.each<[string, (document: IniDocument) => IniDocument, string[], string[]]>([
    [
      'an interface goes below the others and their comments',
      (document) => addInterface(document, 'if1', { address: '10.0.1.1', port: '5001' }),
      [],
      ['[interface if1]\r\n', 'address = 10.0.1.1\r\n', 'port    = 5001\r\n', '\r\n'],
    ],
    [
      'a server goes below its namespace, above the volume',
      (document) => addServer(document, 'osl', 's2', { address: '10.0.1.9' }),
      [],
      ['\r\n', '[server s2]\r\n', 'address = 10.0.1.9\r\n', '\r\n'],
    ],
    [
      'the first server of a namespace at the end of a file without newline',
      (document) => addServer(document, 'lab', 's1', { address: '10.0.1.9' }),
      ['nodekey = 0123456789abcdef'],
      ['nodekey = 0123456789abcdef\r\n', '\r\n', '[server s1]\r\n', 'address = 10.0.1.9'],
    ],
    [
      'a value',
      (document) => setKey(document, { type: 'interface', name: 'if0' }, 'address', '10.0.0.2/24'),
      ['address = 10.0.0.1\r\n'],
      ['address = 10.0.0.2/24\r\n'],
    ],
    ['a new key', (document) => setKey(document, { type: 'defaults' }, 'stall', 'forever'), [], ['stall = forever\r\n']],
    [
      'a key of a volume',
      (document) => setKey(document, { type: 'volume', namespace: 'osl', name: 'oracle' }, 'stall', null),
      ['stall = forever\r\n'],
      [],
    ],
    [
      'a name',
      (document) => renameConfigSection(document, { type: 'server', namespace: 'osl', name: 's1' }, 'server'),
      ['[server s1]\r\n'],
      ['[server server]\r\n'],
    ],
    [
      'an interface goes with its comments, not with those of others',
      (document) => removeConfigSection(document, { type: 'interface', name: 'if0' }),
      ['; first cable\r\n', '; (the red one)\r\n', '[interface if0]\r\n', 'address = 10.0.0.1\r\n', '  # spare: 10.0.2.1\r\n', '\r\n'],
      [],
    ],
    [
      'the last section leaves no empty line, and the file without newline',
      (document) => removeConfigSection(document, { type: 'namespace', name: 'lab' }),
      [
        'stall = forever\r\n',
        '\r\n',
        '# test\r\n',
        '[namespace lab]\r\n',
        'namespaceid = 7\r\n',
        'nodename = big-2\r\n',
        'nodekey = 0123456789abcdef',
      ],
      ['stall = forever'],
    ],
  ])('%s', (_, edit, removed, added) => {
    expect(difference(COMMENTED, edited(COMMENTED, edit))).toEqual({ removed, added });
  });

  test('a namespace goes with its servers and volumes, an interface among them stays', () => {
    const text = `${SAMPLE_RSCLTCFG}\n[interface if2]\naddress       = 192.168.47.20\n\n[volume v]\nstall         = fail\n`;
    const expected = `${SAMPLE_RSCLTCFG.slice(0, SAMPLE_RSCLTCFG.indexOf('[namespace'))}[interface if2]\naddress       = 192.168.47.20\n`;
    expect(edited(text, (document) => removeConfigSection(document, { type: 'namespace', name: 'osl' }))).toBe(expected);
  });

  test('several keys at once, in the order of the manual', () => {
    const place: SectionRef = { type: 'server', namespace: 'osl', name: 'big-9-1' };
    const changes = { serverkey: '0123456789abcdef', port: '6000', address: '192.168.45.11', protocol: null };
    const after = edited(SAMPLE_RSCLTCFG, (document) => changeSection(document, place, changes));
    expect(difference(SAMPLE_RSCLTCFG, after)).toEqual({
      removed: ['address       = 192.168.45.10\n'],
      added: ['address       = 192.168.45.11\n', 'port          = 6000\n', 'serverkey     = 0123456789abcdef\n'],
    });
  });

  test('[defaults] is created if it is missing, above everything but the comment of the file', () => {
    const text = '# mine\n\n# cable\n[interface if0]\naddress = 10.0.0.1\n';
    const set = (document: IniDocument): IniDocument => setKey(document, { type: 'defaults' }, 'stall', 'fail');
    expect(edited(text, set)).toBe('# mine\n\n[defaults]\nstall   = fail\n\n# cable\n[interface if0]\naddress = 10.0.0.1\n');
    const unset = (document: IniDocument): IniDocument => setKey(document, { type: 'defaults' }, 'stall', null);
    expect(edited(text, unset)).toBe(text);
  });
});

describe('refused', () => {
  const sample = parseIni(SAMPLE_RSCLTCFG);
  const if0: SectionRef = { type: 'interface', name: 'if0' };

  test.each(['', '.', 'a b', 'a]', '[a', 'a\n[namespace x', 'a\u001b[2J', '\u202ea', 'a'.repeat(64)])('the name %j', (name) => {
    const allowed = /^Wrong name "(?!.*\p{Cc}).*" for \w+: allowed is 1 to 63/u;
    expect(() => addInterface(sample, name, { address: '10.0.0.1' })).toThrow(allowed);
    expect(() => addNamespace(sample, name, OSL)).toThrow(allowed);
    expect(() => addServer(sample, 'osl', name, { address: '10.0.0.1' })).toThrow(allowed);
    expect(() => renameConfigSection(sample, if0, name)).toThrow(allowed);
  });

  test.each<[string, () => IniDocument, string]>([
    [
      'a name that exists',
      () => addInterface(sample, 'if0', { address: '10.0.0.1' }),
      'Section [interface if0] exists, in line 5: choose another name',
    ],
    ['a new name that exists', () => renameConfigSection(sample, if0, 'if1'), 'Section [interface if1] exists, in line 8'],
    [
      'a missing namespace',
      () => addServer(sample, 'old', 's', { address: '10.0.0.1' }),
      'No section [namespace old] in the file: there are "osl"',
    ],
    [
      'a missing server',
      () => removeConfigSection(sample, { type: 'server', namespace: 'osl', name: 'if0' }),
      'No section [server if0] in the file: there are "big-9-1", "big-9-2"',
    ],
    [
      'a missing volume',
      () => removeConfigSection(sample, { type: 'volume', namespace: 'osl', name: 'v' }),
      'there is no [volume] section',
    ],
    ['a wrong value', () => setKey(sample, if0, 'address', '10.0.0'), 'Wrong value "10.0.0" for address: allowed is the IPv4'],
    ['a value with a line break', () => setKey(sample, if0, 'address', '10.0.0.1\n[a'), 'Wrong value "10.0.0.1\\n[a" for address'],
    ['an unknown key', () => setKey(sample, if0, 'colour', 'red'), 'No key "colour" in [interface]: allowed are address, port, protocol'],
    ['a key of Object', () => setKey(sample, if0, 'constructor', 'red'), 'No key "constructor" in [interface]'],
    ['no address', () => addInterface(sample, 'if2', { port: '1' }), 'No address for [interface if2]: it needs the IPv4'],
    ['to unset what is required', () => setKey(sample, if0, 'address', null), 'Key address of [interface if0] is required'],
  ])('%s', (_, edit, message) => {
    expect(edit).toThrow(message);
  });

  test('an invalid key, without showing it', () => {
    expect(() => addNamespace(sample, 'lab', { ...OSL, nodekey: 'my secret' })).toThrow(/^Wrong value for nodekey: allowed is 1 to 256/);
  });

  test('two sections of one name, naming their lines', () => {
    const twice = parseIni('[interface a]\naddress = 10.0.0.1\n[interface a]\naddress = 10.0.0.2\n');
    expect(() => removeConfigSection(twice, { type: 'interface', name: 'a' })).toThrow(
      'More than one section [interface a], in lines 1 and 3',
    );
  });

  test('more interfaces than allowed', () => {
    let document = newRscltcfg();
    for (let index = 0; index < INTERFACES_MAX; index++) document = addInterface(document, `if${index}`, { address: `10.0.${index}.1` });
    expect(() => addInterface(document, 'if8', { address: '10.0.8.1' })).toThrow(
      'No more interface: the file has 8, allowed are at most 8',
    );
  });
});

describe('of any well-formed file', () => {
  const gap = fc.constantFrom('\n', '\n# alone\n\n', '\n\n');
  const above = fc.constantFrom('', '# mine\n', '; a\n; b\n');
  const below = fc.constantFrom('', '# port = 1\n');
  const interfaces = fc
    .array(fc.tuple(above, below, gap), { maxLength: 3 })
    .map((each) =>
      each.map(([over, under, after], index) => `${over}[interface i${index}]\naddress = 10.0.${index}.1\n${under}${after}`).join(''),
    );
  const servers = fc
    .array(fc.tuple(above, below), { maxLength: 3 })
    .map((each) => each.map(([over, under], index) => `\n${over}[server s${index}]\naddress = 10.0.${index}.9\n${under}`).join(''));
  const head = fc.constantFrom('', '# file\n\n', '[defaults]\nport = 1\n\n');
  const text = fc.tuple(head, interfaces, above, servers, fc.boolean(), fc.boolean()).map(([first, ifs, over, srvs, isCut, isCrlf]) => {
    const whole = `${first}${ifs}${over}[namespace n]\nnamespaceid = 1\nnodename = a\nnodekey = b\n${srvs}`;
    const ended = isCut ? whole.replace(/\n$/, '') : whole;
    return isCrlf ? ended.replaceAll('\n', '\r\n') : ended;
  });

  const additions: readonly ((document: IniDocument) => IniDocument)[] = [
    (document) => removeConfigSection(addInterface(document, 'new', { address: '10.9.9.9' }), { type: 'interface', name: 'new' }),
    (document) => removeConfigSection(addNamespace(document, 'new', OSL), { type: 'namespace', name: 'new' }),
    (document) =>
      removeConfigSection(addServer(document, 'n', 'new', { address: '10.9.9.9' }), { type: 'server', namespace: 'n', name: 'new' }),
    (document) =>
      setKey(setKey(document, { type: 'namespace', name: 'n' }, 'stall', 'fail'), { type: 'namespace', name: 'n' }, 'stall', null),
    (document) =>
      renameConfigSection(renameConfigSection(document, { type: 'namespace', name: 'n' }, 'x'), { type: 'namespace', name: 'x' }, 'n'),
  ];

  test('an added section is read, and removing it again restores every byte', () => {
    fc.assert(
      fc.property(text, fc.nat(additions.length - 1), (before, which) => {
        const there = addServer(addInterface(parseIni(before), 'new', { address: '10.9.9.9' }), 'n', 'new', { address: '10.9.9.8' });
        const config = parseRscltConfig(printIni(there), 'f');
        expect(config.interfaces.at(-1)).toMatchObject({ name: 'new', address: '10.9.9.9' });
        expect(config.namespaces[0]?.servers.at(-1)).toMatchObject({ name: 'new', address: '10.9.9.8' });
        expect(edited(before, additions[which] ?? ((document) => document))).toBe(before);
      }),
      { numRuns: 500 },
    );
  });
});
