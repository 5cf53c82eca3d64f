// Where in the file something stands, for findings: `/etc/rscltcfg:12`. Pure.
// Leaves judging the file to its reader.

import type { FileFacts } from './facts.ts';

/** Line of a section, or of a key in it where it is set. Server sections are looked for below their namespace. */
export function placeOf(
  file: FileFacts,
  section: { readonly type: string; readonly name: string; readonly namespace?: string },
  key?: string,
): string {
  const sections = file.document?.sections ?? [];
  const home = sections.findIndex(({ type, name }) => type === 'namespace' && name === section.namespace);
  const found = sections.find(({ type, name }, index) => type === section.type && name === section.name && index > home);
  const line = found?.contents.find((content) => content.key === key)?.line ?? found?.line;
  return line === undefined ? file.path : `${file.path}:${line}`;
}
