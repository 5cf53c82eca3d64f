// Tests rsconfig from its arguments to its output, with a real control socket and fake handlers.
// The texts are tested in format.test.ts.

import { join } from 'node:path';
import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import { type AttachOutcome, type ControlMethods } from '@rsio/api/rsiod/methods';
import { EVENTS_KEPT } from '@rsio/common/control/limits';
import { STATS_SAMPLE_MS } from './limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { pathStats } from '@rsio/api/testing/path-stats';
import { beforeEach, describe, expect, test } from 'vitest';
import { shownCall } from '@rsio/common/cli/command';
import { COMMANDS } from './command-table.ts';
import { rsconfigSpec } from './program.ts';
import { root, run as runRsconfig, serveControl as serve, useRsconfig } from './testing/rsconfig-run.ts';
import { attachment, mirror, namespace, path, rep, server } from './testing/views.ts';

useRsconfig();

const run = (argv: readonly string[], clock = new FakeClock(), input = '') => runRsconfig(argv, { clock, input });

const local = { attachments: [attachment()], awaited: [] };
const query = { namespaces: [namespace()] };
const status = {
  interfaces: [{ position: 0, name: 'if0', address: '192.168.10.1', port: 5000, reps: [rep()] }],
  waiting: [],
  logs: [],
  mirrors: [],
};
const stats = { paths: [], volumes: [] };
const events = { events: [], missed: 0, last: 0, beganMs: 0 };

test('--root is accepted with every command', async () => {
  await serve({ local: async () => local });
  expect(await run(['--root', root, '-lv'])).toEqual({ code: 0, out: 'osl:oracle@0\n    b: /dev/av0/oracle\n', err: '' });
});

describe('views', () => {
  test.each([
    [[], 'osl:oracle@0\n'],
    [['-l'], 'osl:oracle@0\n'],
    [['-lv'], 'osl:oracle@0\n    b: /dev/av0/oracle\n'],
    [['-lvvv'], 'osl:oracle@0\n    c: /dev/av0/roracle          31457280 blocks,  1 server(s)\n    b: /dev/av0/oracle\n'],
    [['--local', '-v'], 'osl:oracle@0\n    b: /dev/av0/oracle\n'],
    [['-m', 'status'], '0 if0 IP(TCP) 192.168.10.1/5000\n    rep: 000 IP(TCP) 192.168.10.9/5000 connected tx: ok rx: ok\n'],
  ])('%j', async (argv, out) => {
    await serve({ local: () => local, status: () => status });
    expect(await run(argv)).toEqual({ code: 0, out, err: '' });
  });

  test.each([
    [['-q'], 5],
    [['-qv'], 7],
    [['-qvv'], 16],
    [['-qvvv'], 17],
    [['-q', '-v', '-v'], 16],
  ])('%j queries the servers again and prints %d lines', async (argv, lines) => {
    const asked: unknown[] = [];
    await serve({
      query: (params) => {
        asked.push(params);
        return query;
      },
    });
    const { code, out } = await run(argv);
    expect(code).toBe(0);
    expect(out.split('\n')).toHaveLength(lines + 1);
    expect(asked).toEqual([{ refresh: true }]);
  });

  test.each([
    [['--json'], local],
    [['-qvv', '--json'], query],
    [['-m', 'status', '-v', '--json'], status],
    [['-m', 'stats', '--json'], stats],
  ])("%j prints the daemon's answer, and nothing else", async (argv, expected) => {
    await serve({ local: () => local, query: () => query, status: () => status, stats: () => stats });
    const { code, out, err } = await run(argv);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out)).toEqual(expected);
  });

  test.each<[string[], Partial<ControlHandlers>, string]>([
    [['-l'], { local: () => ({ attachments: [], awaited: [] }) }, 'No volume is attached'],
    [['-q'], { query: () => ({ namespaces: [] }) }, 'No namespace is configured: add one to ROOT/etc/rscltcfg'],
    [
      ['-m', 'status'],
      { status: () => ({ interfaces: [], waiting: [], logs: [], mirrors: [] }) },
      'No interface is configured: add one to ROOT/etc/rscltcfg',
    ],
    [['events'], { events: () => events }, 'No state has changed'],
  ])('%j of an empty list reports that on stderr, exit 0', async (argv, handlers, remark) => {
    await serve(handlers);
    const { code, out, err } = await run(argv);
    expect({ code, out }).toEqual({ code: 0, out: '' });
    expect(err).toContain(`rsconfig: ${remark.replace('ROOT', root)}`);
  });

  test('an unreachable server, one that offers nothing and a waiting volume cause warnings, and stdout keeps its format', async () => {
    const waiting = [{ volume: 'osl:oracle@0', waitsFor: 'a path to big-9', sinceMs: 0, untilMs: null, requests: 1 }];
    const servers = [server({ volumes: [] }), server({ position: 1, name: 'big-7', state: 'down', volumes: [] })];
    await serve({ query: () => ({ namespaces: [namespace({ servers })] }), status: () => ({ ...status, waiting }) });
    expect(await run(['-q'])).toEqual({
      code: 0,
      out: '000 osl\n  clt: big-6\n  srv: 000 big-5\n  srv: 001 big-7\n',
      err: 'rsconfig: Server big-5 of osl offers no volume to big-6: on it, rsadm volume list shows its volumes, and rsadm volume show NAME the clients of one\nrsconfig: Server big-7 of osl is down: see rsconfig -m status -v\n',
    });
    expect((await run(['-m', 'status'])).err).toBe('rsconfig: osl:oracle@0 waits for a path to big-9: see rsconfig -m status -v\n');
    expect((await run(['-m', 'status', '-v'])).err).toBe('');
  });

  test('-q says nothing of a witness, which needs no volume', async () => {
    const servers = [server(), server({ position: 1, name: 'pi-1', volumes: [] })];
    const mirrors = async () => ({ mirrors: [mirror()], gaps: [] });
    await serve({ query: () => ({ namespaces: [namespace({ servers })] }), mirrors });
    expect(await run(['-q'])).toMatchObject({ code: 0, err: '' });
  });

  test('-m status says why a volume is not attached again yet', async () => {
    const one = { namespace: 'osl', name: 'db', universe: 0, id: 'x', readonly: false, server: 'big-5' };
    await serve({ status: () => ({ ...status, awaited: [{ ...one, reason: 'Volume db is open in data process 2 of this client' }] }) });
    expect((await run(['-m', 'status', '-v'])).err).toContain('osl:db@0 was attached before rsiod restarted');
    expect((await run(['-m', 'status'])).err).toContain('Volume db is open in data process 2 of this client; rsconfig -d osl:db@0');
  });

  test('-l warns of a volume whose I/O waits, and stdout keeps its format', async () => {
    await serve({ local: () => ({ attachments: [attachment({ state: 'waiting' })], awaited: [] }) });
    const err = 'rsconfig: osl:oracle@0 is attached, but its I/O is waiting: rsconfig -m status -v shows why\n';
    expect(await run(['-l'])).toEqual({ code: 0, out: 'osl:oracle@0\n', err });
  });

  test('-m stats takes two samples a second apart', async () => {
    const clock = new FakeClock();
    let samples = 0;
    const path = pathStats();
    await serve({ stats: () => ({ paths: [{ ...path, requests: 50 * samples++ }], volumes: [] }) });
    const running = run(['-m', 'stats'], clock);
    await expect.poll(() => clock.timersPending, { timeout: 5_000, interval: 2 }).toBe(1);
    clock.advance(STATS_SAMPLE_MS);
    const { out, code } = await running;
    expect(code).toBe(0);
    expect(out).toContain('requests: 50 total, 50/s');
  });

  test('events requests all stored events', async () => {
    const asked: unknown[] = [];
    await serve({
      events: (params) => {
        asked.push(params);
        return { missed: 0, last: 1, beganMs: 0, events: [{ number: 1, atMs: 0, object: 'osl', from: 'a', to: 'up', reason: 'r' }] };
      },
    });
    expect(await run(['events'])).toEqual({ code: 0, out: '1970_01_01-00:00:00 (GMT) osl: a -> connected: r\n', err: '' });
    expect(asked).toMatchObject([{ count: EVENTS_KEPT }]);
  });
});

describe('attaching and detaching', () => {
  const good: AttachOutcome = { volume: 'osl:oracle@0', done: true, already: false, device: '/dev/av0/oracle', error: null };
  const held: AttachOutcome = {
    volume: 'osl:data@0',
    done: false,
    already: false,
    device: null,
    error: { code: 'E_HELD', message: 'Held by venus 192.168.45.21 for 3 h: ask for it' },
  };

  async function attaching(outcomes: readonly AttachOutcome[]) {
    const asked: (ControlMethods['attach']['params'] | ControlMethods['detach']['params'])[] = [];
    const answer = (params: ControlMethods['attach']['params'] | ControlMethods['detach']['params']) => {
      asked.push(params);
      return { outcomes };
    };
    await serve({ attach: answer, detach: answer, query: () => offered });
    return asked;
  }

  let offered: ControlMethods['query']['result'];
  beforeEach(() => {
    offered = query;
  });

  const refused = path({ state: 'down', lastError: 'Connection refused' });
  const big5Down = server({ state: 'down', paths: [refused, { ...refused, interface: 'if1', lastError: null }], volumes: [] });
  const big5Said =
    'rsconfig: Server big-5 of osl is down: if0 -> 192.168.10.9/5000: Connection refused; if1 -> 192.168.10.9/5000: down: see rsconfig -m status -v [E_NO_PATH]\n';

  test('-a with every server down is an error that names them and their reasons', async () => {
    await attaching([]);
    offered = { namespaces: [namespace({ servers: [big5Down, server({ name: 'big-9', state: 'connecting', paths: [] })] })] };
    const err = `${big5Said}rsconfig: Server big-9 of osl is connecting: no interface of this machine has a path to it: see rsconfig -m status -v [E_NO_PATH]\n`;
    expect(await run(['-a'])).toEqual({ code: 1, out: '', err });
    expect(await run(['-a', '--json'])).toEqual({ code: 1, out: `${JSON.stringify({ outcomes: [] }, null, 2)}\n`, err });
  });

  test('-a with one of two servers down attaches the reachable volumes, and is an error', async () => {
    await attaching([good]);
    offered = { namespaces: [namespace({ servers: [big5Down, server({ name: 'big-9' })] })] };
    expect(await run(['-a'])).toEqual({ code: 1, out: 'osl:oracle@0 attached /dev/av0/oracle\n', err: big5Said });
    expect((await run(['-a', '--server', 'big-9'])).code, 'only big-9 was meant').toBe(0);
    expect((await run(['-a', 'oracle'])).code, 'only oracle was meant').toBe(0);
  });

  test('-a NAME that no reachable server offers names the unreachable ones', async () => {
    const error = { code: 'E_UNKNOWN_VOLUME', message: 'No server in reach offers a volume nosuch' };
    await attaching([{ volume: 'nosuch', done: false, already: false, device: null, error }]);
    offered = { namespaces: [namespace({ servers: [big5Down] })] };
    const { code, err } = await run(['-a', 'nosuch']);
    expect({ code, err }).toEqual({
      code: 1,
      err: `rsconfig: nosuch: No server in reach offers a volume nosuch [E_UNKNOWN_VOLUME]\n${big5Said}`,
    });
  });

  test('of a server with many paths only a few are shown', async () => {
    await attaching([]);
    offered = { namespaces: [namespace({ servers: [{ ...big5Down, paths: Array.from({ length: 6 }, () => refused) }] })] };
    expect((await run(['-a'])).err.match(/Connection refused/g)).toHaveLength(4);
    expect((await run(['-a'])).err).toContain('; and 2 more paths: see');
  });

  test('-a prints a line for each volume, refusals go to stderr, exit 1', async () => {
    const asked = await attaching([held, good]);
    expect(await run(['-a'])).toEqual({
      code: 1,
      out: 'osl:oracle@0 attached /dev/av0/oracle\n',
      err: 'rsconfig: osl:data@0: Held by venus 192.168.45.21 for 3 h: ask for it [E_HELD]\n',
    });
    expect(asked).toEqual([{ names: [], readOnly: false, server: null, take: 'no', owner: 'person' }]);
  });

  test('an already attached or detached volume is success', async () => {
    await attaching([{ ...good, already: true }]);
    expect(await run(['-a', 'oracle'])).toEqual({ code: 0, out: 'osl:oracle@0 attached /dev/av0/oracle\n', err: '' });
  });

  test('options and names reach the daemon', async () => {
    const asked = await attaching([{ ...good, device: null }]);
    await run(['-a', 'oracle', 'osl:events@1', '--read-only', '--server', 'big-9']);
    const { out } = await run(['-d', 'oracle', '--force']);
    expect(out).toBe('osl:oracle@0 detached\n');
    expect(asked).toEqual([
      { names: ['oracle', 'osl:events@1'], readOnly: true, server: 'big-9', take: 'no', owner: 'person' },
      { names: ['oracle'], force: true, owner: null },
    ]);
  });

  test('--take-over is sent with or without --force', async () => {
    const asked = await attaching([good]);
    await run(['-a', '--take-over', 'oracle']);
    await run(['-a', 'oracle', '--force', '--take-over', '--read-only']);
    expect(asked).toEqual([
      { names: ['oracle'], readOnly: false, server: null, take: 'over', owner: 'person' },
      { names: ['oracle'], readOnly: true, server: null, take: 'force', owner: 'person' },
    ]);
  });

  test('a take-over without a name, or --force without it, is not sent', async () => {
    const asked = await attaching([good]);
    const unnamed = await run(['-a', '--take-over']);
    expect([unnamed.code, unnamed.err]).toEqual([
      2,
      'rsconfig: --take-over needs the name of the volume: give NAME, see rsconfig --help [E_USAGE]\n',
    ]);
    const forced = await run(['-a', 'oracle', '--force']);
    expect([forced.code, forced.err]).toEqual([
      2,
      'rsconfig: --force is valid only with -d and with -a --take-over, see rsconfig --help [E_USAGE]\n',
    ]);
    expect((await run(['-d', 'oracle', '--take-over'])).err).toContain('--take-over is valid only with -a');
    expect(asked).toEqual([]);
  });

  test('a command without any effect says so', async () => {
    await attaching([]);
    expect(await run(['-a'])).toEqual({ code: 0, out: '', err: 'rsconfig: No volume is offered to this client: see rsconfig -q\n' });
    expect((await run(['-d'])).err).toBe('rsconfig: No volume is attached: see rsconfig -l\n');
  });

  test('--json prints the outcomes, and the exit code stays', async () => {
    await attaching([held]);
    const { code, out } = await run(['-a', '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual({ outcomes: [held] });
  });
});

describe('an error', () => {
  test.each([
    [['-q', '-l'], '-q and -l exclude each other: give one'],
    [['-m', 'top'], 'Unknown -m top: give status, stats or test'],
    [['-a', '-v'], '-v is valid only with -l, -q and -m status'],
    [['-m', 'stats', '-v'], '-v is valid only with -l, -q and -m status'],
    [['-d', '--read-only'], '--read-only is valid only with -a and volume create'],
    [['-l', '--take-over'], '--take-over is valid only with -a'],
    [['-a', '--force'], '--force is valid only with -d and with -a --take-over'],
    [['-q', 'osl'], 'Unexpected argument osl: only -a and -d take names'],
    [['oracle'], 'Unknown command oracle: to attach a volume of that name, use rsconfig -a oracle'],
    [['events', 'x'], 'Unexpected argument x: only -a and -d take names'],
    [['-a', ''], 'A name is empty: give oracle, osl:oracle or osl:oracle@0'],
    [['-a', '--server', ''], '--server is empty: give the name of a server'],
  ])('%j is wrong usage', async (argv, message) => {
    expect(await run(argv)).toEqual({ code: 2, out: '', err: `rsconfig: ${message}, see rsconfig --help [E_USAGE]\n` });
  });

  test('without rsiod one line says how to start it', async () => {
    const socket = join(root, 'run/rsio/rsiod/control');
    const err = `rsconfig: rsiod is not running, nothing listens on ${socket}: start it with: rsiod --root ${root} [E_NOT_RUNNING]\n`;
    for (const argv of [[], ['-q'], ['-a'], ['-m', 'stats'], ['events']]) expect(await run(argv)).toEqual({ code: 1, out: '', err });
  });

  test('--help names every option', async () => {
    const { out } = await run(['--help']);
    for (const option of Object.keys(rsconfigSpec.options)) expect(out).toContain(`--${option}`);
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test('--help has every command once, in groups', async () => {
    const { out } = await run(['--help']);
    expect(out.match(/^[A-Z].*:$/gm)).toEqual([
      'Volumes:',
      'Volumes of the servers:',
      'Clients and settings of all servers:',
      'Mirrors:',
      'Backups:',
      'Applications that move:',
      'Scripts that coordinate:',
      'Gates for hosts without rsiod:',
      'Paths and diagnosis:',
      'Finding servers:',
      'Configuration file:',
      'Daemon:',
      'Shell:',
      'Options:',
    ]);
    for (const { synopsis, summary } of COMMANDS) {
      const at = out.indexOf(`\n  ${synopsis.split('\n')[0]}`);
      expect(at, synopsis).toBeGreaterThan(0);
      expect(out.indexOf(summary, at), summary).toBeGreaterThan(at);
    }
  });

  test('COMMAND --help is about that command only', async () => {
    const { code, out } = await run(['-d', '--help']);
    expect(code).toBe(0);
    expect(out).toMatch(
      /^usage: rsconfig -d \[NAME...\] \[--force\] \[--wait\[=T\]\]\n\nDetaches volumes and removes their devices.\nWith --wait, the command keeps trying [^]*\n {2}-d, --detach /,
    );
    expect(out).not.toContain('--read-only');
    expect((await run(['events', '--help'])).out).toMatch(/^usage: rsconfig events \[--number N\] \[--since TIME\]\n/);
    expect(await run(['evnts', '--help'])).toMatchObject({ code: 2, out: '' });
  });

  test.each(COMMANDS.map((command) => [shownCall(command.call), command] as const))(
    '%s --help names each of its options',
    async (call, command) => {
      const { code, out } = await run([...call.split(' '), '--help']);
      expect(code).toBe(0);
      for (const option of Object.keys(command.options)) expect(out).toMatch(new RegExp(`^ .*--${option}\\b`, 'm'));
      for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    },
  );

  test('a word that starts several commands has the help of all of them', async () => {
    const { out } = await run(['interface', '--help']);
    expect(out.match(/^.{6} rsconfig interface/gm)).toHaveLength(3);
  });

  test('a mistyped command is recognized', async () => {
    expect((await run(['evnts'])).err).toContain('Unknown command evnts: did you mean events?');
    expect((await run(['attach', 'oracle'])).err).toContain('Unknown command attach: did you mean rsconfig -a?');
    expect((await run(['status'])).err).toContain('Unknown command status: did you mean rsconfig -m status?');
    expect((await run(['help', 'join'])).err).toContain('use rsconfig COMMAND --help, see rsconfig --help [E_USAGE]');
  });
});
