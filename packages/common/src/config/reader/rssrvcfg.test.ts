// Tests the parser of the server's file: the sample, every default, and each invalid input with its line, the problem and the permitted
// values. rssrvcfg-volumes.test.ts tests volumes, and rssrvcfg-clients.test.ts tests clients and keys.
// The tests compare whole messages or, if a message ends with text of the schema, its beginning.

import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { PROCESSES_PER_CORE } from '../schema/limits.ts';
import { parseRssrvConfig } from './rssrvcfg.ts';
import { HEAD, problemsBelowHead, problemsOf } from '../../testing/rssrvcfg-problems.ts';

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

describe('the sample', () => {
  test('is read', () => {
    const config = parseRssrvConfig(SAMPLE, FILE);
    expect(config).toEqual({
      file: FILE,
      namespace: { name: 'osl', namespaceid: 200, port: 5000, namespacekey: null, explore: 'yes', tls: 'allow', tenants: false },
      server: {
        name: 'big-9',
        serverid: 1,
        serverkey: null,
        logLevel: 'info',
        log: 'auto',
        logTime: 'gmt',
        groups: { reader: null, operator: null, administrator: null },
        user: null,
        processes: PROCESSES_PER_CORE * availableParallelism(),
        witness: false,
        metrics: null,
      },
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
        { name: 'big-2', key: '0xbig2', newKey: null },
        { name: 'venus', key: '0xvenus', newKey: null },
        { name: 'big-6', key: '0xbig6', newKey: null },
      ],
      peers: [],
      rights: [],
      triggers: [],
      hasRights: false,
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
    expect(clients).toEqual([{ name: 'big.2', key: '0x=a;b#c==', newKey: null }]);
  });
});

describe('wrong keys and values', () => {
  test.each([
    [
      '[interface x]\naddress = 10.0.0.2\nprot = 1',
      '9 Unknown key "prot" in [interface x]: did you mean port? Allowed are address, port, protocol',
    ],
    [
      '[interface x]\naddress = 10.0.0.2\nserverkey = x',
      '9 Key serverkey does not belong in [interface x]: it is allowed in [server], [peer]',
    ],
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

test('All problems are reported at once, in the order of the lines', () => {
  const problems = problemsOf('[namespace n]\nport = x\nfoo = 1\n[volum v]\n[interface i]\naddress = 1\n');
  expect(problems.map((problem) => Number.parseInt(problem, 10))).toEqual([1, 2, 3, 4, 6, 0]);
});
