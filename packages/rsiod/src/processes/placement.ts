// Decides which data process gets a volume. Pure. Invariant: a volume that a process has, or is just getting, stays in this process until
// it is detached; other volumes go to the process with the fewest volumes, in the order in which they are asked for.

/** `auto`: a quarter of the cores. A machine with less than eight cores keeps one process, which costs nothing beside the main process. */
export function processCount(choice: number | 'auto', cores: number, coresPerProcess: number, max: number): number {
  return choice === 'auto' ? Math.min(max, Math.max(1, Math.floor(cores / coresPerProcess))) : choice;
}

/** Returns the position of the smallest number; the first of several. */
export function leastLoaded(loads: readonly number[]): number {
  return loads.indexOf(Math.min(...loads));
}

/** Divides the volumes over `count` processes so that their numbers differ by one at most, and keeps their order. */
export function shares<T>(volumes: readonly T[], count: number): T[][] {
  return Array.from({ length: count }, (_, at) => volumes.filter((__, index) => index % count === at));
}
