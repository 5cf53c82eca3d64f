// Servers and clients that the parts of the bench start, as the tests start them: programs from bin/ below roots of their own (test/support).
// Here: what all of them need besides, and their end. Invariant: what was started is in `endings` before it is.

import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { RsError } from '@rsio/common/lib/errors';
import { Hosts } from '@rsio/test/support/hosts';
import { Netlab } from '@rsio/test/support/netlab/netlab';
import { newFolder } from './data-folder.ts';
import { nativeProgram } from './native/compile.ts';
import type { SectionContext } from './sections.ts';
import { FILE_BYTES } from './workload.ts';

/** The namespace of test/support/configs.ts. */
export const NAMESPACE = 'osl';
export const VOLUME = 'data';
export const EXPORT = `${NAMESPACE}/${VOLUME}`;

/** One that is cleaned when the section is done, or the bench ends before. */
interface Scene {
  readonly hosts: Hosts;
  /** Machines of their own, joined by links. */
  readonly net: Netlab;
}

/** Gives what `measure` gives; whatever it started is gone then. */
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

/** The data file in a new folder, cached, whose bytes the load generator knows. */
export function dataFile(hosts: Hosts, parent: string, bytes = FILE_BYTES): string {
  const folder = newFolder(parent);
  // Files that a program still has open stay until it ends.
  hosts.onClean(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'data.img');
  const { status, stdout } = spawnSync(nativeProgram('load'), ['make', file, String(bytes)], { encoding: 'utf8' });
  if (status !== 0) throw new RsError('E_SYSTEM', `The data file could not be made: ${stdout}`);
  return file;
}
