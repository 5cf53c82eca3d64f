// crsio in adverse conditions: a file that changes during an edit, terminals that are too small or missing, signals, errors, and no rsiod.
// In each case, crsio shows a clear sentence, loses nothing, and restores the terminal.

import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { clientConfig, keyOf, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needTool } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { expectScreen, type Mask } from './screen-file.ts';
import { SCREEN_DEADLINE_MS, TmuxTerminal } from './tmux-terminal.ts';

const FILE = `# by hand
[defaults]
port = 5000

[interface if0]
address = 192.0.2.20

[namespace osl]
namespaceid = 200
nodename = big-2
nodekey = ${keyOf('big-2')}

[server big-9-1]
address = 192.0.2.10
`;

const hosts = useHosts();
let host: Host;
let mask: Mask;

beforeEach((context) => {
  needTool(context, 'tmux', 'tmux');
  host = hosts.host();
  mask = [[host.root, 'ROOT']];
});

/** Starts crsio on the file, and waits for its menu. */
async function started(
  ...options: Parameters<typeof TmuxTerminal.start> extends [unknown, ...infer Rest] ? Rest : never
): Promise<TmuxTerminal> {
  host.writeConfig('rsiod', FILE);
  const terminal = await TmuxTerminal.start(host, ...options);
  await terminal.sees('> Interfaces');
  return terminal;
}

function file(): string {
  return readFileSync(host.rsiodPaths.configFile, 'utf8');
}

/** Adds an interface to the file in crsio, so that there is an unsaved change. */
async function change(terminal: TmuxTerminal): Promise<void> {
  await terminal.press('Enter');
  await terminal.sees('> if0');
  await terminal.press('Down', 'Enter');
  await terminal.sees('> address');
  await terminal.type('192.0.2.21');
  await terminal.press('Enter', 'Enter');
  await terminal.sees('> if1');
}

it('a file that another program changed is shown line by line before anything is written', async () => {
  const terminal = await started();
  await change(terminal);
  const theirs = FILE.replace('port = 5000', 'port = 5001');
  writeFileSync(host.rsiodPaths.configFile, theirs);
  await terminal.press('F3');
  await terminal.sees('Nothing was written');
  await expectScreen(terminal, 'file-changed', mask);
  await terminal.press('Enter');
  await terminal.sees('F7: reread', 'Nothing was written');
  await expectScreen(terminal, 'difference', mask);
  await terminal.press('F7');
  await terminal.sees('> Reread the file');
  expect(file()).toBe(theirs);
  await terminal.press('Down', 'Enter');
  await terminal.sees('> Start rsiod');
  expect(file()).toBe(FILE.replace('\n[namespace', '\n[interface if1]\naddress = 192.0.2.21\n\n[namespace'));
  await terminal.pressAtOnce('Escape', 'F10');
  await terminal.ended(0);
});

it('leaving with unsaved changes asks first, and discards them only on request', async () => {
  const terminal = await started();
  await change(terminal);
  await terminal.press('F10');
  await terminal.sees('> Save and leave');
  await expectScreen(terminal, 'unsaved', mask);
  await terminal.press('Down', 'Down', 'Enter');
  await terminal.sees('* not saved', 'Save and leave');
  await terminal.press('F10');
  await terminal.sees('> Save and leave');
  await terminal.press('Down', 'Enter');
  await terminal.ended(0);
  expect(file()).toBe(FILE);
});

it('the screen follows the size of the terminal, says if it is below 80x24, and F1 explains screens and fields', async () => {
  const terminal = await started({ columns: 120, rows: 40 });
  await terminal.resize(80, 24);
  await terminal.sees(/^└─{78}┘$/m);
  await expectScreen(terminal, 'menu', mask);
  await terminal.resize(79, 24);
  await terminal.sees(/^\s*crsio needs 80x24, this terminal has 79x24: make it larger\s*$/);
  await terminal.resize(30, 5);
  await terminal.sees('30x5', 'Interfaces');
  await terminal.press('Enter');
  await terminal.resize(80, 24);
  await terminal.sees('> Interfaces', 'make it larger');
  // F1 explains the screen. On a field, F1 explains the key of the field, in the words of the manual.
  await terminal.press('F1');
  await terminal.sees('To set up a client');
  await expectScreen(terminal, 'help-menu', mask);
  await terminal.press('Escape');
  await terminal.sees('> Interfaces', 'To set up a client');
  await terminal.press('Down', 'Down', 'Down', 'Enter');
  await terminal.sees('> protocol');
  await terminal.press('Down', 'Down', 'F1');
  await terminal.sees('Default:');
  await expectScreen(terminal, 'help-field', mask);
  await terminal.press('Escape');
  await terminal.sees('> stall', 'Default:');
  await terminal.press('Escape');
  await terminal.sees('> Defaults');
  await terminal.press('F10');
  await terminal.ended(0);
});

it('plain ASCII if the locale has no line characters, or on request', async () => {
  const terminal = await started({ env: { LC_ALL: 'C' } });
  await expectScreen(terminal, 'menu-ascii', mask);
  await terminal.press('F10');
  await terminal.ended(0);
});

it('status without rsiod says how to start it; with rsiod it shows paths and volumes that come and go', async () => {
  const [server, network] = [hosts.host(), await hosts.network(1)];
  const terminal = await started();
  await terminal.press('Down', 'Down', 'Down', 'Down', 'Down', 'Down', 'Enter');
  await terminal.sees('rsiod is not running');
  await expectScreen(terminal, 'status-no-rsiod', mask);
  await startServer(server, network, { volumes: { oracle: { type: 'memory', size: '16m' } } });
  host.writeConfig('rsiod', clientConfig(network));
  await host.start('rsiod');
  await host.pathsUp(1);
  // The round trip appears after answers to the first heartbeats.
  await terminal.sees(/connected +tx ok +rx ok +\d+\.\d\d ms/);
  const [near = '', far = ''] = [network.clientAddresses()[0], network.serverAddresses[0]];
  const ends: Mask = [
    [`${far}/${network.port}`, '127.45.0.10/5000'],
    [near, '127.45.0.20'],
  ];
  await terminal.sees(/> osl:oracle@0 +not attached/);
  await expectScreen(terminal, 'status', [...mask, ...ends]);
  await terminal.press('Enter');
  await terminal.sees(/> osl:oracle@0 +attached/);
  await terminal.press('Enter');
  await terminal.sees('> Leave it attached');
  await terminal.press('Up', 'Enter');
  await terminal.sees(/> osl:oracle@0 +not attached/);
});

it('a paste fills one field, the cursor moves in it, wide characters take two columns', async () => {
  const terminal = await started();
  await terminal.press('Down', 'Down', 'Enter');
  await terminal.sees('New namespace');
  await terminal.paste('名前 x\nsecond line');
  const screen = await terminal.sees(/> name \* +\[名前 x +\] ! wrong/);
  const begin = (/^.*\[(?=名前 x)/m.exec(screen)?.[0] ?? '').length;
  const cursorAt = (column: number): Promise<boolean> =>
    waitFor(async () => Number(await terminal.fact('cursor_x')) === column, SCREEN_DEADLINE_MS, `The cursor is in column ${column}`);
  await cursorAt(begin + 6);
  await terminal.press('Left', 'Left', 'BSpace');
  await terminal.sees(/\[名 x +\]/);
  await cursorAt(begin + 2);
});

it('SIGTERM restores the terminal and reports that changes are lost', async () => {
  const terminal = await started();
  await change(terminal);
  await terminal.signal('SIGTERM');
  expect(await terminal.ended(1)).toContain('crsio: Ended by SIGTERM: changes were not saved');
});

it('an internal error restores the terminal and is reported', async () => {
  const planted = 'data:text/javascript,process.on(%22SIGUSR2%22,()=>{throw%20new%20Error(%22planted%22)})';
  const terminal = await started({ env: { NODE_OPTIONS: `--import=${planted}` } });
  await terminal.signal('SIGUSR2');
  expect(await terminal.ended(1)).toContain('crsio failed: planted');
});

it('a terminal without screen control is refused with a message', async () => {
  const terminal = await TmuxTerminal.start(host, { env: { TERM: 'dumb' } });
  const end = await terminal.ended(1);
  expect(end.replaceAll('\n', '')).toContain('crsio: A terminal of type dumb cannot show screens: set TERM to');
});

it('without a terminal it ends with a message', async () => {
  const sentence = /^crsio: Standard input is not a terminal: run crsio in a terminal, or edit .* \[E_TERMINAL\]\n$/;
  expect(await host.run('crsio')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(sentence) as string });
});

it('a file that may not be read or written is reported at once, and is not edited if it could not be saved', async (context) => {
  const isRoot = process.getuid?.() === 0;
  context.skip(!isRoot, 'needs root, to be somebody else');
  needTool(context, 'setpriv', 'util-linux');
  host = hosts.host(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']);
  host.writeConfig('rsiod', FILE);
  const path = host.rsiodPaths.configFile;
  const refused = await host.run('crsio', ['--version']);
  context.skip(refused.code !== 0, 'needs a checkout that others may read');
  for (const folder of [host.root, dirname(path)]) chmodSync(folder, 0o755);
  const unread = await TmuxTerminal.start(host);
  expect((await unread.ended(1)).replaceAll('\n', '')).toContain(
    `crsio: No permission to read ${path}: run as root or as the owner of the file`,
  );
  chmodSync(path, 0o644);
  const terminal = await TmuxTerminal.start(host);
  await terminal.sees('No permission to write');
  await terminal.press('Escape');
  await terminal.press('Enter');
  await terminal.sees('> if0');
  await terminal.press('Enter');
  await terminal.sees('Read-only');
  await terminal.press('Escape');
  await terminal.sees('> if0', '* not saved');
  expect(file()).toBe(FILE);
});

it('an invalid file is reported line by line and not edited', async () => {
  host.writeConfig('rsiod', FILE.replace('192.0.2.20', '192.0.2').replace('= 200', '= many'));
  const terminal = await TmuxTerminal.start(host);
  const end = (await terminal.ended(1)).replaceAll('\n', '');
  expect(end).toContain('/etc/rscltcfg:6: Wrong value "192.0.2" for address');
  expect(end).toContain('/etc/rscltcfg:9: Wrong value "many" for namespaceid');
});
