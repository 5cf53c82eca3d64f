// Tests the bash completion: a real bash runs the script that rsconfig prints, with a fake rsconfig and a root directory of the test. The
// script must never execute text from a file or a server.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bashCompletion } from '@rsio/common/cli/completion-script';
import { CompletionShell } from '@rsio/base/testing/completion-shell';
import { needPrograms } from '@rsio/base/testing/needs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMMANDS } from '../command-table.ts';

const SCRIPT = bashCompletion('rsconfig', '/etc/rscltcfg', COMMANDS);

/** The answers of the fake rsconfig. Some names in its lists are shell commands that a careless script would execute. */
const ANSWERS = [
  '*" interface list") printf "NAME ADDRESS\\nif0 10.0.0.1\\nif1 10.0.1.1\\n" ;;',
  '*" volume list") printf "VOLUME SIZE\\nosl:oracle@0 1.0G\\nlab:db@1 1.0G\\nosl:\\$(touch pwned) 1.0G\\n" ;;',
  '*" volume list --removed") printf "VOLUME SIZE\\nosl:old@0 1.0G\\n" ;;',
  '*" -l") printf "osl:oracle@0\\nosl:data@1\\n" ;;',
  `*" -q") printf '000 osl\\n  srv: 000 big-9\\n      0  oracle           disk     4 blocks of  512 bytes\\n      0  $(touch pwned)   disk  4\\n' ;;`,
];

let shell: CompletionShell;
const offered = (...words: readonly string[]): string[] => shell.offered(...words);

beforeAll(() => {
  shell = new CompletionShell('rsconfig', SCRIPT, ANSWERS);
  mkdirSync(join(shell.root, 'etc'));
  writeFileSync(join(shell.root, 'etc/rscltcfg'), '[namespace osl]\n[server big-9-1]\n[server big-9-2]\n[namespace $(touch pwned)]\n');
});

afterAll(() => shell.end());

/** The words that follow this one in the names of commands. */
function secondWords(first: string): string[] {
  const words = COMMANDS.flatMap(({ call }) => (call.by === 'words' ? [call.words.split(' ')] : []));
  return [...new Set(words.filter(([word, second]) => word === first && second !== undefined).map(([, second]) => second!))].toSorted();
}

test.for<[string[], string[]]>([
  [['in'], ['interface']],
  [
    ['interface', ''],
    ['add', 'list', 'remove'],
  ],
  [['interface', 'add', 'if0', '10.0.0.1', '--p'], ['--port']],
  [['interface', 'add', '--port', ''], []],
  [
    ['interface', 'remove', ''],
    ['if0', 'if1'],
  ],
  [
    ['-m', 'test', ''],
    ['if0', 'if1'],
  ],
  [['join', '192.168.45.10', '--interface', '192.168.45.20', '--no-'], ['--no-start']],
  [['key', ''], ['new']],
  [['completion', ''], ['bash']],
  [['namespace', 'remove', ''], ['osl']],
  [['server', 'remove', 'big-9-2'], ['big-9-2']],
  [
    ['-m', 'stat'],
    ['status', 'stats'],
  ],
  [['-m', 'status', '--verb'], ['--verbose']],
  [
    ['-d', ''],
    ['oracle', 'data'],
  ],
  [
    ['-d', 'oracle', '--'],
    ['--force', '--wait', '--json', '--root', '--help', '--version'],
  ],
  [['-a', 'o'], ['oracle']],
  [['volume', ''], secondWords('volume')],
  [
    ['volume', 'show', ''],
    ['oracle@0', 'db@1'],
  ],
  [['volume', 'remove', 'd'], ['db@1']],
  [['volume', 'restore', ''], ['old@0']],
  [['backup'], ['backup', 'backup-run', 'backup-verify']],
  [['backup-run', 'o'], ['oracle@0']],
  [
    ['backup-run', 'oracle', 'D', '--'],
    ['--full-every', '--keep', '--begin', '--verify', '--json', '--root', '--help', '--version'],
  ],
  [['volume', 'create', 'x', '--att'], ['--attach']],
  [['volume', 'create', 'x', '--size', ''], []],
  [['--qu'], ['--query']],
  [['-qv', '--j'], ['--json']],
  [['check', 'rsc'], ['rsconfig']],
  [['namespace', 'add', '--nodekey-file', 'et'], ['etc']],
  [['nosuch', ''], []],
])('%j', ([words, expected], context) => {
  needPrograms(context, 'bash', 'awk', 'grep', 'sed');
  expect(offered(...words)).toEqual(expected);
});

test('no text from a file or a server is executed', (context) => {
  needPrograms(context, 'bash', 'awk', 'grep', 'sed');
  offered('namespace', 'remove', '');
  expect(offered('-a', '')).toEqual(['oracle']);
  expect(shell.files()).toEqual(['etc', 'rsconfig']);
});

test('every command and every option is in the script', () => {
  for (const { call, options } of COMMANDS) {
    if (call.by === 'words') for (const word of call.words.split(' ')) expect(SCRIPT).toContain(word);
    for (const name of Object.keys(options)) expect(SCRIPT).toContain(`--${name}`);
  }
});
