// Follows docs/PROCEDURES.md as a reader would: one shell runs the blocks of the page in order, on servers and clients that it has started, and
// everything that the page shows is compared with what is printed, except for times. Rules: G9, G15.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { useHosts } from '../support/hosts/hosts.ts';
import { PAGE_TURN_MS, PageShell, pageTurn, stepsOf } from '../support/programs/page-steps.ts';

const PAGE = fileURLToPath(new URL('../../docs/PROCEDURES.md', import.meta.url));
const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const WALK_TIMEOUT_MS = 400_000;
const STEPS_MIN = 40;

const hosts = useHosts('test', 'programs');

/** Times differ from run to run, and columns are as wide as the texts in them. */
function masked(text: string): string {
  return text.replaceAll(/-before-\d+/g, '-before-TIME').replaceAll(/ {2,}/g, ' ');
}

it('every step of the page about procedures works and prints what the page shows', {
  timeout: WALK_TIMEOUT_MS + PAGE_TURN_MS,
}, async () => {
  await pageTurn((end) => hosts.onClean(end));
  const { root } = hosts.host();
  const { subnets } = await hosts.network(1);
  const subnet = subnets[0]?.address(0).replace(/\.0$/, '') ?? '';
  const page = readFileSync(PAGE, 'utf8').replaceAll('/tmp/rsio', root).replaceAll('127.45.0', subnet);
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
