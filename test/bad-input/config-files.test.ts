// Mistakes in the two configuration files, as the administrator sees them: the daemon prints one line with program, file, line, mistake,
// permitted values and code, ends with exit code 1, and leaves nothing half-done. start.test.ts has other obstacles to a start. For most
// mistakes, this test only calls the reader of configuration files that the daemons use. The test starts the daemon for only one mistake of
// each sort.

import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type DaemonProgram, daemonPaths } from '@rsio/common/config/root-paths';
import { loadRscltConfig, loadRssrvConfig } from '@rsio/common/config/load-config';
import { CONFIG_FILE_MAX_BYTES } from '@rsio/common/config/schema/limits';
import { executeProgram } from '@rsio/base/daemon/arguments';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { run } from '../support/programs/programs.ts';

const hosts = useHosts();

const RSSRVCFG = `[namespace osl]
namespaceid = 200
port        = 5000

[server big-9]
serverid = 1

[interface if1]
address     = 127.45.0.10

[volume oracle]
type        = memory
size        = 1m

[clients]
big-2 0xbig2-0123456789abcdef
`;

const RSCLTCFG = `[defaults]
port          = 5000

[interface if0]
address       = 127.45.0.20

[namespace osl]
namespaceid   = 200
nodename      = big-2
nodekey       = 0xbig-2-0123456789abcdef

[server big-9-1]
address       = 127.45.0.10
`;

const TEXTS: Readonly<Record<DaemonProgram, string>> = { rssrv: RSSRVCFG, rsiod: RSCLTCFG };

type How = 'start' | '--check' | 'read';

/**
 * Expects that the daemon refuses to start with this error and leaves nothing behind. `how`: whether to start the daemon, to run it with
 * `--check`, or to call the reader. The error must be the same in all three cases.
 */
async function expectRefused(host: Host, program: DaemonProgram, line: RegExp, how: How = 'start'): Promise<void> {
  const file = daemonPaths(host.root, program).configFile;
  const before = filesOf(host.root);
  const ways = { start: () => host.tryStart(program), '--check': () => host.run(program, ['--check']), read: () => read(program, file) };
  const result = await ways[how]();
  expect(result.stdout).toBe('');
  expect(result.stderr).toMatch(/^[^\n]*\n$/);
  expect(result.stderr.replace(`${program}: `, '').replaceAll(file, 'FILE').trimEnd()).toMatch(line);
  expect(result.code).toBe(1);
  expect(host.processes()).toEqual([]);
  expect(filesOf(host.root)).toEqual(before);
}

/** Returns what a daemon prints after it has read its file. */
async function read(program: DaemonProgram, file: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const texts = { stdout: '', stderr: '' };
  const load = program === 'rssrv' ? loadRssrvConfig : loadRscltConfig;
  const code = await executeProgram({ name: program, help: '', options: {}, takesPositionals: false }, () => void load(file), {
    argv: [],
    env: {},
    out: (text) => void (texts.stdout += text),
    err: (text) => void (texts.stderr += text),
  });
  return { code, ...texts };
}

function filesOf(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}

type Mistake = readonly [what: string, from: string, to: string, line: RegExp];

function mistakes(program: DaemonProgram, cases: readonly Mistake[]): void {
  it.each(cases)('%s', async (_what, from, to, line) => {
    const host = hosts.host();
    const text = TEXTS[program].replace(from, to);
    expect(text).not.toBe(TEXTS[program]);
    host.writeConfig(program, text);
    await expectRefused(host, program, line, 'read');
  });
}

describe('rssrvcfg', () => {
  mistakes('rssrv', [
    [
      'an unknown key',
      'port   ',
      'prot   ',
      /^FILE:3: Unknown key "prot" in \[namespace osl\]: did you mean port\? Allowed are .* \[E_CONFIG\]$/,
    ],
    [
      'a number past its range',
      '= 200',
      '= 65536',
      /^FILE:2: Wrong value "65536" for namespaceid: allowed is a whole number from 0 to 65535 \[E_CONFIG\]$/,
    ],
    ['a port of 0', '= 5000', '= 0', /^FILE:3: Wrong value "0" for port: allowed is a whole number from 1 to 65535 \[E_CONFIG\]$/],
    [
      'a serverid past its range',
      'serverid = 1',
      'serverid = 256',
      /^FILE:6: Wrong value "256" for serverid: allowed is a whole number from 0 to 255/,
    ],
    ['a needed key that is missing', 'serverid = 1', '', /^FILE:5: No serverid in \[server big-9\]: add "serverid = \.\.\."/],
    [
      'a key twice',
      'serverid = 1',
      'serverid = 1\nserverid = 2',
      /^FILE:7: Duplicate key serverid in \[server big-9\] \(first in line 6\): remove one of them/,
    ],
    [
      'an address that is none',
      '127.45.0.10',
      '127.45.0.300',
      /^FILE:9: Wrong value "127\.45\.0\.300" for address: allowed is .*IPv4.*of a single host.* \[E_CONFIG\]$/,
    ],
    ['a size that is none', '1m', '1 megabyte', /^FILE:13: Wrong value "1 megabyte" for size: allowed is /],
    [
      'a size that is no multiple of the block size',
      '1m',
      '1000',
      /^FILE:13: Volume "?oracle"? has size 1000: allowed are multiples of its blocksize 512/,
    ],
    ['a volume without a path', 'type        = memory', 'type = file', /^FILE:11: Volume "?oracle"? has no path: add "path = \.\.\."/],
    [
      'a type that is none',
      '= memory',
      '= floppy',
      /^FILE:12: Wrong value "floppy" for type: allowed is auto, file, block, memory or null/,
    ],
    ['an unknown section', '[volume', '[volum', /^FILE:11: Unknown section \[volum oracle\]: did you mean \[volume\]\? Allowed are /],
    ['a section without a name', '[volume oracle]', '[volume]', /^FILE:11: .*: allowed is \[volume NAME\]/],
    ['a header that is not closed', '[server big-9]', '[server big-9', /^FILE:5: Section header .*: allowed are /],
    [
      'a missing section',
      '[server big-9]\nserverid = 1\n',
      '',
      /^FILE: No section \[server NAME\]: add it, there must be one \[E_CONFIG\]$/,
    ],
    [
      'no interface',
      '[interface if1]\naddress     = 127.45.0.10\n',
      '',
      /^FILE: No section \[interface NAME\]: add one for each address to listen on/,
    ],
    [
      'two servers',
      '[server big-9]\nserverid = 1',
      '[server big-9]\nserverid = 1\n[server b]\nserverid = 2',
      /^FILE:7: Second section \[server b\] \(first in line 5\): allowed is one/,
    ],
    [
      'two interfaces with one address',
      '[volume',
      '[interface if2]\naddress = 127.45.0.10\n[volume',
      /^FILE:12: Duplicate address 127\.45\.0\.10.* \(first in line 9\)/,
    ],
    [
      'a volume that is the raw device of another',
      '[clients]',
      '[volume roracle]\ntype = null\nsize = 1m\n[clients]',
      /^FILE:15: .*: roracle is the raw device of oracle; rename one or use another universe/,
    ],
    [
      'a client line with =',
      'big-2 0x',
      'big-2 = 0x',
      /^FILE:16: Line of client big-2 in \[clients\] has "=" between name and key: allowed is/,
    ],
    [
      'a client without a key',
      'big-2 0xbig2-0123456789abcdef',
      'big-2',
      /^FILE:16: Line in \[clients\] is one word: allowed is NAME, white space, KEY/,
    ],
    [
      'two volumes of one name',
      '[clients]',
      '[volume oracle]\ntype = null\nsize = 1m\n[clients]',
      /^FILE:15: Duplicate volume name "oracle" in universe 0 \(first in line 11\): give each volume a name or universe of its own \[E_CONFIG\]$/,
    ],
    ['a client twice', 'big-2 0x', 'big-2 0x1\nbig-2 0x', /^FILE:17: Duplicate .*big-2.* \(first in line 16\)/],
    [
      'text above the first section',
      '[namespace osl]',
      'hello\n[namespace osl]',
      /^FILE:1: Text above the first section: allowed are comments, then/,
    ],
  ]);

  it('control characters do not reach the terminal', async () => {
    const host = hosts.host();
    host.writeConfig('rssrv', RSSRVCFG.replace('port   ', '\u001b[31mprot'));
    await expectRefused(host, 'rssrv', /^FILE:3: Unknown key "[ -~]*prot"/);
  });

  it('the first of several mistakes is reported', async () => {
    const host = hosts.host();
    host.writeConfig('rssrv', RSSRVCFG.replace('= 5000', '= x').replace('serverid = 1', 'serverid = y'));
    await expectRefused(host, 'rssrv', /^FILE:3: Wrong value "x" for port/);
    await expectRefused(host, 'rssrv', /^FILE:3: Wrong value "x" for port/, '--check');
  });

  it('an error never shows a key', async () => {
    const host = hosts.host();
    host.writeConfig('rssrv', RSSRVCFG.replace('serverid = 1', 'serverid = 1\nserverkey = top secret'));
    await expectRefused(
      host,
      'rssrv',
      /^FILE:7: Wrong value for serverkey: allowed is 1 to 256 printable ASCII characters without white space \[E_CONFIG\]$/,
      'read',
    );
  });
});

describe('rscltcfg', () => {
  mistakes('rsiod', [
    ['an unknown key', 'nodename ', 'nodname ', /^FILE:9: Unknown key "nodname" in \[namespace osl\]: did you mean nodename\?/],
    [
      'a wrong value',
      'port          = 5000',
      'port = many',
      /^FILE:2: Wrong value "many" for port: allowed is a whole number from 1 to 65535/,
    ],
    [
      'a key that is missing',
      'nodekey       = 0xbig-2-0123456789abcdef\n',
      '',
      /^FILE:7: No nodekey in \[namespace osl\]: add "nodekey = \.\.\."/,
    ],
    ['a duration without unit', '[interface if0]', 'dead = 3\n[interface if0]', /^FILE:4: Wrong value "3" for dead: allowed is/],
    [
      'times that do not fit together',
      '[interface if0]',
      'suspect = 2s\n[interface if0]',
      /^FILE:4: suspect 2s with heartbeat 1s: suspect must be below heartbeat/,
    ],
    [
      'dead too near the heartbeat',
      '[interface if0]',
      'dead = 2s\n[interface if0]',
      /^FILE:4: dead 2s with heartbeat 1s: dead must be above twice the heartbeat/,
    ],
    [
      'a server above its namespace',
      '[defaults]',
      '[server s]\naddress = 127.0.0.1\n[defaults]',
      /^FILE:1: Section \[server s\] belongs to no namespace: put it below its \[namespace NAME\]/,
    ],
    [
      'a server twice',
      '[server big-9-1]',
      '[server big-9-0]\naddress = 127.45.0.10\n[server big-9-1]',
      /^FILE:15: Duplicate address 127\.45\.0\.10.* \(first in line 13\): allowed is one \[server\] section for each/,
    ],
    ['a header that is not closed', '[server big-9-1]', '[server big-9-1', /^FILE:12: Section header \[server big-9-1\] has no "\]"/],
    [
      'two namespaces of one name',
      '[server big-9-1]',
      '[namespace osl]\nnamespaceid = 7\nnodename = a\nnodekey = 0123456789abcdef\n[server big-9-1]',
      /^FILE:12: Duplicate .*namespace.*osl.* \(first in line 7\)/,
    ],
    ['an address with a port', '127.45.0.20', '127.45.0.20:5000', /^FILE:5: Wrong value "127\.45\.0\.20:5000" for address/],
    [
      'a wrong stall',
      '[interface if0]',
      'stall = never\n[interface if0]',
      /^FILE:4: Wrong value "never" for stall: allowed is forever, fail, or/,
    ],
    ['a name with a blank', '= big-2', '= big 2', /^FILE:9: Wrong value "big 2" for nodename: allowed is/],
  ]);

  it('the first of several mistakes is reported', async () => {
    const host = hosts.host();
    host.writeConfig('rsiod', RSCLTCFG.replace('= 5000', '= x').replace('= 200', '= y'));
    await expectRefused(host, 'rsiod', /^FILE:2: Wrong value "x" for port/);
    await expectRefused(host, 'rsiod', /^FILE:2: Wrong value "x" for port/, '--check');
  });
});

it('unusual but valid syntax (CRLF, no final line end, names with dots, keys with = ; and #): the volume is attached', async () => {
  const host = hosts.host();
  const network = await hosts.network(1);
  const node = 'big.2.lab';
  const key = '=a;b#c=0123456789#';
  const volumes = { 'oracle.2024.db': { type: 'memory', size: '1m' } };
  const odd = (text: string): string => text.trimEnd().replaceAll('\n', '\r\n');
  host.writeConfig('rssrv', odd(serverConfig(network, { volumes, clients: { [node]: key } })));
  host.writeConfig('rsiod', odd(clientConfig(network, { node, key })));
  await host.start('rssrv');
  await host.start('rsiod');
  await host.pathsUp(1);
  expect(await host.rsconfigWell('-a')).toMatch(/^osl:oracle\.2024\.db@0 attached .*\n$/);
});

describe.each(['rssrv', 'rsiod'] as const)('the file of %s', (program) => {
  const fileOf = (host: Host): string => daemonPaths(host.root, program).configFile;

  it('does not exist', async () => {
    await expectRefused(hosts.host(), program, /^No configuration file FILE: .*\(see (rssrvcfg|rscltcfg)\(5\)\) \[E_NO_CONFIG\]$/);
  });

  it('is a dangling link, a folder or a FIFO', async () => {
    const host = hosts.host();
    host.writeConfig(program, '');
    const file = fileOf(host);
    rmSync(file);
    symlinkSync('/nowhere/at/all', file);
    await expectRefused(host, program, /^No configuration file FILE: .* \[E_NO_CONFIG\]$/, 'read');
    rmSync(file);
    mkdirSync(file);
    await expectRefused(host, program, /^Configuration FILE is not a regular file: put the configuration file there \[E_CONFIG\]$/, 'read');
    rmSync(file, { recursive: true });
    expect((await run('mkfifo', [file])).code).toBe(0);
    await expectRefused(host, program, /^Configuration FILE is not a regular file: put the configuration file there \[E_CONFIG\]$/);
    // The clean-up of the hosts reads the file, so the unusable file must be removed.
    rmSync(file);
  });

  it('is empty, binary or far too large', async () => {
    const host = hosts.host();
    host.writeConfig(program, '');
    if (program === 'rssrv')
      await expectRefused(host, program, /^FILE: No section \[namespace NAME\]: add it, there must be one \[E_CONFIG\]$/, 'read');
    writeFileSync(fileOf(host), Buffer.from('[namespace osl]\nnamespaceid = 200\n\xff\xfe', 'latin1'));
    await expectRefused(host, program, /^FILE:3: Text is not UTF-8: save the file as UTF-8 \[E_CONFIG\]$/, 'read');
    truncateSync(fileOf(host), CONFIG_FILE_MAX_BYTES + 1);
    await expectRefused(
      host,
      program,
      /^Configuration file FILE has 16777217 bytes, allowed are 16777216: check whether it is the right file \[E_CONFIG\]$/,
    );
  });

  // Root can read the file despite its permissions.
  if (process.getuid?.() !== 0) {
    it('is not readable', async () => {
      const host = hosts.host();
      host.writeConfig(program, TEXTS[program]);
      chmodSync(fileOf(host), 0);
      await expectRefused(host, program, /^No permission to read FILE: run as root or as the owner of the file \[E_RIGHTS\]$/);
    });
  }

  it('is valid: --check says so and starts nothing; a file readable by every user is a warning', async () => {
    const host = hosts.host();
    host.writeConfig(program, TEXTS[program]);
    const good = await host.check(program);
    expect(good).toMatchObject({ code: 0, stderr: '' });
    expect(good.stdout).toMatch(/: (server big-9 with )?1 interface, .*: good\n$/);
    chmodSync(fileOf(host), 0o644);
    const open = await host.check(program);
    expect(open.code).toBe(0);
    expect(open.stderr).toBe(
      `${program}: Warning: Every user can read the keys in ${fileOf(host)} (mode 0644): run chmod 600 ${fileOf(host)}\n`,
    );
    expect(host.processes()).toEqual([]);
    expect(filesOf(host.root)).toEqual([fileOf(host)]);
    expect(existsSync(daemonPaths(host.root, program).runDir)).toBe(false);
  });
});
