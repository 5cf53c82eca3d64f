// The kernel of the small virtual machines: a package of Debian that get-kernel has unpacked, for clouds or with all modules. Invariant:
// modules come in an order in which they can be loaded.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** `whole` has all modules. */
export type KernelKind = 'cloud' | 'whole';

const PLACES: Readonly<Record<KernelKind, string>> = {
  cloud: fileURLToPath(new URL('../../../dist/kernel', import.meta.url)),
  whole: fileURLToPath(new URL('../../../dist/kernel-whole', import.meta.url)),
};

export class Kernel {
  readonly image: string;
  private readonly folder: string;
  /** For each module: its file below `folder`, then the files that it needs; each file comes before the files that it needs itself. */
  private readonly needed = new Map<string, readonly string[]>();

  /** Modules that are a part of the image. */
  private readonly builtIn: ReadonlySet<string>;

  private constructor(place: string, release: string) {
    this.image = path.join(place, 'boot', `vmlinuz-${release}`);
    this.folder = path.join(place, 'lib/modules', release);
    this.builtIn = new Set(readFileSync(path.join(this.folder, 'modules.builtin'), 'utf8').split('\n').map(nameOf));
    for (const line of readFileSync(path.join(this.folder, 'modules.dep'), 'utf8').split('\n')) {
      const [file = '', others = ''] = line.split(':');
      this.needed.set(nameOf(file), [file, ...others.split(' ').filter((word) => word !== '')]);
    }
  }

  /** Returns null if get-kernel has not run. */
  static found(kind: KernelKind = 'cloud'): Kernel | null {
    const place = PLACES[kind];
    if (!existsSync(place)) return null;
    const [release = ''] = readdirSync(path.join(place, 'lib/modules'));
    return new Kernel(place, release);
  }

  /** Returns the files of these modules and of those that they need. Throws if there is no such module. */
  withNeeded(modules: readonly string[]): string[] {
    const files = modules.flatMap((module) => {
      if (this.builtIn.has(nameOf(module))) return [];
      const needed = this.needed.get(nameOf(module));
      if (needed === undefined) throw new Error(`The kernel has no module ${module}`);
      return needed.toReversed();
    });
    return [...new Set(files)].map((file) => path.join(this.folder, file));
  }
}

/** A module has one name, although its file may have hyphens in place of underscores. */
function nameOf(file: string): string {
  return path
    .basename(file)
    .replace(/\.ko.*$/, '')
    .replaceAll('-', '_');
}
