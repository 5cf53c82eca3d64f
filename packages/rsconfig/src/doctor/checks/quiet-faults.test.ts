// Tests faults without other symptoms: a card that is down but has its address, a smaller MTU at the server, a port that a firewall rejects
// on one of two interfaces, waiting volumes, failing storage, and file systems on devices that are gone.

import { describe, expect, test } from 'vitest';
import { card, doctorFacts, fileFacts, pathFacts, report, SAMPLE } from '../../testing/facts.ts';
import { AT_MS } from '../../testing/views.ts';
import { diagnose } from './checks.ts';
import type { DoctorFacts } from '../gather/facts.ts';
import type { Finding } from '../gather/finding.ts';
import { deadMounts } from '../gather/gather-daemon.ts';
import { packetBytesIn, silentIn } from '../gather/network-facts.ts';

function faults(changes: Partial<DoctorFacts>): Finding[] {
  return diagnose(doctorFacts(changes)).filter(({ severity }) => severity !== 'ok');
}

describe('a card that is down', () => {
  const machine = { interfaces: [card('eth0', '192.168.45.20')], standsOn: {}, tables: [], routers: {} };
  const paths = [pathFacts(0), pathFacts(1, { route: null, report: null })];

  test('switched off, with its address: switch it on', () => {
    const silent = [{ device: 'eth1', address: '192.168.46.20', isUp: false }];
    const what = 'eth1, which has 192.168.46.20, is down';
    expect(faults({ machine, paths, silent })).toMatchObject([{ object: 'interface if1', what, commands: ['ip link set dev eth1 up'] }]);
  });

  test('an IPv6 address on a card without carrier, in any spelling', () => {
    const file = fileFacts(SAMPLE.replace('192.168.46.20', 'fd00:46::20').replace('192.168.46.10', 'fd00:46::10'));
    const silent = [{ device: 'eth1', address: 'fd00:46:0::20', isUp: true }];
    const [found, ...others] = faults({ file, machine, paths: [pathFacts(0)], silent });
    expect([found?.what, others]).toEqual(['eth1, which has fd00:46:0::20, has no carrier', []]);
  });

  test('the output of ip about devices is parsed', () => {
    const addresses = [{ family: 'inet', local: '192.168.46.20', prefixlen: 24 }];
    expect(silentIn({ ifname: 'eth1', flags: ['BROADCAST', 'MULTICAST'], addr_info: addresses })).toEqual([
      { device: 'eth1', address: '192.168.46.20', isUp: false },
    ]);
    expect(silentIn({ ifname: 'eth1', flags: ['NO-CARRIER', 'UP'], addr_info: addresses })).toMatchObject([{ isUp: true }]);
    expect(silentIn({ ifname: 'eth1', flags: ['UP', 'LOWER_UP'], addr_info: addresses })).toEqual([]);
    expect(silentIn({ ifname: 'eth1', flags: 'UP', addr_info: addresses })).toEqual([]);
  });
});

describe('the packet size without discovery datagrams', () => {
  const unmeasured = report({ mtuBytes: null, leavesBy: 'eth1', arrivesBy: 'eth1' });

  test('a smaller MTU at the server', () => {
    const paths = [pathFacts(0), pathFacts(1, { tcpMtuBytes: 1300, report: unmeasured })];
    const what = "The server's side accepts only packets of 1300 bytes, but the MTU of eth1 is 1500";
    expect(faults({ paths })).toMatchObject([{ severity: 'warning', what, commands: ['ip link set dev eth1 mtu 1300'] }]);
  });

  test.each([
    [1500, 'Both ends have agreed on packets of 1500 bytes'],
    [null, 'The usable packet size is unknown: the server does not answer exploration at 192.168.46.10, and'],
  ])('agreed on %s bytes: a line reports it, and there is no fault', (tcpMtuBytes, what) => {
    const facts = doctorFacts({ paths: [pathFacts(0), pathFacts(1, { tcpMtuBytes, report: unmeasured })] });
    const lines = diagnose(facts).filter(({ check, object }) => check === 'wire' && object.includes('if1'));
    expect(lines).toMatchObject([{ severity: 'ok', what: expect.stringContaining(what) as string }]);
  });

  test('the output of ss about connections is parsed, with and without time stamps, over IPv4 and IPv6', () => {
    const line = (mss: number, offered: number) =>
      `0 0 10.0.0.1:40000 10.0.0.2:5000 \n\t cubic wscale:7,7 rto:201 mss:${mss} pmtu:1500 rcvmss:536 advmss:${offered} cwnd:10\n`;
    expect(packetBytesIn(line(1248, 1448), 1500)).toBe(1300);
    expect(packetBytesIn(line(1260, 1460) + line(1448, 1448), 1500)).toBe(1500);
    expect(packetBytesIn(line(1228, 1428), 1500)).toBe(1300);
    expect(packetBytesIn('', 1500)).toBeNull();
    expect(packetBytesIn(line(1248, 1448), 65_536), 'of another card').toBeNull();
  });
});

describe('a port that is refused on one of two interfaces', () => {
  const refused = pathFacts(1, { unreached: 'ECONNREFUSED', report: null });

  test('the server lists the address: a firewall blocks it', () => {
    const interfaces = [1, 2].map((index) => ({ name: `if${index}`, address: `192.168.${44 + index}.10`, port: 5000 }));
    const known = report({ leavesBy: 'eth0', arrivesBy: 'eth0', server: { ...report().server!, interfaces } });
    const [found, ...others] = faults({ paths: [pathFacts(0, { report: known }), refused] });
    expect(others).toEqual([]);
    expect(found?.what).toBe(
      'Connection refused: the server answers on another path, but 192.168.46.10 port 5000 rejects connections from 192.168.46.20',
    );
    expect(found?.remedy).toContain('nft list ruleset');
  });

  test('of an unknown server: starting rssrv comes first', () => {
    expect(faults({ paths: [pathFacts(0), refused] })[0]?.remedy).toMatch(/^start rssrv .* the firewall rule that rejects it$/);
  });
});

describe('volumes', () => {
  test('waiting I/O, failing storage, and a dead file system are errors, each with its remedy', () => {
    const { daemon } = doctorFacts();
    const waiting = [{ volume: 'osl:oracle@0', waitsFor: 'a path to server big-9', sinceMs: AT_MS, untilMs: null, requests: 1 }];
    const found = faults({
      daemon: { ...daemon, status: { ...daemon.status!, waiting } },
      volumes: {
        failing: [{ volume: 'volume osl:docs@0', sinceMs: AT_MS, reason: 'A write ended with ENOSPC' }],
        deadMounts: [{ mountPoint: "/srv/it's", device: '/dev/loop3' }],
        inSharedPools: [],
        copies: [],
      },
    });
    expect(found.map(({ object, what, commands }) => [object, what, ...commands])).toEqual([
      ['volume osl:oracle@0', 'Its I/O waits for a path to server big-9 (1 request since 2010_09_14-15:02:32 (GMT), for ever)'],
      ['volume osl:docs@0', 'Its storage has been failing since 2010_09_14-15:02:32 (GMT): A write ended with ENOSPC'],
      [
        "mount point /srv/it's",
        'The file system on /dev/loop3 is dead because its volume is no longer attached',
        String.raw`umount -l '/srv/it'\''s'`,
      ],
    ]);
  });

  test('dead mounts are recognised', () => {
    const files: Record<string, string> = {
      '/proc/self/mountinfo': [
        '1 0 7:0 / /srv/good rw - ext4 /dev/loop0 rw',
        '2 0 7:1 / /srv/gone\\040away rw shared:1 - ext4 /dev/loop1 rw',
        '3 0 7:2 / /srv/detached rw - xfs /dev/loop2 rw',
        '4 0 7:3 / /srv/other rw - ext4 /dev/loop3 rw',
        '5 0 8:1 / / rw - ext4 /dev/sda1 rw',
        'nonsense',
      ].join('\n'),
      '/sys/block/loop0/loop/backing_file': '/dev/av0/roracle',
      '/sys/block/loop1/loop/backing_file': '/',
      '/sys/block/loop2/loop/backing_file': '/dev/av0/rdocs',
      '/sys/block/loop3/loop/backing_file': '/srv/image',
    };
    const found = deadMounts((path) => files[path] ?? null, '/dev', ['/dev/av0/roracle']);
    expect(found.map(({ mountPoint }) => mountPoint)).toEqual(['/srv/gone away', '/srv/detached']);
  });
});
