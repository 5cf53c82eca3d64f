// The C programs of the bench: compiled at first use, and again when a source or the compiler has changed. The programs lie beside the
// compiled TypeScript, in a folder that git ignores. Invariant: a returned program matches its sources. Without a compiler, the bench
// cannot use these programs.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RsError } from '@rsio/base/lib/errors';
import { FILE_BYTES } from '../workload.ts';

export type NativeProgram = 'load' | 'epoll-server' | 'relay' | 'tls-relay';

interface Recipe {
  readonly sources: readonly string[];
  readonly libraries: readonly string[];
  /** Debian packages that the compilation needs. */
  readonly packages: string;
}

const C_ONLY = { libraries: [], packages: 'gcc and libc6-dev' };
const PROGRAMS: Readonly<Record<NativeProgram, Recipe>> = {
  load: { sources: ['load.c', 'nbd.c', 'rsio.c', 'iscsi.c', 'nvme.c'], ...C_ONLY },
  'epoll-server': { sources: ['epoll-server.c'], ...C_ONLY },
  relay: { sources: ['relay.c', 'nbd.c', 'rsio.c'], ...C_ONLY },
  'tls-relay': { sources: ['tls-relay.c'], libraries: ['-lssl', '-lcrypto'], packages: 'gcc, libc6-dev and libssl-dev' },
};

const COMPILERS = ['cc', 'gcc', 'clang'];
const FLAGS = ['-std=gnu11', '-O2', '-Wall', '-Wextra'];

/** Returns the folder of this package, whether this module runs as source or compiled. */
export function benchFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'native/load.c'))) {
    const above = dirname(folder);
    if (above === folder) throw new RsError('E_INTERNAL', "The bench's sources in C are not here");
    folder = above;
  }
  return folder;
}

/** The compiler of this machine and its version text; null: there is none. */
export function compilerHere(): { readonly command: string; readonly version: string } | null {
  for (const command of COMPILERS) {
    const { status, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' });
    if (status === 0) return { command, version: stdout.split('\n', 1)[0] ?? command };
  }
  return null;
}

/** Path of the program; compiles it first if necessary. */
export function nativeProgram(name: NativeProgram): string {
  const compiler = compilerHere();
  if (compiler === null) {
    throw new RsError(
      'E_SYSTEM',
      `The bench has no C compiler for its load generator, without which nothing can be measured: install the Debian packages gcc and libc6-dev`,
    );
  }
  const folder = benchFolder();
  const hash = createHash('sha256').update(`${compiler.command} ${compiler.version} ${FLAGS.join(' ')}`);
  const sources = join(folder, 'native');
  for (const file of readdirSync(sources).filter((one) => /\.[ch]$/.test(one))) hash.update(readFileSync(join(sources, file)));
  const target = join(folder, 'dist/bin', `${name}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(target)) return target;
  mkdirSync(dirname(target), { recursive: true });
  // Two compilations at once do not interfere: the finished program is renamed into place.
  const made = `${target}.${process.pid}`;
  const { sources: names, libraries, packages } = PROGRAMS[name];
  const files = names.map((file) => join(sources, file));
  const { status, stderr, error } = spawnSync(compiler.command, [...FLAGS, '-o', made, ...files, ...libraries], { encoding: 'utf8' });
  if (status !== 0) {
    const reason = error?.message ?? stderr.trim();
    throw new RsError('E_SYSTEM', `${compiler.command} could not compile ${name}: install the Debian packages ${packages}: ${reason}`);
  }
  renameSync(made, target);
  return target;
}

/** Makes the data file of a server, with the content that the load generator expects. */
export function makeDataFile(file: string): void {
  const { status, stdout } = spawnSync(nativeProgram('load'), ['make', file, String(FILE_BYTES)], { encoding: 'utf8' });
  if (status !== 0) throw new RsError('E_SYSTEM', `Cannot create the data file: ${stdout}`);
}
