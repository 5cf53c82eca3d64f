// Follows docs/TUTORIAL.md as a reader would. One shell runs the blocks of the page in order: scripts
// (```sh), and commands with the output that the page shows below them (```console). The test masks roots, addresses and measured figures,
// which differ from run to run, and compares everything else character by character. Blocks without a language are skipped, because they
// need root or other machines.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { needPrograms } from '@rsio/common/testing/needs';
import { fileSystemOf } from '@rsio/rssrv/machine/file-system';
import { expect, it } from 'vitest';
import { useHosts } from '../support/hosts/hosts.ts';
import { needFio, needTool, type Running, start } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

interface Step {
  readonly command: string;
  /** Lines of output that the page shows; null: the page shows no output, and the output is not compared. */
  readonly output: string | null;
}

const PAGE = fileURLToPath(new URL('../../docs/TUTORIAL.md', import.meta.url));
const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const WALK_TIMEOUT_MS = 170_000;
const STEP_TIMEOUT_MS = 60_000;
const STEPS_MIN = 30;
const TOOLS = { nbdcopy: 'libnbd-bin', nbdinfo: 'libnbd-bin', 'qemu-io': 'qemu-utils', '/sbin/mke2fs': 'e2fsprogs' };
const FIGURES = /round trip [\d.]+ ms, [\d.]+ MB\/s/g;
/** A note that commands print only if the file system of the temporary folder has no reflink. */
const NO_REFLINK = /^(?:rsadm|rsconfig): Pool \S+ has no reflink.*\n/gm;

const hosts = useHosts('test', 'programs');

function stepsOf(page: string): Step[] {
  return [...page.matchAll(/^```(sh|console)\n([^]*?)^```$/gm)].flatMap(([, kind, block = '']) =>
    kind === 'sh' ? [{ command: block, output: null }] : commandsOf(block),
  );
}

function commandsOf(block: string): Step[] {
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf('\n');
      return { command: part.slice(0, end), output: part.slice(end + 1) };
    });
}

/** Waits until the command has ended; returns its output and exit code. */
async function result(shell: Running, command: string, number: number): Promise<{ code: number; output: string }> {
  const before = shell.stdout().length;
  const end = new RegExp(`^\\(step ${number}: (\\d+)\\)$`, 'm');
  const printed = (): string => shell.stdout().slice(before);
  shell.write(`{ ${command.trimEnd()}\n} < /dev/null 2>&1; echo "(step ${number}: $?)"\n`);
  await waitFor(() => end.test(printed()), STEP_TIMEOUT_MS, `The step ends: ${command}`);
  const [marker = '', code] = end.exec(printed()) ?? [];
  return { code: Number(code), output: printed().slice(0, printed().indexOf(marker)) };
}

it('every step of the tutorial works and prints what the page shows', async (context) => {
  for (const [tool, debianPackage] of Object.entries(TOOLS)) needTool(context, tool, debianPackage);
  needFio(context);
  needPrograms(context, 'perl');
  const { root } = hosts.host();
  context.skip((await fileSystemOf(root)) !== 'other', 'needs a directory on a disk for temporary files: set TMPDIR');
  const { subnets } = await hosts.network(2);
  const [first = '', second = ''] = subnets.map((subnet) => subnet.address(0).replace(/\.0$/, ''));
  const page = readFileSync(PAGE, 'utf8').replaceAll('/tmp/rsio', root).replaceAll('127.45.0', first).replaceAll('127.46.0', second);
  const steps = stepsOf(page);
  expect(steps.length).toBeGreaterThan(STEPS_MIN);
  const shell = start('bash', [], {
    cwd: REPOSITORY,
    isWrittenTo: true,
    timeoutMs: WALK_TIMEOUT_MS,
    env: { RSIO_TEST_HOST: root },
  });
  for (const [number, { command, output }] of steps.entries()) {
    const printed = await result(shell, command, number);
    expect({ command, ...printed }).toMatchObject({ command, code: 0 });
    if (output !== null)
      expect({ command, output: printed.output.replace(NO_REFLINK, '').replace(FIGURES, '') }).toEqual({
        command,
        output: output.replace(FIGURES, ''),
      });
  }
  shell.kill();
});
