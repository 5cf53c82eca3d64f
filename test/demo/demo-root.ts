// The root folder of the demo's daemons: the demo creates it empty and removes it as a whole. Invariant: no user's file is removed, because
// a given folder must be empty or not exist.

import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { rsiodPaths } from '@rsio/common/config/root-paths';
import { RsError } from '@rsio/base/lib/errors';
import { checkSocketPath } from '@rsio/base/daemon/unix-socket';

export interface DemoRoot {
  readonly path: string;
  remove(): void;
}

/**
 * Makes the folder, or takes the given one. Throws E_USAGE if the given folder is not empty. Throws E_SOCKET_PATH if the path of the folder
 * is too long for Unix sockets in the folder.
 */
export function makeDemoRoot(given: string | undefined): DemoRoot {
  const path = given === undefined ? realpathSync(mkdtempSync(join(tmpdir(), 'rsio-demo-'))) : takeFolder(resolve(given));
  const remove = (): void => rmSync(path, { recursive: true, force: true });
  try {
    checkSocketPath(rsiodPaths(path).controlSocket);
  } catch (thrown) {
    remove();
    throw thrown;
  }
  for (const folder of ['etc/dvsc', 'storage']) mkdirSync(join(path, folder), { recursive: true });
  return { path, remove };
}

function takeFolder(path: string): string {
  mkdirSync(path, { recursive: true });
  if (readdirSync(path).length > 0) throw new RsError('E_USAGE', `Folder ${path} is not empty: give --root an empty or new one`);
  // The path must not contain symbolic links, because the kernel lists mounts by real paths.
  return realpathSync(path);
}
