// Tests the bash completion of rsadm: runs the script that rsadm prints in a real bash, with a root and a program of the test. rsadm has no
// option that calls a command, unlike rsconfig.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bashCompletion } from '@rsio/common/cli/completion-script';
import { needPrograms } from '@rsio/common/testing/needs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMMANDS } from '../command-table.ts';
import { removeFolder } from '@rsio/common/testing/remove-folder';

const SCRIPT = bashCompletion('rsadm', '/etc/dvsc/rssrvcfg', COMMANDS);

let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'rsio-'));
  // A stand-in for rsadm: prints its lists, and names that a shell would execute.
  const answers = [
    '*" volume list") printf "VOLUME SIZE\\noracle@0 1.0G\\ndata@1 1.0G\\n\\$(touch pwned) 1.0G\\n" ;;',
    '*" volume list --removed") printf "VOLUME SIZE\\nold@0 1.0G\\n" ;;',
    '*" pool list") printf "POOL SIZE\\nfast 1.0T\\nslow 1.0T\\n" ;;',
    '*" client list") printf "CLIENT STATE\\nbig-2 absent\\n\\`touch\\`pwned absent\\n" ;;',
  ];
  writeFileSync(join(root, 'rsadm'), `#!/bin/bash\ncase "$*" in\n${answers.join('\n')}\nesac\n`);
  chmodSync(join(root, 'rsadm'), 0o755);
});

afterAll(() => removeFolder(root));

/** The completions of the last word. */
function offered(...words: readonly string[]): string[] {
  const line = [join(root, 'rsadm'), '--root', root, ...words];
  const script = `${SCRIPT}
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rsadm; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-euc', script, 'bash', ...line], {
    cwd: root,
    encoding: 'utf8',
    timeout: 10_000,
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return stdout.split('\n').filter((each) => each !== '');
}

test.for<[string[], string[]]>([
  [
    [''],
    [
      'check',
      'client',
      'completion',
      'control-group',
      'events',
      'init',
      'interface',
      'jobs',
      'namespace',
      'pool',
      'reload',
      'stats',
      'status',
      'volume',
    ],
  ],
  [['vol'], ['volume']],
  [
    ['volume', ''],
    [
      'clone',
      'copy',
      'create',
      'diff',
      'grow',
      'image',
      'list',
      'move',
      'refresh',
      'remove',
      'rename',
      'restore',
      'rollback',
      'set',
      'show',
      'snapshot',
      'split',
    ],
  ],
  [
    ['pool', ''],
    ['add', 'check', 'list', 'remove', 'set'],
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
  needPrograms(context, 'bash');
  expect(offered(...words)).toEqual(expected);
});

test('no name from rssrv is executed', (context) => {
  needPrograms(context, 'bash');
  offered('volume', 'show', '');
  offered('client', 'remove', '');
  expect(spawnSync('ls', [root], { encoding: 'utf8' }).stdout).toBe('rsadm\n');
});

test('every command and every option is in the script', () => {
  for (const { call, options } of COMMANDS) {
    if (call.by === 'words') for (const word of call.words.split(' ')) expect(SCRIPT).toContain(word);
    for (const name of Object.keys(options)) expect(SCRIPT).toContain(`--${name}`);
  }
});
