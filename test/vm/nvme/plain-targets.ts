// Two plain targets on one file, each in a process of its own; plain-target.ts is the program. Invariant: the host sees two controllers of
// one subsystem with one namespace.

import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { freePort } from '../../support/hosts/loopback.ts';
import { start } from '../../support/programs/programs.ts';
import { waitFor } from '../../support/programs/wait-for.ts';

export const PLAIN_NQN = 'nqn.2014-08.org.nvmexpress:uuid:aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee';
const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const PROGRAM = fileURLToPath(new URL('plain-target.ts', import.meta.url));
const ADDRESS = '127.0.0.1';
const SIZE_BYTES = 1 << 20;
const LIFE_MS = 900_000;
const START_MS = 10_000;

export interface PlainTarget {
  readonly address: string;
  readonly port: number;
  readonly pid: number;
}

/** Starts both targets on a new file. They end with the programs of the test. */
export async function plainTargets(file: string): Promise<readonly [PlainTarget, PlainTarget]> {
  writeFileSync(file, Buffer.alloc(SIZE_BYTES));
  return [await plainTarget(file, '1'), await plainTarget(file, '2')];
}

async function plainTarget(file: string, controller: string): Promise<PlainTarget> {
  const port = await freePort(ADDRESS);
  const args = ['--conditions=@rsio/source', '--import', TSX, PROGRAM, ADDRESS, `${port}`, file, controller, PLAIN_NQN];
  const target = start(process.execPath, args, { timeoutMs: LIFE_MS });
  await waitFor(() => target.stdout() !== '', START_MS, 'The plain target listens');
  return { address: ADDRESS, port, pid: target.pid };
}
