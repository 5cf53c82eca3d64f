// The name that pgrep finds a process by, seen from outside.
// Leaves which process has which name to the programs.

import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { useProgram } from '../testing/program-file.ts';

const module = useProgram(new URL('./process-name.ts', import.meta.url));

it('a process has its name, cut to what the kernel keeps, and its arguments as before', () => {
  const code = `
    const { nameProcess } = await import(${JSON.stringify(module())});
    const { readFileSync } = await import('node:fs');
    const look = (file) => readFileSync('/proc/' + process.pid + '/' + file, 'utf8');
    const before = look('cmdline');
    for (const name of ['rssrv: big-2', 'rssrv: a-long-name-of-a-node']) {
      nameProcess(name);
      console.log(look('comm').trim());
    }
    console.log(look('cmdline') === before);`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
  expect(stdout.split('\n')).toEqual(['rssrv: big-2', 'rssrv: a-long-n', 'true', '']);
});
