// Tests the bash completion of rsadm: a real bash runs the script that rsadm prints, with a fake rsadm and a root directory of the test.
// All commands of rsadm are words, whereas rsconfig also has commands such as -l.

import { bashCompletion } from '@rsio/common/cli/completion-script';
import { CompletionShell } from '@rsio/base/testing/completion-shell';
import { needPrograms } from '@rsio/base/testing/needs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMMANDS } from '../command-table.ts';

const SCRIPT = bashCompletion('rsadm', '/etc/dvsc/rssrvcfg', COMMANDS);

/** The answers of the fake rsadm. Some names in its lists are shell commands that a careless script would execute. */
const ANSWERS = [
  '*" volume list") printf "VOLUME SIZE\\noracle@0 1.0G\\ndata@1 1.0G\\n\\$(touch pwned) 1.0G\\n" ;;',
  '*" volume list --removed") printf "VOLUME SIZE\\nold@0 1.0G\\n" ;;',
  '*" pool list") printf "POOL SIZE\\nfast 1.0T\\nslow 1.0T\\n" ;;',
  '*" client list") printf "CLIENT STATE\\nbig-2 absent\\n\\`touch\\`pwned absent\\n" ;;',
];

let shell: CompletionShell;
const offered = (...words: readonly string[]): string[] => shell.offered(...words);

beforeAll(() => {
  shell = new CompletionShell('rsadm', SCRIPT, ANSWERS);
});

afterAll(() => shell.end());

/** The words that follow this one in the names of commands. */
function secondWords(first: string): string[] {
  const words = COMMANDS.flatMap(({ call }) => (call.by === 'words' ? [call.words.split(' ')] : []));
  return [...new Set(words.filter(([word, second]) => word === first && second !== undefined).map(([, second]) => second!))].toSorted();
}

test.for<[string[], string[]]>([
  [
    [''],
    [
      'admin-group',
      'appliance',
      'apply',
      'audit',
      'check',
      'client',
      'completion',
      'control-group',
      'drift',
      'events',
      'farm',
      'identity',
      'init',
      'interface',
      'jobs',
      'namespace',
      'operate-group',
      'peer',
      'pool',
      'progress',
      'ready-to-restart',
      'reload',
      'rename',
      'stats',
      'status',
      'support',
      'volume',
      'witness',
    ],
  ],
  [['vol'], ['volume']],
  [
    ['pool', 'move', ''],
    ['fast', 'slow'],
  ],
  [['volume', ''], secondWords('volume')],
  [
    ['pool', ''],
    ['add', 'check', 'grow', 'list', 'move', 'release', 'remove', 'set'],
  ],
  [
    ['volume', 'show', ''],
    ['oracle@0', 'data@1'],
  ],
  [['volume', 'grow', 'or'], ['oracle@0']],
  [['volume', 'remove', 'd'], ['data@1']],
  [['volume', 'restore', ''], ['old@0']],
  [
    ['pool', 'check', ''],
    ['fast', 'slow'],
  ],
  [['client', 'rights', ''], ['big-2']],
  [['client', 'remove', 'big'], ['big-2']],
  [['pool', 'add', 'fast', 'rsa'], ['rsadm']],
  [['pool', 'add', 'fast', '/srv', '--l'], ['--limit']],
  [
    ['volume', 'create', 'x', '--s'],
    ['--size', '--stripe', '--shared'],
  ],
  [['volume', 'create', '--size', ''], []],
  [
    ['volume', 'list', '--'],
    ['--pool', '--removed', '--json', '--root', '--help', '--version'],
  ],
  [['-'], ['--root', '--help', '--version']],
  [['completion', ''], ['bash']],
  [['nosuch', ''], []],
])('%j', ([words, expected], context) => {
  needPrograms(context, 'bash', 'grep');
  expect(offered(...words)).toEqual(expected);
});

test('no name from rssrv is executed', (context) => {
  needPrograms(context, 'bash', 'grep');
  offered('volume', 'show', '');
  offered('client', 'remove', '');
  expect(shell.files()).toEqual(['rsadm']);
});

test('every command and every option is in the script', () => {
  for (const { call, options } of COMMANDS) {
    if (call.by === 'words') for (const word of call.words.split(' ')) expect(SCRIPT).toContain(word);
    for (const name of Object.keys(options)) expect(SCRIPT).toContain(`--${name}`);
  }
});
