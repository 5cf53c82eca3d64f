// Tests the sections [pool] and [rights]: the values that are read, and the message about each wrong line.
// rssrvcfg.test.ts tests the other sections.

import { describe, expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { parseRssrvConfig } from './rssrvcfg.ts';

const HEAD = `[namespace osl]
namespaceid = 200
[server big-9]
serverid = 1
[interface if1]
address = 10.0.0.1
[clients]
big-2 0123456789abcdef0
venus 0123456789abcdef1
`;
const HEAD_LINES = 9;

const read = (text: string) => parseRssrvConfig(HEAD + text, 'rssrvcfg');

function problemsOf(text: string): string[] {
  try {
    read(text);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(RsError);
    const { problems } = (thrown as RsError).context as { problems: { line: number; message: string }[] };
    return problems.map(({ line, message }) => `${line - HEAD_LINES} ${message}`);
  }
  return [];
}

test('pools and rights are read, with defaults', () => {
  const config = read(`[pool fast]
path = /storage/fast
limit = 2t
reserve = 10%
overcommit = refuse
[pool slow]
path = /storage/slow
[rights]
big-2 manage pool=fast,slow limit=500g
venus admin
`);
  expect(config.pools).toEqual([
    { name: 'fast', path: '/storage/fast', limitBytes: 2 * 1024 ** 4, reserve: 0.1, overcommit: 'refuse', shared: null, line: 10 },
    { name: 'slow', path: '/storage/slow', limitBytes: null, reserve: 0.05, overcommit: 'warn', shared: null, line: 15 },
  ]);
  expect(config.rights).toEqual([
    { name: 'big-2', role: 'manage', pools: ['fast', 'slow'], limitBytes: 500 * 1024 ** 3, line: 18 },
    { name: 'venus', role: 'admin', pools: null, limitBytes: null, line: 19 },
  ]);
  expect(config.warnings.filter(({ line }) => line > HEAD_LINES)).toEqual([]);
});

test('a client with rights and without a key is a warning, because its line may come first', () => {
  const { warnings } = read('[pool fast]\npath = /p\n[rights]\nmars use\n');
  expect(warnings).toContainEqual({ file: 'rssrvcfg', line: 13, message: 'Client mars in [rights] is not listed in [clients]' });
});

describe('a shared pool', () => {
  const POOL = '[pool fast]\npath = /srv/fast\n';
  const RBD = 'disk = rbd:rsio/fast\nfence = rbd\nowners = big-9, big-8\n';
  const sharedOf = (keys: string) => read(POOL + keys).pools[0]?.shared;

  test('its keys are read, with the default of take-over-after', () => {
    expect(sharedOf(RBD)).toEqual({
      disk: { kind: 'rbd', pool: 'rsio', image: 'fast' },
      fence: { kind: 'rbd' },
      fencesSelf: false,
      owners: ['big-9', 'big-8'],
      takeOverMs: 10_000,
    });
    expect(
      sharedOf(
        'disk = /dev/mapper/fast\nfence = command: /usr/sbin/fence_x -p 1\nfence-self = yes\nowners = big-9\ntake-over-after = 3s\n',
      ),
    ).toEqual({
      disk: { kind: 'device', path: '/dev/mapper/fast' },
      fence: { kind: 'command', program: '/usr/sbin/fence_x', words: ['-p', '1'] },
      fencesSelf: true,
      owners: ['big-9'],
      takeOverMs: 3_000,
    });
    expect(sharedOf(`${RBD}take-over-after = never\n`)).toMatchObject({ takeOverMs: null });
  });

  test.each([
    ['rbd:rsio/fast', 'rbd'],
    ['rbd:rsio/fast', 'none'],
    ['/dev/x', 'reservation'],
    ['/dev/x', 'command:/bin/f'],
    ['/dev/x', 'none'],
  ])('disk %s goes with fence %s', (disk, fence) => {
    expect(problemsOf(`${POOL}disk = ${disk}\nfence = ${fence}\nowners = big-9\n`)).toEqual([]);
  });

  test.each([
    ['rbd:rsio/fast', 'reservation', 'use rbd or none'],
    ['rbd:rsio/fast', 'command:/bin/f', 'use rbd or none'],
    ['/dev/x', 'rbd', 'use reservation, command: or none'],
  ])('disk %s does not go with fence %s', (disk, fence, remedy) => {
    expect(problemsOf(`${POOL}disk = ${disk}\nfence = ${fence}\nowners = big-9\n`)).toEqual([
      `4 fence = ${fence.split(':')[0]} of pool "fast" does not fit its disk: ${remedy}`,
    ]);
  });

  test.each([
    ['fence = rbd', 'fence'],
    ['owners = big-9', 'owners'],
    ['fence-self = yes', 'fence-self'],
    ['take-over-after = 20s', 'take-over-after'],
  ])('%s without a disk is wrong', (line, key) => {
    expect(problemsOf(`${POOL}${line}\n`)).toEqual([`3 Key ${key} of pool "fast" needs the key disk: add it, or remove ${key}`]);
  });

  test('fence-self needs a program', () => {
    expect(problemsOf(`${POOL}${RBD}fence-self = yes\n`)).toEqual([
      '6 fence-self = yes of pool "fast" needs fence = command:PROGRAM: remove fence-self',
    ]);
    expect(problemsOf(`${POOL}${RBD}fence-self = no\n`)).toEqual([]);
  });

  test('a disk without fence and owners is wrong', () => {
    expect(problemsOf(`${POOL}disk = /dev/x\n`)).toEqual([
      '1 No fence in pool "fast", which has a disk: add "fence = ..."',
      '1 No owners in pool "fast", which has a disk: add "owners = ..."',
    ]);
  });

  test.each([
    ['disk', RBD.replace('rbd:rsio/fast', 'rbd:rsio'), 3],
    ['fence', RBD.replace('fence = rbd', 'fence = ipmi'), 4],
    ['owners', RBD.replace('big-9, big-8', 'big 9/x'), 5],
    ['take-over-after', `${RBD}take-over-after = 2s\n`, 6],
    ['take-over-after', `${RBD}take-over-after = 11m\n`, 6],
  ])('a wrong value of %s is named, with its line', (key, keys, line) => {
    const problems = problemsOf(POOL + keys);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${line} .*${key}`));
  });

  test('two pools on one disk are wrong', () => {
    const second = `[pool slow]\npath = /srv/slow\n${RBD}`;
    expect(problemsOf(POOL + RBD + second)).toEqual([
      expect.stringMatching(/^8 Duplicate disk of pool "slow" \(first in line 12\): give each pool a disk of its own$/),
    ]);
  });

  test('16 owners are allowed, 17 are not, and a name that is given twice counts once', () => {
    const names = (count: number): string => Array.from({ length: count }, (_, index) => `s-${index}`).join(' ');
    expect(sharedOf(RBD.replace('big-9, big-8', `${names(16)} s-0`))?.owners).toHaveLength(16);
    expect(problemsOf(POOL + RBD.replace('big-9, big-8', names(17)))).toEqual(['5 17 owners of pool "fast": allowed are at most 16']);
  });
});

const FORM =
  'allowed is NAME use, NAME copy, NAME view, NAME manage [pool=NAME,...] [limit=SIZE], or NAME admin, each optionally followed by iops=N, bandwidth=SIZE and burst=TIME';

describe('what is wrong', () => {
  test.each([
    ['a role that does not exist', 'big-2 root', `4 Client big-2 in [rights] has the right "root": ${FORM}`],
    ['a name alone', 'big-2', `4 Client big-2 in [rights] has the right "": ${FORM}`],
    ['a setting of another role', 'big-2 use pool=fast', `4 Client big-2 in [rights] has "pool=fast": ${FORM}`],
    ['an unknown setting', 'big-2 manage size=1g', `4 Client big-2 in [rights] has "size=1g": ${FORM}`],
    ['a limit that is no size', 'big-2 manage limit=lots', `4 Client big-2 in [rights] has limit "lots": ${FORM}`],
    [
      'a pool that does not exist',
      'big-2 manage pool=fast,big',
      '4 Client big-2 in [rights] may use pool "big": there is no section [pool big]',
    ],
    [
      'two lines for a client',
      'big-2 use\nbig-2 admin',
      '5 Duplicate client big-2 in [rights] (first in line 13): give each client one line',
    ],
  ])('%s', (_, lines, problem) => {
    expect(problemsOf(`[pool fast]\npath = /p\n[rights]\n${lines}\n`)).toEqual([problem]);
  });

  test('pools with one name, with one path, without a path, and with a reserve beyond the range', () => {
    expect(problemsOf('[pool a]\npath = /p\n[pool a]\npath = /p/\n[pool b]\n[pool c]\npath = /c\nreserve = 60%\n')).toEqual([
      '3 Duplicate pool name "a" (first in line 10): give each pool a name of its own',
      '4 Duplicate pool path "/p/" (first in line 11): give each pool a directory of its own',
      '5 No path in [pool b]: add "path = ..." (an absolute path of at most 4095 bytes)',
      '8 Wrong value "60%" for reserve: allowed is a whole number of percent from 0% to 50%',
    ]);
  });

  test('more than 16 pools', () => {
    const pools = Array.from({ length: 17 }, (_, index) => `[pool p${index}]\npath = /p${index}\n`).join('');
    expect(problemsOf(pools)).toEqual(['33 17 pools: allowed are at most 16']);
  });
});

test('triggers have a program and a time, and names of their own', () => {
  const wrong = '[trigger a]\non = reboot\nrun = x\n[trigger a]\non = event\nrun = /bin/true\ntimeout = 1h\n';
  expect(problemsOf(wrong)).toEqual([
    expect.stringMatching(/Wrong value "reboot" for on: allowed is snapshot-before, snapshot-after or event$/),
    expect.stringContaining('Wrong value "x" for run: allowed is an absolute path'),
    expect.stringMatching(/Duplicate trigger name "a" \(first in line \d+\): give each trigger a name of its own$/),
    expect.stringContaining('Wrong value "1h" for timeout: allowed is a time from 1s to 1m'),
  ]);
});
