// A process that has no free descriptor must survive when it lists the machine's interfaces. The meaning of lines is tested in
// interface-table.test.ts.

import { spawnSync } from 'node:child_process';
import { useProgram } from '@rsio/base/testing/program-file';
import { expect, test } from 'vitest';

const program = useProgram(new URL('../testing/starved-interfaces.ts', import.meta.url));

test('without a free descriptor no interface is seen, the monitor gives the reason for its end, and nothing throws', () => {
  const { stdout, stderr, status } = spawnSync('sh', ['-c', 'ulimit -n 100; exec "$@"', 'sh', process.execPath, program()], {
    encoding: 'utf8',
    timeout: 15_000,
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  expect(stdout.trimEnd().split('\n').toSorted()).toEqual(['"EMFILE"', '["spawn /bin/sh EMFILE",false]', '[[],[]]']);
});
