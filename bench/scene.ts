// Servers and clients for the parts of the bench, started in the same way as in the tests: programs from bin/, each below its own root
// (test/support). This file also makes the data file and cleans up. Invariant: a process is in `endings` before it starts.

import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { RsError } from '@rsio/base/lib/errors';
import { Hosts } from '@rsio/test/support/hosts/hosts';
import { Netlab } from '@rsio/test/support/netlab/netlab';
import { newFolder } from './data-folder.ts';
import { nativeProgram } from './native/compile.ts';
import type { SectionContext } from './section-run.ts';
import { FILE_BYTES } from './workload.ts';

/** The namespace of test/support/hosts/configs.ts. */
export const NAMESPACE = 'osl';
export const VOLUME = 'data';
export const EXPORT = `${NAMESPACE}/${VOLUME}`;

/** The test daemons and networks of a section, removed when the section ends, or earlier if the bench ends. */
interface Scene {
  readonly hosts: Hosts;
  /** Network namespaces that act as machines, joined by links. */
  readonly net: Netlab;
}

/** Returns the result of `measure`, after everything that it started has ended. */
export async function inScene<T>({ endings }: SectionContext, measure: (scene: Scene) => Promise<T>): Promise<T> {
  const scene = { hosts: new Hosts(), net: new Netlab() };
  const clean = async (): Promise<void> => {
    await scene.hosts.clean();
    await scene.net.clean();
  };
  endings.push(clean);
  try {
    return await measure(scene);
  } finally {
    await clean();
    endings.splice(endings.indexOf(clean), 1);
  }
}

/** The data file in a new folder, in memory, with bytes that the load generator knows. */
export function dataFile(hosts: Hosts, parent: string, bytes = FILE_BYTES): string {
  const folder = newFolder(parent);
  // The kernel keeps a removed file until every program that has it open has ended.
  hosts.onClean(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'data.img');
  const { status, stdout } = spawnSync(nativeProgram('load'), ['make', file, String(bytes)], { encoding: 'utf8' });
  if (status !== 0) throw new RsError('E_SYSTEM', `Cannot create the data file: ${stdout}`);
  return file;
}
