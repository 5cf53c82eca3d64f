// Builds the part of a snapshot's name that states the time, for snapshots that commands create. Pure.
// Invariant: names sort by time.

/** Returns a time in UTC as a text such as 20261122-114501. */
export function timeName(ms: number): string {
  const digits = new Date(ms).toISOString().replaceAll(/\D/g, '');
  return `${digits.slice(0, 8)}-${digits.slice(8, 14)}`;
}
