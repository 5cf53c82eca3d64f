// Packs the staged trees of all packages as one archive for systems without dpkg: `tar -C / -xf` installs it. The archive contains
// README.packages. Invariant: the same trees give the same bytes.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Returns the path of the archive. `tree`: the folder below which all packages are staged. */
export function packTarball(release, tree, folder) {
  const { version, epoch, architecture } = release;
  const file = join(folder, `rsio-${version}-linux-${architecture}.tar.gz`);
  const order = ['--sort=name', `--mtime=@${epoch}`, '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
  execFileSync('tar', [...order, '--use-compress-program=gzip -n9', '-cf', file, '-C', tree, '.']);
  return file;
}
