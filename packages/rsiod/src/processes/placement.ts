// Decides which data process gets a volume. Pure. Invariant: a volume that a process has, or is attaching, stays in this process until it
// is detached; other volumes go to the process with the fewest volumes, in the order of the requests.

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

/** Divides the volumes over `count` processes so that the numbers of volumes differ by at most one, and keeps the order. */
export function shares<T>(volumes: readonly T[], count: number): T[][] {
  return Array.from({ length: count }, (_, at) => volumes.filter((__, index) => index % count === at));
}
