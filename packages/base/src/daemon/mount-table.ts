// Reads the mount table from /proc/PID/mountinfo. The kernel has this table in memory, so reading it causes no access to a mounted file
// system. If rsiod accessed one of its own mounts, rsiod would wait for itself. Invariant: lines that cannot be parsed are skipped.

import { readFile } from 'node:fs/promises';

export interface MountEntry {
  /** Device number of the mounted file system, such as `7:3`. */
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
}

/** `process` is the id of the process whose mounts are read, or `self`. Another process may have its own mount namespace. */
export async function mountTable(process = 'self'): Promise<MountEntry[]> {
  return parseMountTable(await readFile(`/proc/${process}/mountinfo`, 'utf8'));
}

/** Returns the mounts in the order in which they were mounted. */
export function parseMountTable(text: string): MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split(' ');
    // In a line of mountinfo, a single dash ends the optional fields.
    const dash = fields.indexOf('-', 6);
    const [, , device, , mountPoint] = fields;
    const [type, source] = dash < 0 ? [] : fields.slice(dash + 1);
    if (device === undefined || mountPoint === undefined || type === undefined || source === undefined) return [];
    return [{ device, mountPoint: unescaped(mountPoint), type: unescaped(type), source: unescaped(source) }];
  });
}

/** Decodes a field of mountinfo, in which each blank, line end and backslash is written as a backslash and three octal digits. */
export function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
