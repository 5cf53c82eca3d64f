// Follows docs/SITES.md as a reader would: one shell runs the blocks of the page in order, and everything that the page shows is compared with
// what is printed, except for times. Needs root, because the page mounts the file systems of two servers.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { needPrograms } from '@rsio/base/testing/needs';
import { expect, it } from 'vitest';
import { endMounts } from '../support/devices/end-mounts.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { PAGE_TURN_MS, PageShell, pageTurn, stepsOf } from '../support/programs/page-steps.ts';
import { needTool } from '../support/programs/programs.ts';

const PAGE = fileURLToPath(new URL('../../docs/SITES.md', import.meta.url));
const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const WALK_TIMEOUT_MS = 300_000;
const STEPS_MIN = 35;

const hosts = useHosts('test', 'programs');

/** Times differ from run to run, and columns are as wide as the texts in them. */
function masked(text: string): string {
  return text
    .replaceAll(/\d{4}(?:_\d\d){2}-[\d:]+/g, 'DATE')
    .replaceAll(/\b[\dms]+(?= old| +1m )/g, 'TIME')
    .replaceAll(/ {2,}/g, ' ');
}

it('every step of the page about two sites works and prints what the page shows', {
  timeout: WALK_TIMEOUT_MS + PAGE_TURN_MS,
}, async (context) => {
  needTool(context, 'nbdcopy', 'libnbd-bin');
  needPrograms(context, 'mkfs.xfs', 'mount', 'losetup');
  if (process.geteuid?.() !== 0) context.skip('only root can mount');
  await pageTurn((end) => hosts.onClean(end));
  const { root } = hosts.host();
  const { subnets } = await hosts.network(1);
  const subnet = subnets[0]?.address(0).replace(/\.0$/, '') ?? '';
  const page = readFileSync(PAGE, 'utf8').replaceAll('/tmp/rsio', root).replaceAll('127.45.0', subnet);
  hosts.onClean(() => endMounts([root]));
  const shell = new PageShell({ cwd: REPOSITORY, timeoutMs: WALK_TIMEOUT_MS, env: { RSIO_TEST_HOST: root } });
  await shell.run('export PATH=$PWD/bin:$PATH');
  const steps = stepsOf(page);
  expect(steps.length).toBeGreaterThan(STEPS_MIN);
  for (const { command, output } of steps) {
    const printed = await shell.run(command);
    expect(printed.code, `${command} ended with ${printed.code}: ${printed.output}`).toBe(0);
    if (output !== null) expect(masked(printed.output), command).toBe(masked(output));
  }
  shell.end();
});
