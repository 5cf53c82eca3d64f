// Tests that a process gives up root even where the calls of Node.js refuse this, as on Debian 13. The test uses a child process, because a
// process that has given up root cannot become root again.

import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

const CONFINE = new URL('confine.ts', import.meta.url).href;
const CALLS = new URL('system-calls.ts', import.meta.url).href;
const SCRIPT = `
  import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
  import { confine } from '${CONFINE}';
  import { systemCalls } from '${CALLS}';
  const refuse = () => { throw new Error('setuid() disabled: io_uring may be enabled') };
  Object.assign(process, { setgroups: refuse, setgid: refuse, setuid: refuse });
  const troubles = confine({ user: { name: 'nobody', uid: 65534, gid: 65534 } }, systemCalls());
  const rightsOf = (thread) =>
    readFileSync('/proc/self/task/' + thread + '/status', 'utf8').match(/^(Uid|Gid|Groups|CapEff|NoNewPrivs|Seccomp):.*$/gm);
  const lines = readdirSync('/proc/self/task').flatMap((thread) => rightsOf(thread).map((line) => line.replaceAll(/\\s+/g, ' ').trim()));
  const linkOf = (descriptor) => { try { return readlinkSync('/proc/self/fd/' + descriptor) } catch { return '' } };
  const hasRing = readdirSync('/proc/self/fd').some((descriptor) => linkOf(descriptor).includes('io_uring'));
  console.log(JSON.stringify({ hasRing, troubles, rights: [...new Set(lines)] }));
`;

it('a process gives up root even if Node refuses to change its user', (context) => {
  context.skip(process.getuid?.() !== 0, 'needs root');
  const args = ['--conditions=@rsio/source', '--import', 'tsx', '--input-type=module', '-e', SCRIPT];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, UV_USE_IO_URING: '0' } });
  expect(stderr).toBe('');
  const found = JSON.parse(stdout);
  const { hasRing } = found;
  // libuv of Node 22 and newer has a ring for its event loop, whatever UV_USE_IO_URING says, unless the unit of rssrv forbids rings.
  const ring = `without a filter of io_uring, which Node ${process.version} uses: start rssrv by its systemd unit`;
  expect(found).toEqual({
    hasRing,
    troubles: hasRing ? [ring] : [],
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
