// Tests the parser of the client's file: the sample, inheritance of every policy, target ports, and each invalid input with its line.
// The tests compare whole messages or, if a message ends with text of the schema, its beginning.

import { describe, expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { defaultVolumeSettings, noVolumeOverrides } from '../schema/inherited.ts';
import { SERVER_SECTIONS_MAX } from '../schema/limits.ts';
import { parseRscltConfig, targetPort } from './rscltcfg.ts';
import type { RscltConfig } from '../schema/types.ts';
import { SAMPLE_RSCLTCFG } from '../../testing/sample-rscltcfg.ts';

const NAMESPACE = '[namespace n]\nnamespaceid = 1\nnodename = me\nnodekey = 0123456789abcdef\n';

function problemsOf(text: string): readonly string[] {
  try {
    parseRscltConfig(text, 'f');
  } catch (thrown) {
    if (!(thrown instanceof RsError) || thrown.code !== 'E_CONFIG') throw thrown;
    const problems = thrown.context['problems'] as readonly { line: number; message: string }[];
    expect(thrown.message).toMatch(/^f:\d+: /);
    return problems.map(({ line, message }) => `${line} ${message}`);
  }
  return [];
}

/** Because NAMESPACE has 4 lines, added text begins in line 5. */
function problemsBelow(text: string): readonly string[] {
  return problemsOf(NAMESPACE + text);
}

function warningsOf(text: string): readonly string[] {
  return parseRscltConfig(text, 'f').warnings.map(({ line, message }) => `${line} ${message}`);
}

const POLICY = {
  ...defaultVolumeSettings(),
  stall: 600_000,
  attach: 'none',
  device: 'auto',
  paths: 'auto',
  heartbeatMs: 1000,
  suspectMs: 200,
  deadMs: 3000,
  digest: false,
  tls: false,
  logSizeBytes: 64 * 1024 * 1024,
  mirrorPatienceMs: 1000,
  resyncRateBytes: 0,
  mirrorReads: 'confirmed',
  replaceAfterMs: null,
  spares: [],
  verifyEveryMs: null,
  verifyRateBytes: 'auto',
};

describe('the sample', () => {
  test('is read, with defaults', () => {
    expect(parseRscltConfig(SAMPLE_RSCLTCFG, '/etc/rscltcfg')).toMatchObject({
      triggers: [],
      gates: [],
      aoeGates: [],
      applications: [],
      file: '/etc/rscltcfg',
      defaultPort: 5000,
      defaultTls: false,
      nbdGroup: null,
      log: 'auto',
      logTime: 'gmt',
      logTotalBytes: 512 * 1024 * 1024,
      processes: 1,
      busyPollUs: null,
      metrics: null,
      appMetrics: null,
      interfaces: [
        { name: 'if0', address: '192.168.45.20', prefixLength: null, port: 5000, portGiven: null },
        { name: 'if1', address: '192.168.46.20', prefixLength: null, port: 5000, portGiven: null },
      ],
      namespaces: [
        {
          name: 'osl',
          namespaceid: 200,
          nodename: 'big-2',
          nodekey: '0xbig-2',
          namespacekey: null,
          port: null,
          ...POLICY,
          servers: [
            { name: 'big-9-1', address: '192.168.45.10', port: null, serverkey: null, position: 0 },
            { name: 'big-9-2', address: '192.168.46.10', port: null, serverkey: null, position: 1 },
          ],
          volumes: [],
        },
      ],
      warnings: [
        {
          file: '/etc/rscltcfg',
          line: 14,
          message: 'Short nodekey: 7 characters can be guessed, use 16 or more: rsconfig key new makes one',
        },
      ],
    });
  });

  test('means the same with CRLF, without final newline and with comments', () => {
    const plain = parseRscltConfig(SAMPLE_RSCLTCFG, 'f');
    expect(parseRscltConfig(SAMPLE_RSCLTCFG.replaceAll('\n', '\r\n'), 'f')).toEqual(plain);
    expect(parseRscltConfig(SAMPLE_RSCLTCFG.trimEnd(), 'f')).toEqual(plain);
    expect(parseRscltConfig(SAMPLE_RSCLTCFG.replaceAll('\n', '\n ; stall = fail\n'), 'f').namespaces).toEqual(plain.namespaces);
  });
});

describe('gates', () => {
  const GATE = '[gate g]\naddress = 127.0.0.1, [::1]:4421\nhosts = all\n';

  test('have addresses, hosts and volumes', () => {
    expect(parseRscltConfig(GATE, 'f').gates).toEqual([
      {
        name: 'g',
        protocol: 'nvme',
        nqn: null,
        addresses: [
          { address: '127.0.0.1', port: 4420 },
          { address: '::1', port: 4421 },
        ],
        hosts: null,
        volumes: 'all',
        member: null,
        secretFile: null,
        secrets: null,
        tls: false,
        tlsKeys: new Map(),
      },
    ]);
    expect(() => parseRscltConfig(`${GATE}tls = required\n`, 'f')).toThrow('A gate with tls = required needs the TLS keys of its hosts');
    expect(parseRscltConfig(`${GATE}secret-file = /s\ntls = required\n`, 'f').gates[0]).toMatchObject({ tls: true, tlsKeys: new Map() });
    // Until the file has been read, no host has a secret.
    expect(parseRscltConfig(`${GATE}secret-file = /s\n`, 'f').gates[0]).toMatchObject({ secretFile: '/s', secrets: new Map() });
    const hosts = 'nqn.2014-08.org.nvmexpress:uuid:1 nqn.2020-01.com.example:b';
    const more = `${GATE.replace('all', hosts)}volumes = a, b@1\nmember = 2\nnqn = nqn.2020-01.com.example:g\n`;
    expect(parseRscltConfig(more, 'f').gates[0]).toMatchObject({
      nqn: 'nqn.2020-01.com.example:g',
      hosts: ['nqn.2014-08.org.nvmexpress:uuid:1', 'nqn.2020-01.com.example:b'],
      volumes: ['a', 'b@1'],
      member: 2,
    });
  });

  test.each([
    [`${GATE}member = 1\n`, /f:4: A gate with the key member needs the names of its volumes: add volumes = NAME,.../],
    [`${GATE}volumes = a\nmember = 9\n`, /Wrong value "9" for member: allowed is a whole number from 1 to 8/],
    ['[gate g]\nhosts = all\n', /address/],
    ['[gate g]\naddress = 127.0.0.1\n', /hosts/],
    ['[gate g]\naddress = 127.0.0.1\nhosts = bob\n', /Wrong value "bob" for hosts: allowed is all, or 1 to 64 NQNs of hosts/],
    ['[gate g]\naddress = 0.0.0.0\nhosts = all\n', /Wrong value "0.0.0.0" for address: allowed is 1 to 8 addresses of this machine/],
    ['[gate g]\naddress = 127.0.0.1, 127.0.0.1:4420\nhosts = all\n', /Duplicate address 127.0.0.1:4420/],
    [`${GATE}${GATE.replace('gate g', 'gate h')}`, /Duplicate address 127.0.0.1:4420/],
    [`${GATE}${GATE.replaceAll('127.0.0.1', '127.0.0.2').replace('::1', '::2')}`, /Duplicate gate name "g"/],
    [
      `${GATE}nqn = nqn.2020-01.a:b\n[gate h]\naddress = 127.0.0.2\nhosts = all\nnqn = nqn.2020-01.a:b\n`,
      /Duplicate NQN "nqn.2020-01.a:b"/,
    ],
    [`${GATE}nqn = nqn.2014-08.org.nvmexpress.discovery\n`, /Wrong value "nqn.2014-08.org.nvmexpress.discovery" for nqn/],
    [`[defaults]\nprocesses = 2\n${GATE}`, /A gate with several data processes: allowed is processes = 1 in \[defaults\]/],
  ])('are refused if they are wrong: %s', (text, reason) => {
    expect(() => parseRscltConfig(text, 'f')).toThrow(reason);
  });
});

describe('gates for iSCSI', () => {
  const GATE = '[gate i]\nprotocol = iscsi\naddress = 127.0.0.1\nhosts = all\n';

  test('have the port of iSCSI, an IQN, and hosts by their IQNs', () => {
    const base = { name: 'i', protocol: 'iscsi', nqn: null, hosts: null, addresses: [{ address: '127.0.0.1', port: 3260 }], tls: false };
    expect(parseRscltConfig(GATE, 'f').gates).toMatchObject([base]);
    const more = `${GATE.replace('all', 'IQN.2026-01.org.example:Host1, eui.0123456789abcdef')}iqn = iqn.2026-01.org.example:g\n`;
    expect(parseRscltConfig(more, 'f').gates).toMatchObject([
      { ...base, nqn: 'iqn.2026-01.org.example:g', hosts: ['iqn.2026-01.org.example:host1', 'eui.0123456789abcdef'] },
    ]);
  });

  test.each([
    [GATE.replace('address = 127.0.0.1\n', ''), /No address in \[gate i\], which has protocol = iscsi: add "address = ..."/],
    [
      GATE.replace('all', 'nqn.2020-01.a:b'),
      /f:4: Hosts of a gate with protocol = iscsi are IQNs, such as iqn.2026-01.com.example:host, or all/,
    ],
    [`${GATE}tls = required\n`, /Key tls of a gate with protocol = iscsi: it is for protocol = nvme, remove it/],
    [`${GATE}nqn = nqn.2020-01.a:b\n`, /Key nqn of a gate with protocol = iscsi: it is for protocol = nvme, remove it/],
    [`${GATE}iqn = iqn.2026-01\n`, /Wrong value "iqn.2026-01" for iqn: allowed is an IQN/],
    [
      '[gate g]\naddress = 127.0.0.1\nhosts = all\niqn = iqn.2026-01.a:b\n',
      /Key iqn of a gate with protocol = nvme: it is for protocol = iscsi/,
    ],
    [`${GATE}${GATE.replace('gate i', 'gate j')}`, /Duplicate address 127.0.0.1:3260/],
  ])('are refused if they are wrong: %s', (text, reason) => {
    expect(() => parseRscltConfig(text, 'f')).toThrow(reason);
  });
});

describe('gates for AoE', () => {
  const GATE = '[gate e]\nprotocol = aoe\ninterface = eth1\nshelf = 7\nhosts = all\n';
  const WRITES = `${GATE}volumes = a\naoe-writes = unsafe\n`;

  test('have an interface, a shelf, hosts and slots', () => {
    const base = { name: 'e', interface: 'eth1', shelf: 7, hosts: null, volumes: 'all', slots: new Map(), hasUnsafeWrites: false };
    expect(parseRscltConfig(GATE, 'f')).toMatchObject({ gates: [], aoeGates: [base] });
    const more = `${GATE.replace('all', '02:00:00:00:00:0A')}volumes = a, b@1\nslots = b@1=254\naoe-writes = unsafe\n`;
    expect(parseRscltConfig(more, 'f').aoeGates).toEqual([
      { ...base, hosts: ['02:00:00:00:00:0a'], volumes: ['a', 'b@1'], slots: new Map([['b@1', 254]]), hasUnsafeWrites: true },
    ]);
  });

  test.each([
    [GATE.replace('shelf = 7\n', ''), /f:1: No shelf in \[gate e\], which has protocol = aoe: add "shelf = ..."/],
    [GATE.replace('shelf = 7', 'shelf = 65535'), /Wrong value "65535" for shelf/],
    [GATE.replace('eth1', 'a/b'), /Wrong value "a\/b" for interface/],
    [
      GATE.replace('all', 'nqn.2020-01.a:b'),
      /f:5: Hosts of a gate with protocol = aoe are MAC addresses, such as 02:00:00:00:00:01, or all/,
    ],
    [GATE.replace('all', 'ff:ff:ff:ff:ff:ff'), /Wrong value "ff:ff:ff:ff:ff:ff" for hosts/],
    [`${GATE}address = 127.0.0.1\n`, /Key address of a gate with protocol = aoe: it is for protocol = nvme or iscsi, remove it/],
    ['[gate g]\naddress = 127.0.0.1\nhosts = 02:00:00:00:00:01\n', /Hosts of a gate with protocol = nvme are NQNs, or all/],
    ['[gate g]\naddress = 127.0.0.1\nhosts = all\nslots = a=1\n', /Key slots of a gate with protocol = nvme: it is for protocol = aoe/],
    [`${GATE}${GATE.replace('gate e', 'gate f')}`, /Duplicate shelf 7/],
    [`${GATE}slots = a=1,b=1\n`, /Wrong value "a=1,b=1" for slots/],
    [`${GATE}slots = a=255\n`, /Wrong value "a=255" for slots/],
    [`${GATE}volumes = a\nslots = b=1\n`, /Slot of b, which the key volumes does not name/],
    [`${GATE}aoe-writes = unsafe\n`, /Unsafe writes to all volumes: name the volumes of this gate/],
    [`${WRITES}[gate g]\naddress = 127.0.0.1\nhosts = all\n`, /Unsafe writes to a, which gate g offers, too/],
    [`${GATE.replace('gate e', 'gate f').replace('7', '8')}volumes = b, a\n${WRITES}`, /Unsafe writes to a, which gate f offers, too/],
  ])('are refused if they are wrong: %s', (text, reason) => {
    expect(() => parseRscltConfig(text, 'f')).toThrow(reason);
  });
});

describe('inheritance', () => {
  const ALL =
    'stall = 10m\nattach = a, b\ndevice = none\npaths = all\nheartbeat = 2s\nsuspect = 1s\ndead = 5s\ndigest = on\ntls = on\nlog-size = 0\n' +
    'mirror-patience = 2s\nresync-rate = 1m\nmirror-reads = local\n';
  const READ = {
    stall: 600_000,
    attach: ['a', 'b'],
    device: 'none',
    paths: 'all',
    heartbeatMs: 2000,
    suspectMs: 1000,
    deadMs: 5000,
    digest: true,
    tls: true,
    logSizeBytes: 0,
    mirrorPatienceMs: 2000,
    resyncRateBytes: 1048576,
    mirrorReads: 'local',
  };

  test('a namespace has the policies of [defaults], wherever that section is', () => {
    expect(parseRscltConfig(`${NAMESPACE}[defaults]\n${ALL}`, 'f').namespaces[0]).toMatchObject(READ);
  });

  test('a namespace overrides them, for itself only', () => {
    const other = NAMESPACE.replace('[namespace n]', '[namespace m]').replace('namespaceid = 1', 'namespaceid = 2');
    const { namespaces } = parseRscltConfig(`[defaults]\nstall = forever\n${NAMESPACE}${ALL}${other}`, 'f');
    expect(namespaces[0]).toMatchObject(READ);
    expect(namespaces[1]).toMatchObject({ ...POLICY, stall: 'forever' });
  });

  test('a namespace can switch off what [defaults] switches on', () => {
    const { namespaces } = parseRscltConfig(
      `[defaults]\ndigest = on\ntls = on\nlog-size = 1m\n${NAMESPACE}digest = off\ntls = off\nlog-size = 0\n`,
      'f',
    );
    expect(namespaces[0]).toMatchObject({ digest: false, tls: false, logSizeBytes: 0 });
  });

  test('overrides of volumes belong to the namespace above them', () => {
    const text = `${NAMESPACE}[volume a.b]
stall = fail
attach = yes
device = raw
log-size = 1m
readonly = yes
path = /mnt/a
[server s]
address = 10.0.0.1
[volume c]
`;
    const nothing = { ...noVolumeOverrides(), attach: null, readonly: null, path: null };
    expect(parseRscltConfig(text, 'f').namespaces[0]?.volumes).toEqual([
      { ...nothing, name: 'a.b', stall: 'fail', attach: true, device: 'raw', logSizeBytes: 1048576, readonly: true, path: '/mnt/a' },
      { name: 'c', ...nothing },
    ]);
  });

  test('busy polling is off, automatic, or a time in microseconds', () => {
    const read = (value: string) => parseRscltConfig(`${NAMESPACE}[defaults]\nbusy-poll = ${value}\n`, 'f').busyPollUs;
    expect(['off', 'auto', '1us', '1000us'].map(read)).toEqual([null, 'auto', 1, 1000]);
  });

  test('servers belong to the namespace above them; positions run through the file', () => {
    const other = '[namespace m]\nnamespaceid = 2\nnodename = me2\nnodekey = 0123456789abcde=;#\n';
    const text = `${NAMESPACE}[server a]\naddress = 10.0.0.1\n${other}[interface i]\naddress = 10.0.0.9/16\n[server b]\naddress = 10.0.0.1\nserverkey = =k;#0123456789abc\n`;
    const { namespaces, interfaces, warnings } = parseRscltConfig(text, 'f');
    expect(namespaces.map(({ name, servers }) => [name, servers.map((server) => [server.name, server.position])])).toEqual([
      ['n', [['a', 0]]],
      ['m', [['b', 1]]],
    ]);
    expect(namespaces[1]?.nodekey).toBe('0123456789abcde=;#');
    expect(namespaces[1]?.servers[0]?.serverkey).toBe('=k;#0123456789abc');
    expect(interfaces[0]?.prefixLength).toBe(16);
    expect(warnings).toEqual([]);
  });
});

describe('target port', () => {
  function portOf(config: RscltConfig, server: number, iface: number): number {
    const [namespace] = config.namespaces;
    const [from, to] = [config.interfaces[iface], namespace?.servers[server]];
    if (namespace === undefined || from === undefined || to === undefined) throw new Error('Not in the file');
    return targetPort(config, namespace, to, from);
  }
  const text = (defaults: string, namespacePort: string) => `${defaults}[interface i]
address = 10.0.0.1
port = 3
[interface j]
address = 10.0.1.1
${NAMESPACE}${namespacePort}[server s]
address = 10.0.0.2
port = 4
[server t]
address = 10.0.1.2
`;

  test('server, else interface, else namespace, else defaults, else 5000', () => {
    const config = parseRscltConfig(text('[defaults]\nport = 1\n', 'port = 2\n'), 'f');
    expect([portOf(config, 0, 0), portOf(config, 1, 0), portOf(config, 1, 1)]).toEqual([4, 3, 2]);
    expect(portOf(parseRscltConfig(text('[defaults]\nport = 1\n', ''), 'f'), 1, 1)).toBe(1);
    expect(portOf(parseRscltConfig(text('', ''), 'f'), 1, 1)).toBe(5000);
  });

  test('the port shown for an interface is its own, else that of [defaults]', () => {
    const { interfaces } = parseRscltConfig(text('[defaults]\nport = 1\n', 'port = 2\n'), 'f');
    expect(interfaces.map(({ port, portGiven }) => [port, portGiven])).toEqual([
      [3, 3],
      [1, null],
    ]);
  });
});

describe('wrong keys and values', () => {
  test.each([
    ['heartbeet = 1s', /^5 Unknown key "heartbeet" in \[namespace n\]: did you mean heartbeat\? Allowed are namespaceid, nodename/],
    ['nbd-group = disk', '5 Key nbd-group does not belong in [namespace n]: it is allowed in [defaults]'],
    [
      'stall = 600',
      /^5 Wrong value "600" for stall: allowed is forever, fail, or a time from 100ms to 168h: a whole number with the unit ms, s, m or h/,
    ],
    ['stall = never', /^5 Wrong value "never" for stall/],
    ['stall = 1000h', /^5 Wrong value "1000h" for stall: allowed is forever, fail, or a time from 100ms to 168h: /],
    [
      'attach = a/b',
      '5 Wrong value "a/b" for attach: allowed is none, all, or volume names (NAME or NAME@UNIVERSE) separated by commas or spaces',
    ],
    ['[trigger t]\non = event\nrun = x', '7 Wrong value "x" for run: allowed is an absolute path of at most 4095 bytes'],
    ['[trigger t]\non = event', /^5 No run in \[trigger t\]/],
    ['attach = none, a', /^5 Wrong value "none, a" for attach/],
    ['device = disk', '5 Wrong value "disk" for device: allowed is auto, block, raw, nbd-socket or none'],
    ['device = kernel-nbd', '5 Wrong value "kernel-nbd" for device: allowed is auto, block, raw, nbd-socket or none'],
    ['paths = some', '5 Wrong value "some" for paths: allowed is auto, all or configured'],
    ...['0us', '1001us', '100', '1ms', '-1us', '1.5us', 'on'].map((value): [string, string] => [
      `[defaults]\nbusy-poll = ${value}`,
      `6 Wrong value "${value}" for busy-poll: allowed is off, or auto, or a time from 1us to 1000us: a whole number with us`,
    ]),
    ...['0', '9', '-1', '1.5', 'all', ''].map((value): [string, string] => [
      `[defaults]\nprocesses = ${value}`,
      `6 Wrong value "${value}" for processes: allowed is auto, or a whole number from 1 to 8`,
    ]),
    ['digest = yes', '5 Wrong value "yes" for digest: allowed is off or on'],
    ['tls = require', '5 Wrong value "require" for tls: allowed is off or on'],
    ['log-size = 2g', /^5 Wrong value "2g" for log-size: allowed is a size from 0 to 1g: /],
    ['heartbeat = 1ms', /^5 Wrong value "1ms" for heartbeat/],
    ['dead = 3', /^5 Wrong value "3" for dead/],
    ['protocol = sctp', '5 Wrong value "sctp" for protocol: allowed is tcp'],
    [
      '[server s]\naddress = 10.0.0.1/24',
      '6 Wrong value "10.0.0.1/24" for address: allowed is the IPv4 address or the IPv6 address (no zone) of a single host',
    ],
    ['[server s]\naddress = big-9', /^6 Wrong value "big-9" for address/],
    ['[server s]\nport = 1', /^5 No address in \[server s\]/],
    ['[server s]\naddress = 10.0.0.1\nadress = 10.0.0.2', /^7 Unknown key "adress" in \[server s\]: did you mean address\?/],
    ['[volume v]\nattach = all', '6 Wrong value "all" for attach: allowed is yes or no'],
    ['[volume v]\npath = mnt', /^6 Wrong value "mnt" for path: allowed is an absolute path/],
    ['[interface i]\naddress = 10.0.0.1/33', /^6 Wrong value "10.0.0.1\/33" for address/],
  ])('%j', (text, expected) => {
    expect(problemsBelow(text)).toEqual([typeof expected === 'string' ? expected : expect.stringMatching(expected)]);
  });

  test('a namespace without its required keys', () => {
    expect(problemsOf('[namespace n]\n')).toEqual([
      '1 No namespaceid in [namespace n]: add "namespaceid = ..." (a whole number from 0 to 65535)',
      expect.stringMatching(/^1 No nodename in \[namespace n\]: add "nodename = \.\.\." \(1 to 63/),
      '1 No nodekey in [namespace n]: add "nodekey = ..." (1 to 256 printable ASCII characters without white space)',
    ]);
  });

  test('a mistyped required key is not also reported as missing', () => {
    expect(problemsOf(NAMESPACE.replace('nodename', 'nodname').replace('nodekey =', 'nodekey'))).toEqual([
      expect.stringMatching(/^3 Unknown key "nodname" in \[namespace n\]: did you mean nodename\?/),
      '4 Line nodekey in [namespace n] has no "=": allowed is KEY = VALUE',
    ]);
  });

  test('an unknown key that is no misprint hides nothing', () => {
    expect(problemsOf(`${NAMESPACE}[server s]\nfoo = 1`)).toEqual([
      expect.stringMatching(/^5 No address in/),
      expect.stringMatching(/^6 Unknown key "foo"/),
    ]);
  });

  test('a refused key is not shown', () => {
    expect(problemsOf(NAMESPACE.replace('nodekey = ', 'nodekey = hunter2 '))).toEqual([
      '4 Wrong value for nodekey: allowed is 1 to 256 printable ASCII characters without white space',
    ]);
  });
});

describe('wrong sections', () => {
  test.each([
    ['[interfaces i]\naddress = 10.0.0.1', /^5 Unknown section \[interfaces i\]: did you mean \[interface\]\?/],
    ['[clients]\na b', /^5 Unknown section \[clients\]/],
    ['[server s\naddress = 10.0.0.1', /^5 Section header \[server s\] has no "]"/],
    ['[server]\naddress = 10.0.0.1', /^5 Section \[server\] has no name/],
    ['[defaults]\n[defaults]', '6 Second section [defaults] (first in line 5): allowed is one [defaults]'],
    ['[defaults x]', /^5 Section \[defaults x\] has a name/],
  ])('%j', (text, expected) => {
    expect(problemsBelow(text)).toEqual([typeof expected === 'string' ? expected : expect.stringMatching(expected)]);
  });

  test('servers and volumes above the first namespace, and other faults in them', () => {
    expect(problemsOf(`[server s]\naddress = x\n[volume v]\n${NAMESPACE}`)).toEqual([
      '1 Section [server s] belongs to no namespace: put it below its [namespace NAME]',
      expect.stringMatching(/^2 Wrong value "x" for address/),
      '3 Section [volume v] belongs to no namespace: put it below its [namespace NAME]',
    ]);
  });

  test('nine interfaces', () => {
    const text = Array.from({ length: 9 }, (_, index) => `[interface i${index}]\naddress = 10.0.${index}.1\n`).join('');
    expect(problemsBelow(text)).toEqual(['21 9 interfaces: allowed are at most 8']);
  });

  test('too many servers', () => {
    const section = (index: number) => `[server s${index}]\naddress = 10.0.${index >> 8}.${index & 255}\n`;
    const text = Array.from({ length: SERVER_SECTIONS_MAX + 1 }, (_, index) => section(index)).join('');
    const line = 5 + 2 * SERVER_SECTIONS_MAX;
    expect(problemsBelow(text)).toEqual([
      `${line} More than ${SERVER_SECTIONS_MAX} [server] sections: allowed is one per server interface`,
    ]);
  });
});

describe('duplicates', () => {
  test.each([
    ['stall = fail\nstall = fail', '6 Duplicate key stall in [namespace n] (first in line 5): remove one of them'],
    [
      '[interface i]\naddress = 10.0.0.1\n[interface i]\naddress = 10.0.0.2',
      '7 Duplicate interface name "i" (first in line 5): give each interface a name of its own',
    ],
    [
      '[interface i]\naddress = 10.0.0.1\n[interface j]\naddress = 10.0.0.1',
      '8 Duplicate address 10.0.0.1 (first in line 6): each interface needs an address of its own',
    ],
    [
      '[server s]\naddress = 10.0.0.1\n[server s]\naddress = 10.0.0.2',
      '7 Duplicate server name "s" in namespace "n" (first in line 5): give each [server] section a name of its own',
    ],
    [
      '[server s]\naddress = 10.0.0.1\n[server t]\naddress = 10.0.0.1\nport = 5000',
      '8 Duplicate address 10.0.0.1:5000 (first in line 6): allowed is one [server] section for each',
    ],
    [
      '[volume v]\n[volume v]',
      '6 Duplicate section [volume v] in namespace "n" (first in line 5): put all keys of a volume into one section',
    ],
  ])('%j', (text, expected) => {
    expect(problemsBelow(text)).toEqual([expected]);
  });

  test('namespaces: name and id', () => {
    expect(problemsBelow(NAMESPACE)).toEqual([
      '5 Duplicate namespace name "n" (first in line 1): give each namespace a name of its own',
      '6 Duplicate namespaceid 1 (first in line 2): name all its servers below one [namespace]',
    ]);
  });

  test('one address with two ports is allowed, unless an interface makes them one', () => {
    const servers = '[server s]\naddress = 10.0.0.1\n[server t]\naddress = 10.0.0.1\nport = 5001\n';
    expect(problemsBelow(servers)).toEqual([]);
    expect(problemsBelow(`${servers}[interface i]\naddress = 10.0.0.9\nport = 5001\n`)).toEqual([
      '8 Duplicate address 10.0.0.1:5001 (first in line 6): allowed is one [server] section for each',
    ]);
  });
});

describe('timing', () => {
  test.each([
    ['suspect = 1s', '5 suspect 1s with heartbeat 1s: suspect must be below heartbeat'],
    ['heartbeat = 200ms', '5 suspect 200ms with heartbeat 200ms: suspect must be below heartbeat'],
    ['heartbeat = 1500ms', '5 dead 3s with heartbeat 1500ms: dead must be above twice the heartbeat'],
    ['dead = 2s', '5 dead 2s with heartbeat 1s: dead must be above twice the heartbeat'],
  ])('%s', (text, expected) => {
    expect(problemsBelow(text)).toEqual([expected]);
  });

  test('a namespace is checked together with [defaults], whose faults are reported once', () => {
    expect(problemsBelow('[defaults]\nheartbeat = 2s\ndead = 3s')).toEqual([
      '7 dead 3s with heartbeat 2s: dead must be above twice the heartbeat',
    ]);
    expect(problemsBelow('dead = 4s\n[defaults]\nheartbeat = 2s\ndead = 5s')).toEqual([
      '5 dead 4s with heartbeat 2s: dead must be above twice the heartbeat',
    ]);
  });
});

test('An incomplete file is accepted, with warnings', () => {
  expect(warningsOf('')).toEqual([
    '0 No section [interface NAME], so that no path can be made: add the interfaces of this machine with rsconfig interface add',
    '0 No section [namespace NAME], so that there is nothing to log in to: add one with rsconfig join or rsconfig namespace add',
  ]);
  expect(warningsOf(`${NAMESPACE}namespacekey = short\n[interface i]\naddress = 10.0.0.1\n`)).toEqual([
    '1 Namespace "n" has no [server NAME] below it: it cannot be reached',
    '5 Short namespacekey: 5 characters can be guessed, use 16 or more: rsconfig key new makes one',
  ]);
});
