// Tests that a process gives up root even where the calls of Node.js refuse this, as on Debian 13. The test uses a child process, because a
// process that has given up root cannot become root again.

import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

const CONFINE = new URL('confine.ts', import.meta.url).href;
const CALLS = new URL('system-calls.ts', import.meta.url).href;
const SCRIPT = `
  import { readdirSync, readFileSync } from 'node:fs';
  import { confine } from '${CONFINE}';
  import { systemCalls } from '${CALLS}';
  const refuse = () => { throw new Error('setuid() disabled: io_uring may be enabled') };
  Object.assign(process, { setgroups: refuse, setgid: refuse, setuid: refuse });
  const troubles = confine({ user: { name: 'nobody', uid: 65534, gid: 65534 } }, systemCalls());
  const rightsOf = (thread) =>
    readFileSync('/proc/self/task/' + thread + '/status', 'utf8').match(/^(Uid|Gid|Groups|CapEff|NoNewPrivs|Seccomp):.*$/gm);
  const lines = readdirSync('/proc/self/task').flatMap((thread) => rightsOf(thread).map((line) => line.replaceAll(/\\s+/g, ' ').trim()));
  console.log(JSON.stringify({ troubles, rights: [...new Set(lines)] }));
`;

it('a process gives up root even if Node refuses to change its user', (context) => {
  context.skip(process.getuid?.() !== 0, 'needs root');
  const args = ['--conditions=@rsio/source', '--import', 'tsx', '--input-type=module', '-e', SCRIPT];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, UV_USE_IO_URING: '0' } });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual({
    troubles: [],
    rights: [
      'Uid: 65534 65534 65534 65534',
      'Gid: 65534 65534 65534 65534',
      'Groups:',
      'CapEff: 0000000000000000',
      'NoNewPrivs: 1',
      'Seccomp: 2',
    ],
  });
});
