// Follows docs/TUTORIAL.md as a reader would. One shell runs the blocks of the page in order: scripts
// (```sh), and commands with the output that the page shows below them (```console). The test masks roots, addresses and measured figures,
// which differ from run to run, and compares everything else character by character. Blocks without a language are skipped, because they
// need root or other machines. The section about farms needs root, and has its own test.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { needPrograms } from '@rsio/base/testing/needs';
import { fileSystemOf } from '@rsio/rssrv/machine/file-system';
import { expect, it } from 'vitest';
import { endMounts } from '../support/devices/end-mounts.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { PageShell, pageTurn, sectionOf, type Step, stepsOf } from '../support/programs/page-steps.ts';
import { needFio, needTool } from '../support/programs/programs.ts';

const PAGE = fileURLToPath(new URL('../../docs/TUTORIAL.md', import.meta.url));
const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const WALK_TIMEOUT_MS = 170_000;
const STEPS_MIN = 30;
const TOOLS = { nbdcopy: 'libnbd-bin', nbdinfo: 'libnbd-bin', 'qemu-io': 'qemu-utils', '/sbin/mke2fs': 'e2fsprogs' };
const FIGURES = /round trip [\d.]+ ms, [\d.]+ MB\/s/g;
/** A note that commands print only if the file system of the temporary folder has no reflink. */
const NO_REFLINK = /^(?:rsadm|rsconfig): Pool \S+ has no reflink.*\n/gm;
const FARM = '## A farm: a pool that moves between servers';
/** The reader needs at most this many commands, from bare machines to a pool that moves and survives a kill of its owner. */
const FARM_COMMANDS_MAX = 10;

const hosts = useHosts('test', 'programs');

/** Returns the page with the root and the addresses of a test, and a shell for its steps. */
async function opened(): Promise<{ page: string; root: string; shell: PageShell }> {
  const { root } = hosts.host();
  await pageTurn((end) => hosts.onClean(end));
  const { subnets } = await hosts.network(2);
  const [first = '', second = ''] = subnets.map((subnet) => subnet.address(0).replace(/\.0$/, ''));
  const page = readFileSync(PAGE, 'utf8').replaceAll('/tmp/rsio', root).replaceAll('127.45.0', first).replaceAll('127.46.0', second);
  const shell = new PageShell({ cwd: REPOSITORY, timeoutMs: WALK_TIMEOUT_MS, env: { RSIO_TEST_HOST: root } });
  return { page, root, shell };
}

async function walk(shell: PageShell, steps: readonly Step[], masked: (text: string) => string): Promise<void> {
  for (const { command, output } of steps) {
    const printed = await shell.run(command);
    expect(printed.code, `${command} ended with ${printed.code}: ${printed.output}`).toBe(0);
    if (output !== null) expect(masked(printed.output), command).toBe(masked(output));
  }
  shell.end();
}

it('every step of the tutorial works and prints what the page shows', async (context) => {
  for (const [tool, debianPackage] of Object.entries(TOOLS)) needTool(context, tool, debianPackage);
  needFio(context);
  const { page, root, shell } = await opened();
  context.skip((await fileSystemOf(root)) !== 'other', 'needs a directory on a disk for temporary files: set TMPDIR');
  const steps = stepsOf(page.replace(sectionOf(page, FARM), ''));
  expect(steps.length).toBeGreaterThan(STEPS_MIN);
  await walk(shell, steps, (text) => text.replace(NO_REFLINK, '').replace(FIGURES, ''));
});

it('ten commands lead from three bare machines to a pool that moves, and goes on when its owner is killed', async (context) => {
  needTool(context, 'nbdcopy', 'libnbd-bin');
  needPrograms(context, 'mkfs.xfs', 'mount', 'losetup');
  if (process.geteuid?.() !== 0) context.skip('only root can mount');
  const { page, root, shell } = await opened();
  hosts.onClean(() => endMounts([root]));
  const farm = sectionOf(page, FARM);
  expect(stepsOf(farm).filter(({ prompt }) => prompt !== '').length).toBeLessThanOrEqual(FARM_COMMANDS_MAX);
  // Times differ from run to run, and columns are as wide as the names in them.
  const masked = (text: string): string =>
    text
      .replaceAll(/\d{4}(?:_\d\d){2}-[\d:]+/g, 'DATE')
      .replaceAll(/\d+\.\d s/g, 'TIME')
      .replaceAll(/ {2,}/g, ' ');
  await walk(shell, [{ command: `export PATH=$PWD/bin:$PATH`, output: null, prompt: '' }, ...stepsOf(farm)], masked);
});
