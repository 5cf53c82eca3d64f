// What is mounted, as /proc/self/mountinfo says it. Pure but for the reading; the kernel answers it from memory, so that no mounted file system
// is touched, not even one that is ours and whose requests this process would have to answer.

import { readFile } from 'node:fs/promises';

export interface MountEntry {
  /** `7:3`: of the device or file system that is mounted. */
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
}

/** `process`: as that one sees it, which may have mounts of its own. */
export async function mountTable(process = 'self'): Promise<MountEntry[]> {
  return parseMountTable(await readFile(`/proc/${process}/mountinfo`, 'utf8'));
}

/** In order of mounting. Lines that are none are left out. */
export function parseMountTable(text: string): MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const words = line.split(' ');
    // A number of optional fields ends with a dash.
    const dash = words.indexOf('-', 6);
    const [, , device, , mountPoint] = words;
    const [type, source] = dash < 0 ? [] : words.slice(dash + 1);
    if (device === undefined || mountPoint === undefined || type === undefined || source === undefined) return [];
    return [{ device, mountPoint: unescaped(mountPoint), type: unescaped(type), source: unescaped(source) }];
  });
}

/** Blanks, line ends and backslashes are three octal digits there. */
export function unescaped(word: string): string {
  return word.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
