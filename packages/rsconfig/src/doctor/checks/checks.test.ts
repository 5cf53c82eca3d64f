// Tests that each prepared fault causes its finding, and that a healthy client causes no finding. The gathering of facts is tested in
// integration tests.

import { describe, expect, test } from 'vitest';
import { card, doctorFacts, fileFacts, pathFacts, report, SAMPLE } from '../../testing/facts.ts';
import { AT_MS, rep } from '../../testing/views.ts';
import { diagnose } from './checks.ts';
import type { DoctorFacts } from '../gather/facts.ts';
import { type Finding, formatFindings } from '../gather/finding.ts';

/** Returns all findings that are errors or warnings. */
function faults(facts: DoctorFacts): Finding[] {
  return diagnose(facts).filter(({ severity }) => severity !== 'ok');
}

/** Returns the only finding that is an error or a warning, for a healthy client with these changes. */
function fault(changes: Partial<DoctorFacts>): Finding {
  const found = faults(doctorFacts(changes));
  expect(found.map(({ object, what }) => `${object}: ${what}`)).toHaveLength(1);
  return found[0]!;
}

test('a client in good order has no fault', () => {
  expect(faults(doctorFacts())).toEqual([]);
  expect(diagnose(doctorFacts()).length).toBeGreaterThan(8);
});

test('every error and warning has a remedy, and no command has a placeholder', () => {
  const broken = doctorFacts({
    file: fileFacts(SAMPLE, { mode: 0o666, modifiedMs: AT_MS + 1 }),
    machine: { interfaces: [card('eth0', '192.168.45.20', { hasCarrier: false })], standsOn: {}, tables: [], routers: {} },
    paths: [pathFacts(0, { unreached: 'ETIMEDOUT', report: null }), pathFacts(1, { report: null })],
  });
  for (const { remedy, commands } of faults(broken)) {
    expect(remedy).toMatch(/\S/);
    for (const command of commands) expect(command).not.toMatch(/[<>]|null|undefined/);
  }
});

describe('the file', () => {
  test('missing', () => {
    const trouble = { code: 'E_NO_CONFIG', message: 'No configuration file /etc/rscltcfg: make one with crsio or rsconfig join' };
    const file = fileFacts('', { document: null, config: null, trouble, problems: [], warnings: [], mode: null, modifiedMs: null });
    expect(faults(doctorFacts({ file, paths: [] }))).toMatchObject([
      { severity: 'error', what: 'No configuration file /etc/rscltcfg', remedy: 'make one with crsio or rsconfig join' },
    ]);
  });

  test('wrong in two lines: both are named, with their lines', () => {
    const file = fileFacts(SAMPLE.replace('= 200', '= 70000').replace('192.168.46.10', 'nowhere'));
    expect(faults(doctorFacts({ file, paths: [] })).map(({ severity, where }) => `${severity} ${where}`)).toEqual([
      'error /etc/rscltcfg:12',
      'error /etc/rscltcfg:20',
    ]);
  });

  test('readable by all users', () => {
    const found = fault({ file: fileFacts(SAMPLE, { mode: 0o644 }) });
    expect(found).toMatchObject({ severity: 'warning', check: 'rights', commands: ['chmod 600 /etc/rscltcfg'] });
    expect(found.what).toContain('Every user can read the keys');
  });

  test.each([
    [0o600, 'Only its owner can read the keys in it (mode 0600)'],
    [0o640, 'Only its owner and group can read the keys in it (mode 0640)'],
  ])('rights that are right are told as mode %o says', (mode, sentence) => {
    const found = diagnose(doctorFacts({ file: fileFacts(SAMPLE, { mode }) })).find(({ check }) => check === 'rights');
    expect(found?.what).toBe(sentence);
  });

  test('a folder instead of a file: its mode does not matter', () => {
    const trouble = { code: 'E_CONFIG', message: 'Configuration /etc/rscltcfg is not a regular file: put the configuration file there' };
    const file = fileFacts('', { document: null, config: null, trouble, problems: [], warnings: [], mode: 0o755 });
    expect(fault({ file, paths: [] }).remedy).toBe('put the configuration file there');
  });

  test('writable by others is an error', () => {
    expect(fault({ file: fileFacts(SAMPLE, { mode: 0o620 }) })).toMatchObject({ severity: 'error', check: 'rights' });
  });
});

describe('interfaces', () => {
  test('an address that this machine does not have', () => {
    const machine = { interfaces: [card('eth0', '192.168.45.20'), card('eth1', '192.168.47.20')], standsOn: {}, tables: [], routers: {} };
    const reason = 'not on a common subnet';
    // The paths that need the missing address must not cause further findings.
    const leftOut = [
      { namespace: 'osl', object: 'if1', type: 'interface', address: '192.168.46.20', reason },
      { namespace: 'osl', object: 'big-9-2', type: 'section', address: '192.168.46.10', reason },
    ] as const;
    const found = fault({ machine, paths: [pathFacts(0)], leftOut });
    expect(found.what).toBe('This machine does not have address 192.168.46.20: it has 192.168.45.20 (eth0) and 192.168.47.20 (eth1)');
    expect(found.where).toBe('/etc/rscltcfg:9');
  });

  test('an unplugged cable is reported once, not for each path on it', () => {
    const machine = {
      interfaces: [card('eth0', '192.168.45.20'), card('eth1', '192.168.46.20', { hasCarrier: false })],
      standsOn: {},
      tables: [],
      routers: {},
    };
    const found = fault({ machine, paths: [pathFacts(0), pathFacts(1, { unreached: 'EHOSTUNREACH', report: null })] });
    expect(found).toMatchObject({ severity: 'error', object: 'interface if1', commands: ['ip link set dev eth1 up'] });
    expect(found.what).toContain('has no carrier');
  });

  test('two interfaces on one card', () => {
    const machine = { interfaces: [card('eth0', '192.168.45.20'), card('eth0', '192.168.46.20')], standsOn: {}, tables: [], routers: {} };
    const paths = [pathFacts(0), pathFacts(1, { route: { device: 'eth0' }, report: report({ leavesBy: 'eth0' }) })];
    expect(fault({ machine, paths })).toMatchObject({ severity: 'warning', object: 'interfaces if0 and if1' });
  });

  test('two VLANs of one card', () => {
    const interfaces = [card('eth0.45', '192.168.45.20'), card('eth0.46', '192.168.46.20')];
    const machine = { interfaces, standsOn: { 'eth0.45': 'eth0', 'eth0.46': 'eth0' }, tables: [], routers: {} };
    const paths = [45, 46].map((vlan, index) => pathFacts(index as 0 | 1, { route: { device: `eth0.${vlan}` }, report: report() }));
    expect(fault({ machine, paths }).what).toBe('They all use eth0, by eth0.45 and eth0.46: if its one cable fails, all of them fail');
  });

  test('links of different speeds', () => {
    const machine = {
      interfaces: [card('eth0', '192.168.45.20'), card('eth1', '192.168.46.20', { linkMbps: 100 })],
      standsOn: {},
      tables: [],
      routers: {},
    };
    expect(fault({ machine }).what).toBe('The links differ in speed: if0 (eth0) 1000 Mbit/s and if1 (eth1) 100 Mbit/s');
  });
});

describe('the network between client and server', () => {
  test.each([
    ['ECONNREFUSED', 'Connection refused: 192.168.46.10 answers, but nothing listens on port 5000', 'start rssrv'],
    ['ETIMEDOUT', 'No answer within 3000 ms', 'firewall'],
    ['EHOSTUNREACH', 'No machine with address 192.168.46.10 answers on the link of eth1', 'VLAN'],
    ['ENETUNREACH', 'No route from 192.168.46.20 to 192.168.46.10', 'add a route'],
  ])('%s has its own remedy', (unreached, what, remedy) => {
    const found = fault({ paths: [pathFacts(0), pathFacts(1, { unreached, report: null })] });
    expect(found).toMatchObject({ severity: 'error', what, where: '/etc/rscltcfg:20' });
    expect(found.remedy).toContain(remedy);
  });

  // Regression: the finding named the line of a section that has the same name but belongs to another namespace.
  test('a path that only a server lists has no line in the file', () => {
    const other = '[namespace lab]\nnamespaceid = 7\nnodename = big-2\nnodekey = 0xbig-2-and-some-more\n';
    const file = fileFacts(`${SAMPLE}${other}[server big-9-if2]\naddress = 192.168.45.11\n`);
    const learned = pathFacts(0, { section: 'big-9-if2', unreached: 'ECONNREFUSED', report: null });
    expect(fault({ file, paths: [pathFacts(0), pathFacts(1), learned] }).where).toBe('/etc/rscltcfg');
    const named = pathFacts(0, { namespace: 'lab', section: 'big-9-if2', unreached: 'ECONNREFUSED', report: null });
    expect(fault({ file, paths: [pathFacts(0), pathFacts(1), named] }).where).toBe('/etc/rscltcfg:26');
  });

  test('a server section that no interface reaches', () => {
    const reason = 'not on a common subnet with any interface of the client';
    const one = { namespace: 'osl', object: 'big-9-2', type: 'section', address: '192.168.46.10', reason } as const;
    expect(fault({ leftOut: [one] })).toMatchObject({ severity: 'warning', what: `No path leads to 192.168.46.10: ${reason}` });
  });

  test('packets of the MTU do not arrive', () => {
    const machine = {
      interfaces: [card('eth0', '192.168.45.20'), card('eth1', '192.168.46.20', { mtuBytes: 9000 })],
      standsOn: {},
      tables: [],
      routers: {},
    };
    expect(fault({ machine })).toMatchObject({ severity: 'warning', commands: ['ip link set dev eth1 mtu 1500'] });
  });
});

/** Facts about two network cards in one subnet. `really`: the card through which the traffic of the second path leaves. */
function twins(really: 'eth0' | 'eth1', changes: Partial<DoctorFacts> = {}): Partial<DoctorFacts> {
  const file = fileFacts(SAMPLE.replaceAll('192.168.46.', '192.168.45.1'));
  const machine = {
    interfaces: [card('eth0', '192.168.45.20'), card('eth1', '192.168.45.120')],
    standsOn: {},
    tables: [101, 254],
    routers: {},
  };
  const second = { local: '192.168.45.120', address: '192.168.45.110', route: { device: really } };
  const paths = [pathFacts(0), pathFacts(1, { ...second, report: report() })];
  const daemon = { ...doctorFacts().daemon, status: null };
  return { file, machine, paths, daemon, ...changes };
}

describe('cables', () => {
  const COMMANDS = [
    'ip route replace 192.168.45.0/24 dev eth0 src 192.168.45.20 table 102',
    'ip rule add from 192.168.45.20 table 102',
    'ip route replace 192.168.45.0/24 dev eth1 src 192.168.45.120 table 103',
    'ip rule add from 192.168.45.120 table 103',
    'sysctl -w net.ipv4.conf.all.arp_ignore=1',
    'sysctl -w net.ipv4.conf.all.arp_announce=2',
    'ip neighbour flush dev eth0',
    'ip neighbour flush dev eth1',
  ];

  test('both paths leave by one of two cards in a subnet: the commands name the real cards, and an unused table', () => {
    const found = fault(twins('eth0'));
    expect(found).toMatchObject({ severity: 'error', object: 'if0 and if1', where: 'device eth0', commands: COMMANDS });
    expect(found.what).toBe('Both paths leave by eth0, although if1 is on eth1: one cable carries everything');
  });

  test('with the remedy in place there is no finding', () => {
    expect(faults(doctorFacts(twins('eth1')))).toEqual([]);
  });

  test('the counters outweigh the routing table', () => {
    const found = faults(doctorFacts({ paths: [pathFacts(0), pathFacts(1, { report: report({ leavesBy: 'eth0' }) })] }));
    expect(found).toMatchObject([
      { check: 'routes', what: expect.stringContaining('Both paths leave by eth0, as the byte counters show') as string },
    ]);
    expect(found[0]?.commands).toEqual([]);
    expect(found[0]?.remedy).toContain('ip rule add from 192.168.46.20 table 101; or give the server an address in 192.168.46.0/24');
    const paths = [pathFacts(0), pathFacts(1, { route: { device: 'eth0' } })];
    expect(faults(doctorFacts({ paths }))).toEqual([]);
  });

  test('a server behind routers: each card has its own router, which the commands name', () => {
    const { machine } = doctorFacts();
    const paths = [pathFacts(0), pathFacts(1, { address: '10.9.0.10', report: report({ leavesBy: 'eth0' }) })];
    expect(fault({ paths, machine: { ...machine, routers: { eth0: '192.168.45.1', eth1: '192.168.46.1' } } }).commands).toEqual([
      'ip route replace 192.168.46.0/24 dev eth1 src 192.168.46.20 table 101',
      'ip route replace default via 192.168.46.1 dev eth1 src 192.168.46.20 table 101',
      'ip rule add from 192.168.46.20 table 101',
    ]);
  });

  test('a card is not reported to carry a path that does not work', () => {
    const dead = pathFacts(1, { unreached: 'ETIMEDOUT', report: null, route: { device: 'eth1' } });
    const objects = diagnose(doctorFacts({ paths: [pathFacts(0, { route: { device: 'eth0' } }), dead] })).map(({ object }) => object);
    expect(objects.filter((object) => object.startsWith('device'))).toEqual(['device eth0']);
  });

  test('answers arrive through the other card', () => {
    const paths = [pathFacts(0), pathFacts(1, { report: report({ leavesBy: 'eth1', arrivesBy: 'eth0' }) })];
    const found = fault({ paths });
    expect(found.what).toBe('Traffic from the server to 192.168.46.20 arrives on eth0, not on eth1, as the byte counters show');
    expect(found.commands).toEqual([...COMMANDS.slice(-4, -2), 'ip neighbour flush dev eth1']);
  });

  test('a server on this machine needs no cables', () => {
    const paths = [pathFacts(0, { route: { device: 'lo' }, report: report({ leavesBy: 'lo' }) })];
    expect(faults(doctorFacts({ paths }))).toEqual([]);
  });
});

describe('the server', () => {
  const refused = (changes: Parameters<typeof report>[0]) => {
    const server = { ...report().server!, isProved: false, interfaces: null };
    return report({ server, roundTripMs: null, mtuBytes: null, ...changes });
  };

  test('does not accept the key: reported once although two paths show it', () => {
    const wrong = refused({ failure: 'Server refused the connection: …', failureCode: 'E_AUTH' });
    const found = fault({ paths: [pathFacts(0, { report: wrong }), pathFacts(1, { report: wrong })] });
    expect(found).toMatchObject({ severity: 'error', object: 'server big-9', where: '/etc/rscltcfg:14' });
    expect(found.what).toContain('does not accept node big-2 with this key');
  });

  /** The facts about two servers: big-9, and big-8 with this report. */
  const two = (first: 'old' | 'new' | null, second: ReturnType<typeof report>) => [
    pathFacts(0, { report: report({ server: { ...report().server!, keyUsed: first } }) }),
    pathFacts(1, { report: second }),
  ];
  const big8 = { ...report().server!, server: 'big-8', serverid: 2, instance: 'f'.repeat(32) };
  const refusal = refused({
    server: { ...big8, isProved: false, interfaces: null },
    failure: 'Server refused the connection: …',
    failureCode: 'E_AUTH',
  });
  const HERE = 'rsconfig namespace set osl --nodekey-file FILE --reload';

  test.each([
    ['before and after a change of the key', two(null, report({ server: big8 })), []],
    [
      'the other server does not have the new key of the client',
      two(null, refusal),
      [['error', 'server big-8', /^there, rsadm client rekey big-2 --key-file FILE lets it accept this key; or/]],
    ],
    [
      'the other server has dropped the old key too early',
      two('old', refusal),
      [
        ['error', 'server big-8', new RegExp(`^give this client the new key: ${HERE}$`)],
        ['warning', 'server big-9', new RegExp(`^when all servers have the new key, ${HERE};`)],
      ],
    ],
    [
      'only one server has got the new key',
      two('old', report({ server: big8 })),
      [
        ['warning', 'server big-9', /--cancel$/],
        ['warning', 'server big-8', /^there, rsadm client rekey big-2 --key-file FILE$/],
      ],
    ],
    [
      'only one server has dropped the old key',
      two('new', report({ server: big8 })),
      [['warning', 'server big-9', /^there, rsadm client rekey big-2 --finish; if that is refused, first rsadm client kick big-2$/]],
    ],
  ] as const)('keys of two servers: %s', (_, paths, expected) => {
    const found = faults(doctorFacts({ paths }));
    expect(found.map(({ severity, object, remedy }) => [severity, object, remedy])).toEqual(
      expected.map(([severity, object, remedy]) => [severity, object, expect.stringMatching(remedy)]),
    );
  });

  test('serves another namespace', () => {
    const failure = 'Server refused the connection: Server big-9 serves namespaceid 200, not 201: correct namespaceid or the address';
    const wrong = refused({ server: null, failure, failureCode: 'E_NAMESPACE' });
    const found = fault({ paths: [pathFacts(0, { report: wrong })] });
    expect(found.what).toContain('serves namespaceid 200, not 201');
    expect(found.where).toBe('/etc/rscltcfg:12');
  });

  test('is no RSIO server', () => {
    const wrong = refused({ server: null, failure: 'No answer within 5000 ms', failureCode: 'E_TIMEOUT' });
    expect(fault({ paths: [pathFacts(0, { report: wrong })] }).what).toContain('does not answer like an RSIO server');
  });

  test('is known, but its data does not arrive: the failure is quoted', () => {
    const wrong = refused({ failure: 'Data stopped after the handshake: set an MTU that passes', failureCode: 'E_TIMEOUT' });
    expect(fault({ paths: [pathFacts(0, { report: wrong })] })).toMatchObject({
      what: 'Data stopped after the handshake',
      remedy: 'set an MTU that passes',
    });
  });

  test('does not accept the key: a path that was tested without it is not reported as usable', () => {
    const wrong = refused({ failure: 'Server refused the connection: …', failureCode: 'E_AUTH' });
    const reps = [rep({ address: '192.168.46.10', state: 'down' })];
    const status = {
      interfaces: [{ position: 1, name: 'if1', address: '192.168.46.20', port: 5000, reps }],
      waiting: [],
      logs: [],
      mirrors: [],
    };
    const daemon = { ...doctorFacts().daemon, status };
    expect(fault({ paths: [pathFacts(0, { report: wrong }), pathFacts(1, { report: refused({}) })], daemon }).object).toBe('server big-9');
  });

  test('shares its id with another one', () => {
    const other = report({ server: { ...report().server!, server: 'big-8', instance: 'ff'.repeat(16) } });
    const found = faults(doctorFacts({ paths: [pathFacts(0), pathFacts(1, { report: other })] }));
    expect(found).toMatchObject([
      { object: 'serverid 1', what: '2 servers of namespace osl claim it: big-9 at 192.168.45.10 and big-8 at 192.168.46.10' },
    ]);
  });
});

describe('the daemon', () => {
  const daemon = doctorFacts().daemon;

  const stopped = { ...daemon, view: null, status: null, socketMode: null, isNbdSocketThere: false };

  test('does not run', () => {
    const trouble = { code: 'E_NOT_RUNNING', message: 'rsiod does not run: start it with: rsiod' };
    expect(fault({ daemon: { ...stopped, trouble, livePid: null } })).toMatchObject({ severity: 'error', commands: ['rsiod'] });
  });

  test('runs, but its control socket is missing: starting another would be refused', () => {
    const trouble = { code: 'E_NOT_RUNNING', message: 'rsiod does not run: start it with: rsiod' };
    const found = fault({ daemon: { ...stopped, trouble } });
    expect(found).toMatchObject({ what: 'It runs as pid 4711, but its control socket is gone', commands: [] });
    expect(found.remedy).toContain('kill 4711');
  });

  test('hangs', () => {
    const trouble = { code: 'E_TIMEOUT', message: 'rsiod did not answer daemon within 5000 ms: look at its log' };
    expect(fault({ daemon: { ...stopped, trouble } })).toMatchObject({ where: 'rsiod, pid 4711', severity: 'error' });
  });

  test('uses an older file', () => {
    const found = fault({ file: fileFacts(SAMPLE, { modifiedMs: AT_MS + 60_000 }) });
    expect(found).toMatchObject({ severity: 'warning', commands: ['rsconfig reload'] });
    expect(found.what).toContain('changed 2010_09_14-15:03:32 (GMT), rsiod read it 2010_09_14-15:02:32 (GMT)');
  });

  test('has another version', () => {
    expect(fault({ version: '1.1.0' }).what).toBe('It has version 1.0.0, rsconfig has version 1.1.0');
  });

  test('accepts commands from all users', () => {
    expect(fault({ daemon: { ...daemon, socketMode: 0o666 } })).toMatchObject({ severity: 'error', object: 'control socket' });
  });

  test('does not use a path that works', () => {
    const down = {
      position: 0,
      name: 'if0',
      address: '192.168.45.20',
      port: 5000,
      reps: [rep({ address: '192.168.45.10', state: 'probation' })],
    };
    const found = fault({ daemon: { ...daemon, status: { interfaces: [down], waiting: [], logs: [], mirrors: [] } } });
    expect(found.what).toContain('It works, but rsiod reports it as probation since 2010_09_14-15:02:32 (GMT)');
  });

  test('is refused because another machine has its name', () => {
    const lastError = 'Server refused the connection: Node big-2 is in use from 192.168.45.30: stop rsiod there [E_OTHER_MACHINE], then';
    const reps = [rep({ address: '192.168.45.10', state: 'down', lastError })];
    const status = {
      interfaces: [{ position: 0, name: 'if0', address: '192.168.45.20', port: 5000, reps }],
      waiting: [],
      logs: [],
      mirrors: [],
    };
    expect(fault({ daemon: { ...daemon, status } })).toMatchObject({ severity: 'error', remedy: 'stop rsiod there' });
  });

  test('may open too few files', () => {
    expect(fault({ daemon: { ...daemon, openFilesMax: 256 } })).toMatchObject({ severity: 'warning', where: '/proc/4711/limits' });
  });
});

test('TCP buffers are too small for fast links', () => {
  const system = { ...doctorFacts().system, receiveBufferMaxBytes: 65_536 };
  expect(fault({ system }).commands).toEqual(['sysctl -w net.ipv4.tcp_rmem="4096 131072 6291456"']);
});

test('the text has the finding, its place, the remedy, commands on their own lines, and a summary as the last line', () => {
  const findings = faults(doctorFacts({ file: fileFacts(SAMPLE, { mode: 0o644 }) }));
  expect(formatFindings(findings)).toBe(`warning: configuration file: Every user can read the keys in it (mode 0644)
    where:  /etc/rscltcfg
    remedy: make it readable only by its owner
        chmod 600 /etc/rscltcfg
0 errors, 1 warning, 0 ok
`);
});

test("a peer's name is shown, not executed", () => {
  const server = { ...report().server!, server: 'big\x1b[2J\r\n9' };
  const text = formatFindings(diagnose(doctorFacts({ paths: [pathFacts(0, { report: report({ server }) })] })));
  expect(text).toContain('big\\x1b[2J\\r\\n9');
  expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
});
