// Tests the parts that all programs share, with given arguments and environment: the input of main, the output, and the exit code. The
// tests of the programs start real processes.

import { describe, expect, test } from 'vitest';
import { executeProgram, type ProgramMain, type ProgramSpec } from './arguments.ts';
import { RsError } from '../lib/errors.ts';

const OPTIONS = {
  check: { type: 'boolean', short: 'c' },
  verbose: { type: 'boolean', short: 'v', multiple: true },
  m: { type: 'string', short: 'm' },
} as const;

async function run(
  argv: readonly string[],
  main: ProgramMain<typeof OPTIONS> = () => 0,
  more: Partial<ProgramSpec<typeof OPTIONS>> = {},
  env: Record<string, string> = {},
) {
  const spec: ProgramSpec<typeof OPTIONS> = {
    name: 'rssrv',
    help: 'usage: rssrv [-c]\n',
    options: OPTIONS,
    takesPositionals: false,
    ...more,
  };
  let out = '';
  let err = '';
  const code = await executeProgram(spec, main, {
    argv,
    env,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}

describe('executeProgram', () => {
  test('passes values, words and root to main', async () => {
    const main: ProgramMain<typeof OPTIONS> = ({ values, positionals, root, out }) =>
      out(JSON.stringify({ ...values, positionals, root })) ?? undefined;
    const { code, out } = await run(['-cvv', '-m', 'status', 'a', '--root', '/tmp/x/'], main, { takesPositionals: true });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ check: true, verbose: [true, true], m: 'status', positionals: ['a'], root: '/tmp/x' });
  });

  test.each<[string[], unknown]>([
    [['-m', 'x'], { m: 'x' }],
    [['--m=x'], { m: 'x' }],
    [['--m'], { m: '' }],
    [['--m', 'x'], { m: '', positionals: ['x'] }],
    [['--', '--m'], { positionals: ['--m'] }],
  ])('a value that may be left out follows a =: %j', async (argv, expected) => {
    let seen: unknown;
    const main: ProgramMain<typeof OPTIONS> = ({ values, positionals }) => {
      seen = { ...values, ...(positionals.length > 0 ? { positionals } : {}) };
      return 0;
    };
    await run(argv, main, { takesPositionals: true, bare: ['m'] });
    expect(seen).toEqual(expected);
  });

  test.each([
    [['--m', '5s', 'a'], '--m 5s'],
    [['-a', '--m', '5'], '--m 5'],
  ])('a time behind an option whose value may be left out is taken for no name (%j)', async (argv, words) => {
    const bare = ['m'];
    const { code, err } = await run(argv, () => 0, { takesPositionals: true, bare });
    expect(code).toBe(2);
    expect(err).toContain(
      `${words} is ambiguous: write --m=${words.slice(4)} for the value, or put the name ${words.slice(4)} before --m; see`,
    );
    for (const good of [
      ['--m', 'oracle'],
      ['5s', '--m'],
      ['--m=5s', '5s'],
      ['--m', '--', '5s'],
      ['--', '--m', '5s'],
    ])
      expect((await run(good, () => 0, { takesPositionals: true, bare })).code).toBe(0);
  });

  test.each([
    [[], {}, '/'],
    [[], { RSIO_ROOT: '' }, '/'],
    [[], { RSIO_ROOT: '/a' }, '/a'],
    [['--root', '/b'], { RSIO_ROOT: '/a' }, '/b'],
    [['--root', 'c'], {}, `${process.cwd()}/c`],
  ])('takes the root from --root, else RSIO_ROOT, else / (%j %j)', async (argv, env, expected) => {
    let seen = '';
    await run(
      argv,
      ({ root }) => {
        seen = root;
        return 0;
      },
      {},
      env,
    );
    expect(seen).toBe(expected);
  });

  test.each([
    [['--frob'], 'rssrv: Unknown option --frob: see rssrv --help [E_USAGE]\n'],
    [['-x'], 'rssrv: Unknown option -x: see rssrv --help [E_USAGE]\n'],
    [['-m'], 'rssrv: Option -m, --m needs a value: see rssrv --help [E_USAGE]\n'],
    [['--check=1'], 'rssrv: Option -c, --check takes no value: see rssrv --help [E_USAGE]\n'],
    [['--root', ''], 'rssrv: --root is empty: name a folder, see rssrv --help [E_USAGE]\n'],
    [['--root'], 'rssrv: Option --root needs a value: see rssrv --help [E_USAGE]\n'],
  ])('wrong usage is one line and exit 2: %j', async (argv, err) => {
    expect(await run(argv)).toEqual({ code: 2, out: '', err });
  });

  test('an extra word and an ambiguous option are usage errors in one line', async () => {
    for (const argv of [['word'], ['-m', '-c'], ['\n']]) {
      const { code, err } = await run(argv);
      expect(code).toBe(2);
      expect(err).toMatch(/^rssrv: [^\n]+: see rssrv --help \[E_USAGE\]\n$/);
    }
  });

  test('--help and --version take precedence over main', async () => {
    const main = () => {
      throw new Error('main was called');
    };
    const help = await run(['--help'], main);
    expect(help).toMatchObject({ code: 0, err: '' });
    expect(help.out).toMatch(/^usage: rssrv \[-c\]\n(.|\n)*--root DIR(.|\n)*--version/);
    expect(await run(['--version'], main)).toEqual({ code: 0, out: expect.stringMatching(/^rssrv \(RSIO\) \d+\.\d+\.\d+\n$/), err: '' });
  });

  test.each([
    [new RsError('E_NO_CONFIG', 'No file /etc/rscltcfg: write one'), 'rssrv: No file /etc/rscltcfg: write one [E_NO_CONFIG]\n', 1],
    [new RsError('E_USAGE', 'Bad name: give another'), 'rssrv: Bad name: give another [E_USAGE]\n', 2],
    [
      new RsError('E_PROTOCOL', 'Peer said \u001b[2J\nrssrv: all is well'),
      'rssrv: Peer said \\x1b[2J\\nrssrv: all is well [E_PROTOCOL]\n',
      1,
    ],
    [Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' }), 'rssrv: EACCES: permission denied [E_SYSTEM]\n', 1],
    [new TypeError('x is undefined'), 'rssrv: x is undefined [E_INTERNAL]\n', 1],
  ])('an error of main is one line with its code: %s', async (error, err, code) => {
    expect(await run([], () => Promise.reject(error))).toEqual({ code, out: '', err });
  });

  test('main returns the exit code', async () => {
    expect((await run([], () => 1)).code).toBe(1);
    expect((await run([], () => undefined)).code).toBe(0);
  });
});
