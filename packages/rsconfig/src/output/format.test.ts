// Tests the texts of every view: compares the whole output with a fixed text. Some names, counts and addresses fill the width of their
// columns or are wider.

import { NO_LATENCY } from '@rsio/base/structures/latency-figures';
import { describe, expect, test } from 'vitest';
import { formatEvents, formatLocal, formatOutcome, formatQuery, formatStatus } from './format.ts';
import { formatStats } from './format-stats.ts';
import { AT_MS, attachment, namespace, path, rep, server, volume } from '../testing/views.ts';

describe('formatQuery', () => {
  const sample = `000 osl
  clt: big-6
  srv: 000 big-5
      0  tvol1            disk      2097152 blocks of  512 bytes
      0  ora_db           disk     10485760 blocks of  512 bytes
`;

  test('-q prints the sample to the character', () => {
    expect(formatQuery([namespace()], 0)).toBe(sample);
  });

  test('a replica of a mirror is shown as one', () => {
    const servers = [server({ volumes: [volume({ mirror: 'a'.repeat(32) })] })];
    expect(formatQuery([namespace({ servers })], 0)).toContain(
      '      0  tvol1            disk      2097152 blocks of  512 bytes  replica\n',
    );
  });

  test('-qv, -qvv and -qvvv add lines', () => {
    const holders = [{ node: 'venus', address: '192.168.10.7', sinceMs: AT_MS }];
    const servers = [
      server({
        addresses: [
          { section: 'big-5-1', address: '192.168.10.9', port: 5000 },
          { section: 'big-5-2', address: 'fd00::9', port: 5001 },
        ],
        volumes: [volume({ holders }), volume({ name: 'ora_db', blocks: 10_485_760, readonly: true, shared: true })],
        paths: [
          path(),
          path({
            number: null,
            interface: 'if1',
            localAddress: 'fd00::1',
            address: 'fd00::9',
            port: 5001,
            state: 'down',
            tx: '-',
            rx: '-',
          }),
        ],
      }),
    ];
    expect(formatQuery([namespace({ servers })], 1)).toBe(`000 osl
  clt: big-6
  srv: 000 big-5
      state: connected
      addr: 192.168.10.9/5000 big-5-1
      addr: [fd00::9]/5001 big-5-2
      0  tvol1            disk      2097152 blocks of  512 bytes
      0  ora_db           disk     10485760 blocks of  512 bytes
`);
    const longest = `000 osl
  id: 200
  clt: big-6
  srv: 000 big-5
      state: connected
      id: 1  instance: 0011223344556677
      limits: 256 slots, 33554432 bytes
      addr: 192.168.10.9/5000 big-5-1
      addr: [fd00::9]/5001 big-5-2
      path: 6 if0 192.168.10.1 -> 192.168.10.9/5000 connected tx: ok rx: ok
      path: - if1 fd00::1 -> [fd00::9]/5001 down tx: - rx: -
      0  tvol1            disk      2097152 blocks of  512 bytes
          id: 7d444840-9dc0-11d1-b245-5ffdce74fad2
          mode: read-write exclusive
          holder: venus 192.168.10.7 since 2010_09_14-15:02:32 (GMT)
      0  ora_db           disk     10485760 blocks of  512 bytes
          id: 7d444840-9dc0-11d1-b245-5ffdce74fad2
          mode: read-only shared
          holder: -
`;
    expect(formatQuery([namespace({ servers })], 3)).toBe(longest);
    expect(formatQuery([namespace({ servers })], 2)).toBe(longest.replace(/^ {6}path: .*\n/gm, ''));
  });

  test('several namespaces and servers keep their positions; a server without contact has no facts', () => {
    const away = server({
      position: 12,
      name: 'big-7-1',
      serverid: null,
      instance: null,
      state: 'down',
      limits: null,
      release: null,
      clockOffMs: null,
      volumes: [],
      paths: [],
    });
    const text = formatQuery(
      [namespace({ servers: [server({ volumes: [] }), away] }), namespace({ position: 1, name: 'lab', servers: [] })],
      0,
    );
    expect(text).toBe('000 osl\n  clt: big-6\n  srv: 000 big-5\n  srv: 012 big-7-1\n001 lab\n  clt: big-6\n');
    expect(formatQuery([namespace({ servers: [away] })], 3)).toContain('      state: down\n      id: -  instance: -\n      limits: -\n');
  });

  test('long names and counts push the rest right, and never touch it', () => {
    const volumes = [
      volume({ name: 'a'.repeat(16), universe: 3, blockSizeBytes: 4096 }),
      volume({ name: 'b'.repeat(17) }),
      volume({ name: 'c'.repeat(63), blocks: 17_592_186_042_368 }),
    ];
    expect(
      formatQuery([namespace({ servers: [server({ volumes })] })], 0)
        .split('\n')
        .slice(3, 6),
    ).toEqual([
      `      3  ${'a'.repeat(16)} disk      2097152 blocks of 4096 bytes`,
      `      0  ${'b'.repeat(17)} disk      2097152 blocks of  512 bytes`,
      `      0  ${'c'.repeat(63)} disk 17592186042368 blocks of  512 bytes`,
    ]);
  });

  test('control characters of a server do not reach the terminal', () => {
    expect(formatQuery([namespace({ servers: [server({ name: 'a\u001b[2J\nb', volumes: [] })] })], 0)).toBe(
      '000 osl\n  clt: big-6\n  srv: 000 a\\x1b[2J\\nb\n',
    );
  });

  test('empty lists print nothing', () => {
    expect(formatQuery([], 3)).toBe('');
  });
});

describe('formatLocal', () => {
  test('-l, -lv, -lvv print the sample to the character', () => {
    expect(formatLocal([attachment()], 0)).toBe('osl:oracle@0\n');
    expect(formatLocal([attachment()], 1)).toBe('osl:oracle@0\n    b: /dev/av0/oracle\n');
    expect(formatLocal([attachment({ readonly: true })], 0)).toBe('osl:oracle@0 read-only\n');
    expect(formatLocal([attachment({ readonly: true })], 1)).toBe('osl:oracle@0 read-only\n    b: /dev/av0/oracle\n');
    expect(formatLocal([attachment()], 2)).toBe(`osl:oracle@0
    c: /dev/av0/roracle          31457280 blocks,  1 server(s)
    b: /dev/av0/oracle
`);
    const gates = [{ gate: 'esx', protocol: 'nvme' as const, nsid: 3 }];
    expect(formatLocal([attachment({ gates })], 2)).toContain('    b: /dev/av0/oracle\n    g: esx nsid 3\n');
    const iscsi = [{ gate: 'hv', protocol: 'iscsi' as const, nsid: 4 }];
    expect(formatLocal([attachment({ gates: iscsi })], 2)).toContain('    g: hv lun 4\n');
    expect(formatLocal([attachment({ gates })], 1)).not.toContain('esx');
  });

  const uri = 'nbd+unix:///osl/data?socket=/run/rsio/rsiod/nbd';
  const two = [
    attachment({ rawDevice: `/dev/av0/r${'x'.repeat(30)}`, servers: 12 }),
    attachment({ name: 'data', universe: 2, blocks: 8, rawDevice: null, blockDevice: uri }),
  ];

  test('an empty line stands between volumes of several lines', () => {
    expect(formatLocal(two, 0)).toBe('osl:oracle@0\nosl:data@2\n');
    expect(formatLocal(two, 1)).toBe(`osl:oracle@0\n    b: /dev/av0/oracle\n\nosl:data@2\n    b: ${uri}\n`);
    expect(formatLocal(two, 2)).toBe(`osl:oracle@0
    c: /dev/av0/r${'x'.repeat(30)}    31457280 blocks, 12 server(s)
    b: /dev/av0/oracle

osl:data@2
    c: -                                8 blocks,  1 server(s)
    b: ${uri}
`);
  });
});

test('formatOutcome prints the line of one volume', () => {
  const outcome = { volume: 'osl:oracle@0', done: true, already: false, device: '/dev/av0/oracle', error: null };
  expect(formatOutcome(outcome, 'attached')).toBe('osl:oracle@0 attached /dev/av0/oracle\n');
  expect(formatOutcome({ ...outcome, already: true }, 'attached')).toBe('osl:oracle@0 attached /dev/av0/oracle\n');
  expect(formatOutcome({ ...outcome, device: null }, 'attached')).toBe('osl:oracle@0 attached (no device)\n');
  expect(formatOutcome({ ...outcome, device: null }, 'detached')).toBe('osl:oracle@0 detached\n');
  expect(formatOutcome({ ...outcome, already: true, device: null }, 'detached')).toBe('osl:oracle@0 is not attached\n');
});

describe('formatStatus', () => {
  test('a wait that tells its own end has no other one', () => {
    const waitsFor = 'server big-9, which is there and slow: a pause until 2010_09_14-15:10:18 (GMT)';
    const waiting = [{ volume: 'osl:oracle@0', waitsFor, sinceMs: AT_MS, untilMs: null, requests: 4 }];
    expect(formatStatus({ interfaces: [], waiting, logs: [], mirrors: [] }, 1)).toBe(
      `osl:oracle@0 waits for ${waitsFor}\n    since: 2010_09_14-15:02:32 (GMT)  requests: 4\n`,
    );
  });

  const first = { position: 0, name: 'if0', address: '192.168.10.1', port: 5000, reps: [rep()] };
  const second = { position: 1, name: 'if1', address: '192.168.20.1', port: 5000, reps: [rep({ position: 1, address: '192.168.20.9' })] };

  test('-m status prints the sample to the character', () => {
    expect(formatStatus({ interfaces: [first, second], waiting: [], logs: [], mirrors: [] }, 0)).toBe(`0 if0 IP(TCP) 192.168.10.1/5000
    rep: 000 IP(TCP) 192.168.10.9/5000 connected tx: ok rx: ok
1 if1 IP(TCP) 192.168.20.1/5000
    rep: 001 IP(TCP) 192.168.20.9/5000 connected tx: ok rx: ok
`);
  });

  test('-m status shows paths that are down, and a fault of one direction', () => {
    const reps = [
      rep({ number: null, state: 'down', tx: '-', rx: '-' }),
      rep({ position: 1, address: 'fd00::9', state: 'suspect', tx: 'ok', rx: 'fail' }),
    ];
    const idle = { ...second, reps: [] };
    expect(
      formatStatus({ interfaces: [{ ...first, reps }, idle], waiting: [], logs: [], mirrors: [] }, 0),
    ).toBe(`0 if0 IP(TCP) 192.168.10.1/5000
    rep: 000 IP(TCP) 192.168.10.9/5000 down tx: - rx: -
    rep: 001 IP(TCP) [fd00::9]/5000 suspect tx: ok rx: fail
1 if1 IP(TCP) 192.168.20.1/5000
`);
  });

  test('-m status -v says whether each path is encrypted, and what a changed setting applies to', () => {
    const cipherOf = (changes: Parameters<typeof rep>[0]) =>
      / cipher: (.*)$/m.exec(
        formatStatus({ interfaces: [{ ...first, reps: [rep(changes)] }], waiting: [], logs: [], mirrors: [] }, 1),
      )?.[1];
    const cipher = 'TLS_AES_128_GCM_SHA256';
    expect(cipherOf({ cipher, tls: true })).toBe(cipher);
    expect(cipherOf({ cipher: null, tls: false })).toBe('plain');
    expect(cipherOf({ cipher: null, tls: true })).toBe('plain (tls = on applies to its next connection)');
    expect(cipherOf({ cipher, tls: false, state: 'suspect' })).toBe(`${cipher} (tls = off applies to its next connection)`);
    expect(cipherOf({ state: 'down', number: null })).toBe('-');
  });

  test('-m status -v adds the events of each path, and the waiting volumes', () => {
    const broken = rep({
      number: null,
      state: 'connecting',
      tx: '-',
      rx: '-',
      lastError: 'Connection refused',
      lastErrorMs: AT_MS + 1000,
      retries: 3,
      roundTripMs: null,
    });
    const waiting = [
      { volume: 'osl:oracle@0', waitsFor: 'a path to big-9', sinceMs: AT_MS, untilMs: AT_MS + 600_000, requests: 4 },
      { volume: 'osl:data@1', waitsFor: 'a path to big-9', sinceMs: AT_MS, untilMs: null, requests: 0 },
    ];
    const log = {
      volume: 'osl:oracle@0',
      dataBytes: 8192,
      rangeBytes: 512,
      usedBytes: 8576,
      sizeBytes: 1 << 26,
      sinceMs: AT_MS,
      flushedMs: null,
    };
    const replica = { server: 'pi-1', state: 'in sync', isOpen: true, leftBytes: null, bytesPerSecond: null, etaMs: null } as const;
    const late = { ...replica, server: 'pi-2', state: 'copying', leftBytes: 64 << 20, bytesPerSecond: 8 << 20 } as const;
    const away = { ...replica, server: 'pi-2', state: 'behind', isOpen: false } as const;
    const mirrors = [
      { volume: 'osl:db@0', term: 3, waitsFor: null, replicas: [replica, late] },
      { volume: 'osl:www@0', term: 1, waitsFor: 'Waits for the replica on pi-2', replicas: [replica, away] },
    ];
    const processes = [
      { number: 1, pid: 4711, volumes: 1, restarts: 0 },
      { number: 2, pid: null, volumes: 2, restarts: 3 },
    ];
    const empty = { ...log, volume: 'osl:data@1', dataBytes: 0, rangeBytes: 0, usedBytes: 0, sinceMs: null, flushedMs: AT_MS };
    const status = { interfaces: [{ ...first, reps: [rep(), broken] }], waiting, logs: [log, empty], mirrors, processes };
    expect(formatStatus(status, 1)).toBe(`0 if0 IP(TCP) 192.168.10.1/5000
    rep: 000 IP(TCP) 192.168.10.9/5000 connected tx: ok rx: ok
        path: 6  since: 2010_09_14-15:02:32 (GMT)  retries: 0  round trip: 0.212 ms  cipher: plain
        error: -
    rep: 000 IP(TCP) 192.168.10.9/5000 connecting tx: - rx: -
        path: -  since: 2010_09_14-15:02:32 (GMT)  retries: 3  round trip: -  cipher: -
        error: Connection refused, 2010_09_14-15:02:33 (GMT)
osl:oracle@0 waits for a path to big-9
    since: 2010_09_14-15:02:32 (GMT)  until: 2010_09_14-15:12:32 (GMT)  requests: 4
osl:data@1 waits for a path to big-9
    since: 2010_09_14-15:02:32 (GMT)  until: for ever  requests: 0
osl:oracle@0 keeps 8192 bytes written and 512 bytes zeroed or discarded that are not flushed yet, since: 2010_09_14-15:02:32 (GMT); last flush: -
osl:data@1 has no unflushed data; last flush: 2010_09_14-15:02:32 (GMT)
osl:db@0 is on pi-1 (in sync) and pi-2 (copying: 64.0M left, 8.0M/s)
osl:www@0 is on pi-1 (in sync) and pi-2 (behind)
    Waits for the replica on pi-2
data process 1 runs (pid 4711) with 1 volume; restarts: 0
data process 2 is being started again with 2 volumes; restarts: 3
`);
    expect(formatStatus(status, 0)).not.toContain('waits');
  });
});

test('formatEvents prints a line each', () => {
  const event = { number: 1, atMs: AT_MS, object: '6-if0 192.168.10.9/5000', from: 'proving', to: 'up', reason: '' };
  expect(formatEvents([event, { ...event, from: 'up', to: 'down', reason: 'nothing heard for 3000 ms\n' }])).toBe(
    `2010_09_14-15:02:32 (GMT) 6-if0 192.168.10.9/5000: proving -> connected
2010_09_14-15:02:32 (GMT) 6-if0 192.168.10.9/5000: connected -> down: nothing heard for 3000 ms\\n
`,
  );
});

describe('formatStats', () => {
  const pathStats = {
    interface: 'if0',
    address: '192.168.45.10',
    port: 5000,
    state: 'up',
    requests: 1_100,
    sentBytes: 4_096,
    receivedBytes: 9_000_000,
    unansweredBytes: 65_536,
    resent: 0,
    hedged: 2,
    probed: 3,
    dropped: 1,
    deaths: 1,
    roundTripMs: 0.2116,
    receivingBytesPerSecond: 116_200_000,
    sendingBytesPerSecond: null,
    readLatency: { ...NO_LATENCY, p50Us: 80.4, p99Us: 210, p999Us: 400, p9999Us: 700, maxUs: 900 },
    writeLatency: { ...NO_LATENCY, p50Us: 90, p99Us: 310, p999Us: 500, p9999Us: 800, maxUs: 950 },
  } as const;
  const volumeStats = {
    volume: 'osl:oracle@0',
    reads: 900,
    readBytes: 7_372_800,
    writes: 200,
    writtenBytes: 1_638_400,
    flushes: 3,
    discards: 0,
    zeroes: 0,
    errors: 0,
    outstanding: 4,
    readLatency: { ...NO_LATENCY, p50Us: 80.4, p99Us: 210, p999Us: 400, p9999Us: 700, maxUs: 900 },
    writeLatency: { ...NO_LATENCY, p50Us: 90, p99Us: 310, p999Us: 500, p9999Us: 800, maxUs: 950 },
    flushLatency: { ...NO_LATENCY, p50Us: 500, p99Us: 610, p999Us: 700, p9999Us: 800, maxUs: 990 },
    longestGapMs: 12.3,
  };

  test('-m stats prints counters, rates over the time between the samples, and latencies', () => {
    const before = { paths: [pathStats], volumes: [volumeStats] };
    const now = {
      paths: [{ ...pathStats, requests: 1_200, receivedBytes: 9_830_400, state: 'suspect' as const }],
      volumes: [{ ...volumeStats, reads: 1_000, readBytes: 8_192_000 }],
    };
    expect(formatStats(before, now, 500)).toBe(`path: if0 IP(TCP) 192.168.45.10/5000 suspect
    requests: 1200 total, 200/s  resent: 0  hedged: 2  probed: 3  dropped: 1  deaths: 1  round trip: 0.212 ms
    sent: 4096 bytes, 0.0 MB/s  received: 9830400 bytes, 1.7 MB/s  unanswered: 65536 bytes
    read: p50 80 us, p99 210 us, p99.9 400 us, p99.99 700 us, max 900 us, rate 116.2 MB/s  write: p50 90 us, p99 310 us, p99.9 500 us, p99.99 800 us, max 950 us, rate -
vol: osl:oracle@0
    read: 1000 total, 200/s  8192000 bytes, 1.6 MB/s  p50 80 us, p99 210 us, p99.9 400 us, p99.99 700 us, max 900 us
    write: 200 total, 0/s  1638400 bytes, 0.0 MB/s  p50 90 us, p99 310 us, p99.9 500 us, p99.99 800 us, max 950 us
    flush: 3 total, 0/s  p50 500 us, p99 610 us, p99.9 700 us, p99.99 800 us, max 990 us
    discard: 0  zero: 0  errors: 0  outstanding: 4  longest gap: 12 ms
`);
  });

  test('a path or volume that is new, or whose counters restarted, counts from zero', () => {
    const now = { paths: [pathStats, { ...pathStats, port: 5001 }], volumes: [volumeStats] };
    const before = { paths: [{ ...pathStats, requests: 5_000 }], volumes: [] };
    const text = formatStats(before, now, 1_000);
    expect(text.match(/1100 total, 1100\/s/g)).toHaveLength(2);
    expect(text).toContain('900 total, 900/s');
  });

  // Regression: the rates compared the counters of paths that had the same position in the lists of the two samples.
  test('a path keeps its rate if another path before it comes or goes between the samples', () => {
    const other = { ...pathStats, address: '192.168.45.9', requests: 7 };
    const earlier = { ...pathStats, requests: 1_000 };
    const came = formatStats({ paths: [earlier], volumes: [] }, { paths: [other, pathStats], volumes: [] }, 1_000);
    const went = formatStats({ paths: [other, earlier], volumes: [] }, { paths: [pathStats], volumes: [] }, 1_000);
    for (const text of [came, went]) expect(text).toContain('1100 total, 100/s');
  });
});
