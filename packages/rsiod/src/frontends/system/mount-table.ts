// The mount table of /proc/self/mountinfo. The kernel answers from memory and touches no mounted file system. That matters for our own
// mounts, because this process would have to answer their requests. Invariant: lines that cannot be parsed are left out.

import { readFile } from 'node:fs/promises';

export interface MountEntry {
  /** Number of the mounted device or file system, such as `7:3`. */
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
}

/** `process` is the process whose mounts are read. It may have its own mount namespace. */
export async function mountTable(process = 'self'): Promise<MountEntry[]> {
  return parseMountTable(await readFile(`/proc/${process}/mountinfo`, 'utf8'));
}

/** Returns the mounts in the order in which they were mounted. */
export function parseMountTable(text: string): MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split(' ');
    // A dash ends the optional fields.
    const dash = fields.indexOf('-', 6);
    const [, , device, , mountPoint] = fields;
    const [type, source] = dash < 0 ? [] : fields.slice(dash + 1);
    if (device === undefined || mountPoint === undefined || type === undefined || source === undefined) return [];
    return [{ device, mountPoint: unescaped(mountPoint), type: unescaped(type), source: unescaped(source) }];
  });
}

/** mountinfo writes blanks, line ends and backslashes as three octal digits. */
export function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
