// Decides which data process gets a volume. Pure. Invariants: a volume that a process has, or is about to get, stays in this process until
// it is detached. Volumes whose devices would have the same path are placed in the same process, which refuses the later volume, as rsiod
// does without data processes. Every other volume is placed in the process with the fewest volumes, in the order of the requests.

/**
 * `auto`: a quarter of the cores. A machine with fewer than eight cores keeps one process, which saves the overhead of a separate main
 * process.
 */
export function processCount(choice: number | 'auto', cores: number, coresPerProcess: number, max: number): number {
  return choice === 'auto' ? Math.min(max, Math.max(1, Math.floor(cores / coresPerProcess))) : choice;
}

/** Returns the first position of the smallest number. */
export function leastLoaded(loads: readonly number[]): number {
  return loads.indexOf(Math.min(...loads));
}

/** Distributes the volumes among `count` processes in turn, and keeps their order. `pathsOf`: the paths of the volume's devices. */
export function shares<T>(volumes: readonly T[], count: number, pathsOf: (volume: T) => readonly string[]): T[][] {
  const parts = Array.from({ length: count }, (): T[] => []);
  const byPath = new Map<string, T[]>();
  let next = 0;
  for (const volume of volumes) {
    const paths = pathsOf(volume);
    const rival = paths.find((path) => byPath.has(path));
    const part = rival === undefined ? parts[next++ % count]! : byPath.get(rival)!;
    part.push(volume);
    for (const path of paths) byPath.set(path, part);
  }
  return parts;
}
