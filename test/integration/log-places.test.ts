// Logs that go to the journal and to syslog, with real daemons and their helper. The receiver is a program of the test, which can be
// stopped to simulate a hanging journal, or the real systemd-journald in its own namespaces. A hanging journal must not delay the data path
// or commands.

import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { needPrograms } from '@rsio/base/testing/needs';
import { beforeEach, expect, it } from 'vitest';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { launcher, needTool, run, type Running, start } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const TEST_MS = 300_000;
const SAID_MS = 5_000;
const JOURNALD = '/lib/systemd/systemd-journald';
/** Receives datagrams and appends each to a file, followed by an empty line. */
const RECEIVER =
  'use Socket; my ($at, $file) = @ARGV; socket(S, PF_UNIX, SOCK_DGRAM, 0); bind(S, pack_sockaddr_un($at)) or die $!; $| = 1; print "up\\n"; ' +
  'open(F, ">>", $file); while (defined recv(S, my $text, 1 << 20, 0)) { syswrite(F, "$text\\n\\n"); }';

const hosts = useHosts();
let server: Host;
let network: TestNetwork;

beforeEach(async (context) => {
  needPrograms(context, 'perl');
  server = hosts.host();
  network = await hosts.network(1);
});

/** Starts a receiver at a path below the root of a host. Returns the receiver and a function for the received text. */
async function receiver(host: Host, at: string): Promise<{ readonly program: Running; readonly text: () => string }> {
  const file = host.file('received');
  const program = start('perl', ['-e', RECEIVER, host.file(at), file], { timeoutMs: TEST_MS });
  await waitFor(() => program.stdout().includes('up'), SAID_MS, 'The receiver is up');
  return { program, text: () => (existsSync(file) ? readFileSync(file, 'utf8') : '') };
}

function entriesOf(text: string): Record<string, string>[] {
  return text
    .split('\n\n')
    .map((entry) =>
      Object.fromEntries(entry.split('\n').map((field) => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)])),
    );
}

it('rssrv and its processes log to the journal, rsiod to syslog, and a reload goes to the file', { timeout: TEST_MS }, async () => {
  const client = hosts.host();
  const journal = await receiver(server, 'run/systemd/journal/socket');
  const syslog = await receiver(client, 'dev/log');
  const text = serverConfig(network, { volumes: { v: { type: 'memory', size: '1m' } }, server: { log: 'journal', 'log-time': 'local' } });
  server.writeConfig('rssrv', text);
  client.writeConfig('rsiod', clientConfig(network, { defaults: { log: 'syslog' } }));
  await server.start('rssrv');
  await client.start('rsiod');
  await client.pathsUp(1);
  const said = async (what: RegExp): Promise<void> =>
    void (await waitFor(() => what.test(journal.text()), SAID_MS, `The journal has ${what}`));
  await said(/^MESSAGE=Node \S+ .*began a session/m);
  const entry = entriesOf(journal.text()).find((one) => /began a session/.test(one['MESSAGE'] ?? ''));
  expect(entry).toMatchObject({ PRIORITY: '6', SYSLOG_IDENTIFIER: 'rssrv', RSIO_ROOT: server.root });
  expect(entry?.['RSIO_ZONE']).toMatch(/^[+-]\d\d:\d\d$/);
  await waitFor(
    () => /^<30>\S+ [ \d]\d \S+ rsiod\[\d+\]: Server \S+: session started$/m.test(syslog.text()),
    SAID_MS,
    'syslog has the session',
  );
  expect(existsSync(server.rssrvPaths.logFile)).toBe(false);
  expect((await client.run('rsclogcat')).stderr).toContain('The log of rsiod goes to syslog: read it there, or set log = file and reload');

  // While the journal hangs, the daemon answers, and its log lines wait.
  process.kill(journal.program.pid, 'SIGSTOP');
  for (const level of ['debug', 'info', 'debug']) {
    server.writeConfig('rssrv', text.replace('log = journal', `log = journal\nlog-level = ${level}`));
    expect(await server.rsadmWell('reload')).toContain(`log-level is ${level}`);
  }
  process.kill(journal.program.pid, 'SIGCONT');
  await said(/^MESSAGE=Reload: log-level is debug$/m);

  server.writeConfig('rssrv', text.replace('log = journal', 'log = file'));
  await server.rsadmWell('reload');
  await client.stop('rsiod');
  await server.logged('rssrv', /The session of node \S+ has ended/);
  expect((await server.run('rsslogcat', ['-n', '1'])).stdout).toMatch(/^\S+@rsio \S+ \([+-]\d\d:\d\d\) INFO/);
  server.writeConfig('rssrv', text);
  await server.rsadmWell('reload');
  await server.stop('rssrv');
  await said(/^MESSAGE=Has ended$/m);
  expect(await waitFor(() => server.processes().length === 0, SAID_MS, 'The helper has ended')).toBe(true);
});

it('a place that is missing is said, and the file is used', { timeout: TEST_MS }, async () => {
  server.writeConfig('rssrv', serverConfig(network, { volumes: { v: { type: 'memory', size: '1m' } }, server: { log: 'syslog' } }));
  const env = { PATH: dirname(process.execPath), RSIO_TEST_HOST: server.root };
  const { stderr } = await run(process.execPath, [launcher('rssrv'), '--root', server.root], { env });
  expect(stderr).toMatch(/The log goes to \S+rssrv\.log, not to syslog \(.*\): correct it, or set log = file/);
  await server.logged('rssrv', 'serves 1 volume');
});

it('the real journal keeps the fields, and rsslogcat prints the lines from it', { timeout: TEST_MS }, async (context) => {
  context.skip(process.getuid?.() !== 0, 'needs root, for namespaces');
  needTool(context, 'unshare', 'util-linux');
  needTool(context, 'journalctl', 'systemd');
  context.skip(!existsSync(JOURNALD), 'needs systemd-journald: install systemd');
  server.writeConfig('rssrv', serverConfig(network, { volumes: { v: { type: 'memory', size: '1m' } }, server: { log: 'journal' } }));
  const [rssrv, rsslogcat] = ['rssrv', 'rsslogcat'].map((name) => `${launcher(name)} --root ${server.root}`);
  const script = [
    'mount -t tmpfs tmpfs /run || exit 3',
    'mkdir -p /run/systemd/journal /run/log/journal',
    `${JOURNALD} >/dev/null 2>&1 & journald=$!`,
    'until [ -S /run/systemd/journal/socket ]; do sleep 0.1; done',
    `${rssrv} 2>/dev/null || exit 4`,
    `kill $(cat ${server.rssrvPaths.pidFile})`,
    `until ${rsslogcat} -n 1 | grep "Has ended"; do sleep 0.1; done`,
    'journalctl -q -o cat --output-fields=RSIO_NODE,PRIORITY -n 1 SYSLOG_IDENTIFIER=rssrv',
    'kill -9 $journald',
  ].join('\n');
  const { code, stdout } = await run('unshare', ['-mpf', '--mount-proc', 'bash', '-c', script], { timeoutMs: TEST_MS });
  context.skip(code === 3, 'needs mounts in a namespace of its own');
  expect(stdout).toMatch(/^\S+@rsio \S+ \(GMT\) INFO \(main\): Has ended\n/);
  expect(stdout).toContain('\n6\n');
});
