// The server's file: the sample, every default, and each invalid input with its line, the problem and the permitted values.
// Errors of our own are compared whole. Of errors that continue with the schema's text only the beginning is compared.

import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { RsError } from '../../lib/errors.ts';
import { CLIENTS_MAX, PROCESSES_PER_CORE } from '../schema/limits.ts';
import { parseRssrvConfig } from './rssrvcfg.ts';

const SAMPLE = `[namespace osl]
namespaceid = 200
protocol    = tcp
port        = 5000

[server big-9]
serverid = 1

[interface if1]
address     = 192.168.45.10

[interface if2]
address     = 192.168.46.10

[volume oracle]
path        = /storage/oracle.img
size        = 15g

[clients]
big-2 0xbig2
venus 0xvenus
big-6 0xbig6
`;

const FILE = '/etc/dvsc/rssrvcfg';

const HEAD = `[namespace n]
namespaceid = 1
[server s]
serverid = 2
[interface i]
address = 10.0.0.1
`;

function problemsOf(text: string): readonly string[] {
  try {
    parseRssrvConfig(text, 'f');
  } catch (thrown) {
    if (!(thrown instanceof RsError) || thrown.code !== 'E_CONFIG') throw thrown;
    const problems = thrown.context['problems'] as readonly { line: number; message: string }[];
    const [first] = problems;
    expect(thrown.message).toBe(first?.line === 0 ? `f: ${first.message}` : `f:${first?.line}: ${first?.message}`);
    return problems.map(({ line, message }) => `${line} ${message}`);
  }
  return [];
}

const warningsOf = (text: string) => parseRssrvConfig(text, 'f').warnings.map(({ line, message }) => `${line} ${message}`);

/** HEAD has 6 lines, so that added text begins in line 7. */
const problemsBelowHead = (text: string) => problemsOf(HEAD + text);

describe('the sample', () => {
  test('is read', () => {
    const config = parseRssrvConfig(SAMPLE, FILE);
    expect(config).toEqual({
      file: FILE,
      namespace: { name: 'osl', namespaceid: 200, port: 5000, namespacekey: null, explore: 'yes' },
      server: { name: 'big-9', serverid: 1, serverkey: null, logLevel: 'info', processes: PROCESSES_PER_CORE * availableParallelism() },
      interfaces: [
        { name: 'if1', address: '192.168.45.10', prefixLength: null, port: 5000 },
        { name: 'if2', address: '192.168.46.10', prefixLength: null, port: 5000 },
      ],
      volumes: [
        {
          name: 'oracle',
          type: 'auto',
          path: '/storage/oracle.img',
          sizeBytes: 15 * 1024 ** 3,
          blockSizeBytes: 512,
          readonly: false,
          universe: 0,
          clients: null,
          shared: false,
          unlocked: false,
          id: null,
          sameContent: null,
          takeOver: null,
          takeOverForce: false,
          line: 15,
        },
      ],
      pools: [],
      clients: [
        { name: 'big-2', key: '0xbig2' },
        { name: 'venus', key: '0xvenus' },
        { name: 'big-6', key: '0xbig6' },
      ],
      rights: [],
      warnings: [
        {
          file: FILE,
          line: 20,
          message: 'Short key of client big-2: 6 characters can be guessed, use 16 or more: rsconfig key new makes one',
        },
        {
          file: FILE,
          line: 21,
          message: 'Short key of client venus: 7 characters can be guessed, use 16 or more: rsconfig key new makes one',
        },
        {
          file: FILE,
          line: 22,
          message: 'Short key of client big-6: 6 characters can be guessed, use 16 or more: rsconfig key new makes one',
        },
      ],
    });
  });

  test('means the same with CRLF, without final newline and with comments', () => {
    const plain = parseRssrvConfig(SAMPLE, FILE);
    expect(parseRssrvConfig(SAMPLE.replaceAll('\n', '\r\n'), FILE)).toEqual(plain);
    expect(parseRssrvConfig(SAMPLE.trimEnd(), FILE)).toEqual(plain);
    const commented = parseRssrvConfig(SAMPLE.replaceAll('\n', '\n# port = 1\n; [x\n'), FILE);
    expect(commented.clients).toEqual(plain.clients);
    expect(commented.interfaces).toEqual(plain.interfaces);
  });
});

describe('values', () => {
  test('all keys of a volume', () => {
    const text = `${HEAD}[volume db.1]
path = /dev/vg/db
size = 8k
type = block
blocksize = 4096
readonly = yes
universe = 3
clients = a, b c
shared = yes
unlocked = yes
id = 2F1C9A52-7A0E-4C58-9D3B-0B6A1E4F7C21
`;
    expect(parseRssrvConfig(text, 'f').volumes[0]).toEqual({
      name: 'db.1',
      type: 'block',
      path: '/dev/vg/db',
      sizeBytes: 8192,
      blockSizeBytes: 4096,
      readonly: true,
      universe: 3,
      clients: ['a', 'b', 'c'],
      shared: true,
      unlocked: true,
      id: '2f1c9a52-7a0e-4c58-9d3b-0b6a1e4f7c21',
      sameContent: null,
      takeOver: null,
      takeOverForce: false,
      line: 7,
    });
  });

  test('port: of the interface, else of the namespace, else 5000', () => {
    const namespace = (port: string) => `[namespace n]\nnamespaceid = 1\n${port}[server s]\nserverid = 2\n`;
    const interfaces = '[interface a]\naddress = 10.0.0.1/16\nport = 7000\n[interface b]\naddress = fd00::1\n';
    expect(parseRssrvConfig(namespace('port = 6000\n') + interfaces, 'f').interfaces).toEqual([
      { name: 'a', address: '10.0.0.1', prefixLength: 16, port: 7000 },
      { name: 'b', address: 'fd00::1', prefixLength: null, port: 6000 },
    ]);
    expect(parseRssrvConfig(namespace('port = 6000\n') + interfaces, 'f').namespace.port).toBe(6000);
    expect(parseRssrvConfig(namespace('') + interfaces, 'f').interfaces[1]?.port).toBe(5000);
    expect(parseRssrvConfig(namespace('') + interfaces, 'f').namespace.port).toBe(5000);
  });

  test('the namespace may come last', () => {
    const text = '[interface b]\naddress = 10.0.0.1\n[server s]\nserverid = 2\n[namespace n]\nnamespaceid = 1\nport = 6000\n';
    expect(parseRssrvConfig(text, 'f').interfaces[0]?.port).toBe(6000);
  });

  test('keys of clients may contain = ; and #, names dots', () => {
    const { clients } = parseRssrvConfig(`${HEAD}[clients]\nbig.2\t 0x=a;b#c==\n`, 'f');
    expect(clients).toEqual([{ name: 'big.2', key: '0x=a;b#c==' }]);
  });
});

describe('wrong keys and values', () => {
  test.each([
    [
      '[interface x]\naddress = 10.0.0.2\nprot = 1',
      '9 Unknown key "prot" in [interface x]: did you mean port? Allowed are address, port, protocol',
    ],
    ['[interface x]\naddress = 10.0.0.2\nserverkey = x', '9 Key serverkey does not belong in [interface x]: it is allowed in [server]'],
    ['[interface x]\naddress = 10.0.0.2\nport = 70000', '9 Wrong value "70000" for port: allowed is a whole number from 1 to 65535'],
    ['[interface x]\naddress = 10.0.0.2\nport =', '9 Wrong value "" for port: allowed is a whole number from 1 to 65535'],
    [
      '[interface x]\naddress = 10.0.0.2\nport = 1 # one',
      '9 Wrong value "1 # one" for port: allowed is a whole number from 1 to 65535; a comment needs a line of its own',
    ],
    ['[interface x]\naddress = 10.0.0.2\nprotocol = udp', '9 Wrong value "udp" for protocol: allowed is tcp'],
    ['[interface x]\naddress = 10.0.0.2\nport 7', '9 Line port in [interface x] has no "=": allowed is KEY = VALUE'],
    [
      '[interface x]\naddress = 10.0.0.2\nport = 1\nport = 2',
      '10 Duplicate key port in [interface x] (first in line 9): remove one of them',
    ],
    [
      '[interface x]\nport = 1',
      '7 No address in [interface x]: add "address = ..." (the IPv4 address or the IPv6 address (no zone) of a single host, optionally followed by /LENGTH (IPv4: 0 to 32, IPv6: 0 to 128))',
    ],
    [
      '[volume v]\npath = /v\nsize = 15gb',
      /^9 Wrong value "15gb" for size: allowed is a size from 512 to 8589934591m: a whole number of bytes, or a whole number with the unit k, m, g, t or p/,
    ],
    ['[volume v]\npath = /v\nsize = 0', /^9 Wrong value "0" for size: allowed is a size from 512 to /],
    ['[volume v]\npath = v.img', '8 Wrong value "v.img" for path: allowed is an absolute path of at most 4095 bytes'],
    ['[volume v]\npath = /v\nreadonly = true', '9 Wrong value "true" for readonly: allowed is yes or no'],
    ['[volume v]\npath = /v\nblocksize = 1024', '9 Wrong value "1024" for blocksize: allowed is 512 or 4096'],
    ['[volume v]\npath = /v\ntype = constructor', '9 Wrong value "constructor" for type: allowed is auto, file, block, memory or null'],
    ['[volume v]\npath = /v\nuniverse = 4', '9 Wrong value "4" for universe: allowed is a whole number from 0 to 3'],
    ['[volume v]\npath = /v\nclients = a/b', /^9 Wrong value "a\/b" for clients: allowed is all, or names/],
    ['[volume v]\npath = /v\nclients = all, b', /^9 Wrong value "all, b" for clients/],
    ['[volume v]\npath = /v\nid = 7', /^9 Wrong value "7" for id: allowed is a UUID/],
    ['[volume v]\npath = /v\nconstructor = 7', /^9 Unknown key "constructor"/],
    ['[volume v]\npath = /v\n= 7', /^9 Unknown key ""/],
    ['[volume v]\npath = /v\nPath = /w', /^9 Unknown key "Path" in \[volume v\]: did you mean path\?/],
    ['[interface x]\naddress = 10.0.0.2:5', /^8 Wrong value "10.0.0.2:5" for address/],
    ['[interface x]\naddress = 0.0.0.0', /^8 Wrong value "0.0.0.0" for address: .* of a single host, /],
    ['[interface x]\naddress = ff02::1', /^8 Wrong value "ff02::1" for address/],
  ])('%j', (text, expected) => {
    expect(problemsBelowHead(text)).toEqual([typeof expected === 'string' ? expected : expect.stringMatching(expected)]);
  });

  test('a namespaceid, serverid or log-level out of range', () => {
    const text = '[namespace n]\nnamespaceid = 65536\n[server s]\nserverid = 256\nlog-level = loud\n[interface i]\naddress = 10.0.0.1\n';
    expect(problemsOf(text)).toEqual([
      '2 Wrong value "65536" for namespaceid: allowed is a whole number from 0 to 65535',
      '4 Wrong value "256" for serverid: allowed is a whole number from 0 to 255',
      '5 Wrong value "loud" for log-level: allowed is trace, debug, info, warn, error or fatal',
    ]);
  });
});

describe('wrong sections', () => {
  test.each([
    ['[volum v]\npath = /v', /^7 Unknown section \[volum v\]: did you mean \[volume\]\? Allowed are \[namespace NAME\], \[server NAME\]/],
    ['[defaults]\nport = 1', /^7 Unknown section \[defaults\]/],
    ['[constructor x]', /^7 Unknown section \[constructor x\]/],
    ['[volume v\npath = /v', /^7 Section header \[volume v\] has no "]"/],
    ['[volume v] ; mine\npath = /v', /^7 Section header \[volume v\] is followed by other text/],
    ['[]', /^7 Section header \[\] is empty/],
    ['[volume]\npath = /v', /^7 Section \[volume\] has no name: allowed is \[volume NAME\]/],
    ['[volume a b]\npath = /v', /^7 Wrong name "a b" in \[volume a b\]: allowed is \[volume NAME\], NAME being 1 to 63/],
    ['[volume ..]\npath = /v', /^7 Wrong name "\.\."/],
    [`[volume ${'x'.repeat(64)}]\npath = /v`, /^7 Wrong name "x{60}\.\.\."/],
    ['[clients all]\n', /^7 Section \[clients all\] has a name: allowed is \[clients\]/],
    ['[clients]\n[clients]\n', '8 Second section [clients] (first in line 7): allowed is one [clients]'],
    ['[namespace m]\nnamespaceid = 2', '7 Second section [namespace m] (first in line 1): allowed is one [namespace NAME]'],
    ['[server t]\nserverid = 2', '7 Second section [server t] (first in line 3): allowed is one [server NAME]'],
  ])('%j', (text, expected) => {
    expect(problemsBelowHead(text)).toEqual([typeof expected === 'string' ? expected : expect.stringMatching(expected)]);
  });

  test('text above the first section', () => {
    expect(problemsOf(`port = 1\n${HEAD}`)).toEqual([expect.stringMatching(/^1 Text above the first section/)]);
  });

  test('an empty file lists everything that is missing', () => {
    expect(problemsOf('')).toEqual([
      '0 No section [namespace NAME]: add it, there must be one',
      '0 No section [server NAME]: add it, there must be one',
      '0 No section [interface NAME]: add one for each address to listen on',
    ]);
  });

  test('nine interfaces', () => {
    const more = Array.from({ length: 8 }, (_, index) => `[interface x${index}]\naddress = 10.0.1.${index}\n`).join('');
    expect(problemsBelowHead(more)).toEqual(['21 9 interfaces: allowed are at most 8']);
  });
});

describe('duplicates', () => {
  test.each([
    ['[interface i]\naddress = 10.0.0.2', '7 Duplicate interface name "i" (first in line 5): give each interface a name of its own'],
    [
      '[interface j]\naddress = 10.0.0.1',
      '8 Duplicate address 10.0.0.1:5000 (first in line 6): each interface needs an address or port of its own',
    ],
    [
      '[volume v]\npath = /a\n[volume v]\npath = /b',
      '9 Duplicate volume name "v" in universe 0 (first in line 7): give each volume a name or universe of its own',
    ],
    [
      '[volume v]\npath = /a\n[volume w]\npath = //a',
      '10 Duplicate path "//a" (first in line 8): two volumes may have one path only if both are readonly',
    ],
    ['[clients]\na 0123456789abcdef\na 0123456789abcdeg', '9 Duplicate client a (first in line 8): give each client one line'],
  ])('%j', (text, expected) => {
    expect(problemsBelowHead(text)).toEqual([expected]);
  });

  test('two spellings of an IPv6 address', () => {
    expect(problemsBelowHead('[interface x]\naddress = fd00::1\n[interface y]\naddress = fd00:0:0::0:1')).toEqual([
      expect.stringMatching(/^10 Duplicate address .* \(first in line 8\)/),
    ]);
  });

  test('one id twice', () => {
    const volume = (name: string) => `[volume ${name}]\npath = /${name}\nid = 2f1c9a52-7a0e-4c58-9d3b-0b6a1e4f7c21\n`;
    expect(problemsBelowHead(volume('a') + volume('b'))).toEqual([expect.stringMatching(/^12 Duplicate volume id .* \(first in line 9\)/)]);
  });

  test('one address with two ports, one name in two universes and one path read-only twice are allowed', () => {
    const text = `[interface j]
address = 10.0.0.1
port = 5001
[volume v]
path = /a
readonly = yes
[volume v]
path = /a
readonly = yes
universe = 1
`;
    expect(problemsBelowHead(text)).toEqual([]);
  });

  test.each(['v rv', 'rv v'])('X beside rX: %s', (names) => {
    const [first, second] = names.split(' ');
    const text = `[volume ${first}]\npath = /a\n[volume ${second}]\npath = /b\n`;
    expect(problemsBelowHead(text)).toEqual([
      '9 Volumes "v" and "rv" in universe 0 (the other in line 7): rv is the raw device of v; rename one or use another universe',
    ]);
    expect(problemsBelowHead(`${text}universe = 1\n`)).toEqual([]);
  });
});

describe('volumes', () => {
  test.each([
    ['[volume v]\nsize = 1g', '7 Volume "v" has no path: add "path = ..." (type memory and null need none)'],
    ['[volume v]\ntype = memory', '7 Volume "v" of type memory has no size: add "size = ..." (such as 1g)'],
    ['[volume v]\npath = /v\nsize = 1000', '9 Volume "v" has size 1000: allowed are multiples of its blocksize 512'],
    ['[volume v]\npath = /v\nblocksize = 4096\nsize = 6k', '10 Volume "v" has size 6144: allowed are multiples of its blocksize 4096'],
  ])('%j', (text, expected) => {
    expect(problemsBelowHead(text)).toEqual([expected]);
  });

  test('an invalid path is not also reported as missing', () => {
    expect(problemsBelowHead('[volume v]\npath = v')).toHaveLength(1);
  });

  test('of type memory and null need no path, and warn about one', () => {
    expect(problemsBelowHead('[volume v]\ntype = memory\nsize = 1g\n[volume w]\ntype = null\nsize = 1g')).toEqual([]);
    expect(warningsOf(`${HEAD}[volume v]\ntype = null\nsize = 1g\npath = /v\n`)).toContain(
      '10 Volume "v" is of type null: its path is not used',
    );
  });
});

describe('keys for tests', () => {
  const HEADED = `${HEAD}[volume v]\npath = /v\n`;
  const testsOf = (lines: string) => parseRssrvConfig(HEADED + lines, 'f', true).volumes[0]?.test;

  test('are refused without --test, each with its line', () => {
    expect(problemsOf(`${HEADED}test-pause = /pause\nreadonly = yes\ntest-lose-unsynced = no\n`)).toEqual([
      '9 Volume "v" has test-pause, which injects faults for tests: remove the line, or start rssrv with --test on a machine without real data',
      '11 Volume "v" has test-lose-unsynced, which injects faults for tests: remove the line, or start rssrv with --test on a machine without real data',
    ]);
  });

  test('are not suggested for a mistyped key', () => {
    expect(problemsOf(`${HEADED}test-pose = /pause\n`)[0]).not.toMatch(/test-pause/);
  });

  test('a volume without any is an ordinary volume', () => {
    expect(testsOf('')).toBeUndefined();
    expect(testsOf('test-lose-unsynced = no\n')).toBeUndefined();
  });

  test('say which operations get which fault', () => {
    expect(
      testsOf(
        [
          'test-delay = write 20ms, flush 5ms-1s while /run/slow',
          'test-error = write every 100 EIO,read  2048-4095 ENOSPC , flush EIO while /run/broken',
          'test-pause = /run/pause',
          'test-throttle = 10m',
          'test-lose-unsynced = yes',
        ].join('\n'),
      ),
    ).toEqual({
      delays: [
        { operation: 'write', minMs: 20, maxMs: 20, whileFile: null },
        { operation: 'flush', minMs: 5, maxMs: 1000, whileFile: '/run/slow' },
      ],
      errors: [
        { operation: 'write', sectors: null, every: 100, errno: 'EIO', whileFile: null },
        { operation: 'read', sectors: [2048, 4095], every: 1, errno: 'ENOSPC', whileFile: null },
        { operation: 'flush', sectors: null, every: 1, errno: 'EIO', whileFile: '/run/broken' },
      ],
      pauseFile: '/run/pause',
      bytesPerSecond: 10 * 1024 * 1024,
      losesUnsynced: true,
    });
  });

  test.each([
    'test-delay = write',
    'test-delay = 20ms',
    'test-delay = write 0ms',
    'test-delay = write 20ms-10ms',
    'test-delay = write 11m',
    'test-delay = write 20ms while slow',
    'test-delay = write 20ms,',
    'test-error = write',
    'test-error = write EAGAIN',
    'test-error = sync EIO',
    'test-error = write every 0 EIO',
    'test-error = read 9-8 EIO',
    'test-error = flush 0-8 EIO',
    'test-throttle = 0',
    'test-pause = pause',
    'test-lose-unsynced = maybe',
  ])('%s is refused', (line) => {
    expect(() => testsOf(`${line}\n`)).toThrow(/^f:9: Wrong value ".*" for test-[a-z-]+: allowed is /);
  });

  test('a volume without a cache, or with write-through, has no unsynced writes', () => {
    const lines = 'test-lose-unsynced = yes\n';
    expect(() => parseRssrvConfig(`${HEAD}[volume v]\ntype = memory\nsize = 1g\n${lines}`, 'f', true)).toThrow(/^f:10: .*keeps nothing/);
    expect(() => testsOf(`${lines}shared = yes\n`)).toThrow(/^f:9: .*nothing is unsynced/);
  });
});

describe('clients', () => {
  test.each([
    ['big2', '8 Line in [clients] is one word: allowed is NAME, white space, KEY'],
    ['big2=0xbig', '8 Line in [clients] is one word: allowed is NAME, white space, KEY'],
    ['big2 = 0xbig', '8 Line of client big2 in [clients] has "=" between name and key: allowed is NAME, white space, KEY'],
    ['a/b 0xbig', /^8 Wrong client name in \[clients\]: allowed is NAME, white space, KEY, NAME being 1 to 63/],
    ['big2 0x big', '8 Wrong key of client big2: allowed is 1 to 256 printable ASCII characters without white space'],
    [`big2 ${'x'.repeat(257)}`, /^8 Wrong key of client big2/],
  ])('%j', (line, expected) => {
    expect(problemsBelowHead(`[clients]\n${line}`)).toEqual([typeof expected === 'string' ? expected : expect.stringMatching(expected)]);
  });

  test('too many', () => {
    const lines = Array.from({ length: CLIENTS_MAX + 1 }, (_, index) => `c${index} 0123456789abcdef-${index}`).join('\n');
    expect(problemsBelowHead(`[clients]\n${lines}`)).toEqual([
      `${8 + CLIENTS_MAX} ${CLIENTS_MAX + 1} clients: allowed are at most ${CLIENTS_MAX}`,
    ]);
  });

  test('warnings: none at all, one key twice, a volume for an unknown one', () => {
    expect(warningsOf(HEAD)).toEqual([
      '0 No section [volume NAME] or [pool NAME]: the server offers nothing',
      '0 No client in [clients]: no client can connect',
    ]);
    const text = `${HEAD}[volume v]\npath = /v\nclients = a x\n[clients]\na 0123456789abcdef\nb 0123456789abcdef\n`;
    expect(warningsOf(text)).toEqual([
      '7 Volume "v" is for x, not listed in [clients]',
      '12 Clients a and b have the same key: each can impersonate the other',
    ]);
  });
});

describe('keys', () => {
  test('explore = signed needs a namespacekey', () => {
    const text = HEAD.replace('namespaceid = 1', 'namespaceid = 1\nexplore = signed');
    expect(problemsOf(text)).toEqual([expect.stringMatching(/^3 explore = signed without a namespacekey/)]);
    expect(problemsOf(text.replace('explore', 'namespacekey = 0123456789abcdef\nexplore'))).toEqual([]);
  });

  test('are never shown, however invalid the line is', () => {
    const secret = 'hunter2hunter2';
    const text = `[namespace n]
namespaceid = 1
namespacekey = ${secret} ä
nspacekey = ${secret}
namespacekey ${secret}
[server s]
serverid = 1
serverkey = ${secret} ${secret}
${secret}
[interface i]
address = 10.0.0.1
[clients]
${secret}
a = ${secret}
b ${secret} ${secret}
/ ${secret}
`;
    const problems = problemsOf(text);
    expect(problems).toHaveLength(9);
    expect(problems.join('\n')).not.toContain('hunter2');
  });
});

test('All problems are reported at once, in the order of the lines', () => {
  const problems = problemsOf('[namespace n]\nport = x\nfoo = 1\n[volum v]\n[interface i]\naddress = 1\n');
  expect(problems.map((problem) => Number.parseInt(problem, 10))).toEqual([1, 2, 3, 4, 6, 0]);
});
