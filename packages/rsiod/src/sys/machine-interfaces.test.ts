// The machine's interfaces when the machine gives nothing any more: a process that has no descriptor left to open must live on.
// What lines and tables mean is tested beside those.

import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

const SCRIPT = `
import { openSync, writeSync } from 'node:fs';
import { systemFacts } from '@rsio/protocol/explorer/interfaces';
import { machineInterfaces } from ${JSON.stringify(new URL('machine-interfaces.ts', import.meta.url).href)};
try {
  for (;;) openSync('/dev/null');
} catch {}
writeSync(1, JSON.stringify([machineInterfaces.look(), systemFacts.addresses()]) + '\\n');
machineInterfaces.monitor(() => undefined, (reason, isAbsent) => writeSync(1, JSON.stringify([reason, isAbsent]) + '\\n')).stop();
machineInterfaces.monitor(() => undefined, (reason, isAbsent) => writeSync(1, JSON.stringify([reason, isAbsent]) + '\\n'));
machineInterfaces.list().catch((error) => writeSync(1, error.code + '\\n'));
`;

test('without a free descriptor nothing is seen, the monitor says why it ended, and nothing throws', () => {
  const node = [process.execPath, '--conditions=@rsio/source', '--import', 'tsx', '--input-type=module', '--eval', SCRIPT];
  const { stdout, stderr, status } = spawnSync('sh', ['-c', 'ulimit -n 100; exec "$@"', 'sh', ...node], {
    encoding: 'utf8',
    timeout: 15_000,
    cwd: new URL('.', import.meta.url).pathname,
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  expect(stdout.trimEnd().split('\n').toSorted()).toEqual(['EMFILE', '["spawn /bin/sh EMFILE",false]', '[[],[]]']);
});
